//! Standard streams to the last byte.

use std::{
    fs::File,
    io::{Read, Write},
    thread,
    time::Duration,
};

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{self, create, expect_line, finish, idle, in_and_out, run, sizes, start},
    pattern,
};
use crate::{Stdio, Stream};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "output of every size around a power of two arrives to the last byte",
        covers: &["stream.pipe", "streams.stdout"],
        needs: &[],
        run: output_arrives,
    },
    Behaviour {
        name: "input of every size around a power of two arrives to the last byte",
        covers: &["stream.pipe", "streams.stdin"],
        needs: &[],
        run: input_arrives,
    },
    Behaviour {
        name: "bytes of every value pass unchanged through input and output",
        covers: &["stream.pipe"],
        needs: &[],
        run: every_byte_value,
    },
    Behaviour {
        name: "megabytes flow in and out at the same time",
        covers: &["stream.pipe", "streams.stdin", "streams.stdout"],
        needs: &[],
        run: both_ways_at_once,
    },
    Behaviour {
        name: "standard output and standard error are two streams",
        covers: &["streams.stderr"],
        needs: &[],
        run: output_and_error_are_two,
    },
    Behaviour {
        name: "what is written just before the exit is not lost, to a reader that comes late either",
        covers: &["streams.stdout"],
        needs: &[],
        run: a_late_reader_loses_nothing,
    },
    Behaviour {
        name: "end of input arrives, whether it was sent before, during or after the start",
        covers: &[
            "streams.stdin",
            "process.close-stdin",
            "process.close-stdin-again",
        ],
        needs: &[],
        run: end_of_input_arrives,
    },
    Behaviour {
        name: "the null device ends input at once and takes any output",
        covers: &["stream.null"],
        needs: &[],
        run: the_null_device,
    },
    Behaviour {
        name: "a given descriptor is used itself, without a copy",
        covers: &["stream.given"],
        needs: &[Ability::GivenDescriptors],
        run: a_given_descriptor,
    },
    Behaviour {
        name: "each stream is handed out once, and only where a pipe was asked for",
        covers: &["process.take-streams", "stream.pipe"],
        needs: &[],
        run: streams_are_handed_out_once,
    },
    Behaviour {
        name: "closing one stream does not touch another",
        covers: &["streams.stdin", "streams.stdout", "process.close-stdin"],
        needs: &[],
        run: closing_one_stream,
    },
    Behaviour {
        name: "a process's output ends with the process, whatever else runs",
        covers: &["streams.stdout"],
        needs: &[],
        run: output_ends_with_the_process,
    },
    Behaviour {
        name: "a process has its three streams and no other descriptor",
        covers: &["stream.given", "stream.pipe"],
        needs: &[Ability::Descriptors],
        run: no_other_descriptor,
    },
];

fn output_arrives(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    for size in sizes(kit::powers(fixture)) {
        let process = running.container.create_process(
            &fixture.process(&["write", "1", &size.to_string()]),
            in_and_out(),
        )?;
        let mut check = pattern::Check::default();
        check.take_all(process.take_streams().stdout.ok_or("no standard output")?)?;
        check.is_exactly(size)?;
        ensure_eq!(
            process.wait(Some(kit::DEADLINE))?.code,
            Some(0),
            "the writer of {size} bytes gives"
        );
    }
    for size in sizes(16..=17) {
        let ran = run(fixture, &["write", "1", &size.to_string()])?;
        let mut check = pattern::Check::default();
        check.take(&ran.stdout);
        check.is_exactly(size)?;
    }
    Ok(())
}

/// What the probe's `check` says of what it read.
fn expect_checked(stdout: &[u8], size: u64) -> Outcome {
    let said: serde_json::Value = serde_json::from_slice(stdout)?;
    ensure_eq!(
        said,
        serde_json::json!({"bytes": size, "intact": true}),
        "of {size} bytes the reader says"
    );
    Ok(())
}

fn input_arrives(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    for size in sizes(kit::powers(fixture)) {
        let process = running
            .container
            .create_process(&fixture.process(&["check"]), in_and_out())?;
        let streams = process.take_streams();
        let mut stdin = streams.stdin.ok_or("no standard input")?;
        pattern::each_block(size, |block| stdin.write_all(block))?;
        drop(stdin);
        let mut said = Vec::new();
        streams
            .stdout
            .ok_or("no standard output")?
            .read_to_end(&mut said)?;
        expect_checked(&said, size)?;
        ensure_eq!(
            process.wait(Some(kit::DEADLINE))?.code,
            Some(0),
            "the reader of {size} bytes gives"
        );
    }
    Ok(())
}

fn every_byte_value(fixture: &dyn Fixture) -> Outcome {
    let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let mut running = start(fixture, &["cat"])?;
    running
        .stdin
        .take()
        .ok_or("no standard input")?
        .write_all(&bytes)?;
    let mut back = Vec::new();
    running.stdout.read_to_end(&mut back)?;
    ensure!(back == bytes, "what came back differs: {back:?}");
    Ok(())
}

fn both_ways_at_once(fixture: &dyn Fixture) -> Outcome {
    const SIZE: u64 = 8 << 20;
    let mut running = start(fixture, &["cat"])?;
    let mut stdin = running.stdin.take().ok_or("no standard input")?;
    let mut check = pattern::Check::default();
    thread::scope(|scope| -> Outcome {
        let writer = scope.spawn(move || pattern::each_block(SIZE, |block| stdin.write_all(block)));
        check.take_all(&running.stdout)?;
        writer.join().map_err(|_| "the writer panicked")??;
        Ok(())
    })?;
    check.is_exactly(SIZE)?;
    ensure_eq!(
        running.process.wait(Some(kit::DEADLINE))?.code,
        Some(0),
        "it gives"
    );
    Ok(())
}

fn output_and_error_are_two(fixture: &dyn Fixture) -> Outcome {
    let ran = run(
        fixture,
        &[
            "say", "a", "+", "warn", "b", "+", "say", "c", "+", "write", "2", "300000",
        ],
    )?;
    ensure_eq!(ran.text(), "a\nc\n", "standard output");
    ensure!(
        ran.stderr.starts_with(b"b\n"),
        "standard error begins with something else"
    );
    let mut check = pattern::Check::default();
    check.take(&ran.stderr[2..]);
    check.is_exactly(300_000)?;
    Ok(())
}

fn a_late_reader_loses_nothing(fixture: &dyn Fixture) -> Outcome {
    for round in 0..kit::rounds(fixture, 20) {
        // Less than a pipe holds: the process ends long before anyone reads.
        let mut running = start(fixture, &["write", "1", "60000"])?;
        running.process.wait(Some(kit::DEADLINE))?;
        if round == 0 {
            thread::sleep(Duration::from_millis(50));
        }
        let mut check = pattern::Check::default();
        check.take_all(&mut running.stdout)?;
        check.is_exactly(60_000)?;
        // Deleting the container does not take back what it wrote.
        let mut second = start(fixture, &["write", "1", "60000"])?;
        second.process.wait(Some(kit::DEADLINE))?;
        second.container.delete()?;
        let mut check = pattern::Check::default();
        check.take_all(&mut second.stdout)?;
        check.is_exactly(60_000)?;
    }
    Ok(())
}

fn end_of_input_arrives(fixture: &dyn Fixture) -> Outcome {
    let idle = idle(fixture)?;
    for (when, first) in [
        ("before", true),
        ("during", true),
        ("after", true),
        ("before", false),
        ("during", false),
        ("after", false),
    ] {
        let container;
        let system = if first {
            container = create(fixture, &["cat", "+", "exit", "5"])?;
            &*container
        } else {
            &*idle.container
        };
        let start = |stdio| {
            if first {
                system.start(stdio)
            } else {
                system.create_process(&fixture.process(&["cat", "+", "exit", "5"]), stdio)
            }
        };
        let process = match when {
            "before" => {
                let (reader, writer) = std::io::pipe()?;
                drop(writer);
                start(Stdio::Streams {
                    stdin: Stream::Given(given(reader)),
                    stdout: Stream::Null,
                    stderr: Stream::Null,
                })?
            }
            "during" => {
                let process = start(in_and_out())?;
                process.close_stdin()?;
                process.close_stdin()?;
                process
            }
            _ => {
                let process = start(in_and_out())?;
                let streams = process.take_streams();
                let (mut stdin, mut stdout) = streams
                    .stdin
                    .zip(streams.stdout)
                    .ok_or("streams are missing")?;
                stdin.write_all(b"x\n")?;
                expect_line(&mut stdout, "x")?;
                // Taken streams end by being dropped; asking for it anyway does no harm.
                process.close_stdin()?;
                drop(stdin);
                process
            }
        };
        ensure_eq!(
            process.wait(Some(kit::DEADLINE))?.code,
            Some(5),
            "end of input sent {when} the start: the reader gives"
        );
    }
    Ok(())
}

#[cfg(unix)]
fn given(end: impl Into<std::os::fd::OwnedFd>) -> File {
    File::from(end.into())
}

#[cfg(windows)]
fn given(end: impl Into<std::os::windows::io::OwnedHandle>) -> File {
    File::from(end.into())
}

fn the_null_device(fixture: &dyn Fixture) -> Outcome {
    let container = create(
        fixture,
        &[
            "cat", "+", "write", "1", "1000000", "+", "write", "2", "1000000", "+", "exit", "8",
        ],
    )?;
    let process = container.start(Stdio::null())?;
    ensure_eq!(process.wait(Some(kit::DEADLINE))?.code, Some(8), "it gives");
    let streams = process.take_streams();
    ensure!(
        streams.stdin.is_none()
            && streams.stdout.is_none()
            && streams.stderr.is_none()
            && streams.console.is_none(),
        "the null device has another end: {streams:?}"
    );
    Ok(())
}

fn a_given_descriptor(fixture: &dyn Fixture) -> Outcome {
    let path = std::env::temp_dir().join(format!("{}-given", kit::new_id(fixture)?));
    let result = use_given(fixture, &path);
    std::fs::remove_file(&path)?;
    result
}

fn use_given(fixture: &dyn Fixture, path: &std::path::Path) -> Outcome {
    let mut file = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(path)?;
    // One position is shared by all who have the same open file: a copy in between would write elsewhere or later.
    file.write_all(b"one\n")?;
    let container = create(fixture, &["say", "two", "+", "warn", "three"])?;
    let process = container.start(Stdio::Streams {
        stdin: Stream::Null,
        stdout: Stream::Given(file.try_clone()?),
        stderr: Stream::Given(file.try_clone()?),
    })?;
    process.wait(Some(kit::DEADLINE))?;
    file.write_all(b"four\n")?;
    ensure_eq!(
        std::fs::read_to_string(path)?,
        "one\ntwo\nthree\nfour\n",
        "the file holds"
    );
    Ok(())
}

fn streams_are_handed_out_once(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["cat"])?;
    let process = container.start(in_and_out())?;
    let first = process.take_streams();
    ensure!(
        first.stdin.is_some() && first.stdout.is_some(),
        "pipes were not handed out: {first:?}"
    );
    ensure!(
        first.stderr.is_none() && first.console.is_none(),
        "what was no pipe was handed out: {first:?}"
    );
    let second = process.take_streams();
    ensure!(
        second.stdin.is_none() && second.stdout.is_none(),
        "handed out twice: {second:?}"
    );
    drop(first);
    ensure_eq!(
        process.wait(Some(kit::DEADLINE))?.code,
        Some(0),
        "with its input dropped it gives"
    );
    Ok(())
}

fn closing_one_stream(fixture: &dyn Fixture) -> Outcome {
    // The caller closes input: output goes on.
    let mut running = start(fixture, &["cat", "+", "write", "1", "200000"])?;
    drop(running.stdin.take());
    let mut check = pattern::Check::default();
    check.take_all(&mut running.stdout)?;
    check.is_exactly(200_000)?;
    ensure_eq!(
        running.process.wait(Some(kit::DEADLINE))?.code,
        Some(0),
        "without input it gives"
    );

    // The process closes output: input goes on to its end.
    let mut running = start(
        fixture,
        &["say", "closing", "+", "close", "1", "+", "drain"],
    )?;
    expect_line(&mut running.stdout, "closing")?;
    let mut stdin = running.stdin.take().ok_or("no standard input")?;
    pattern::each_block(500_000, |block| stdin.write_all(block))?;
    drop(stdin);
    ensure_eq!(
        running.process.wait(Some(kit::DEADLINE))?.code,
        Some(0),
        "without output it gives"
    );

    // The caller closes output: errors and input go on.
    let container = create(fixture, &["line", "+", "exit", "0"])?;
    let process = container.start(Stdio::pipes())?;
    let mut streams = process.take_streams();
    drop(streams.stdout.take());
    streams
        .stdin
        .take()
        .ok_or("no standard input")?
        .write_all(b"x\n")?;
    let mut said = String::new();
    streams
        .stderr
        .take()
        .ok_or("no standard error")?
        .read_to_string(&mut said)?;
    ensure!(
        said.contains("say: "),
        "the writer to a closed output says {said:?}"
    );
    ensure!(
        process.wait(Some(kit::DEADLINE))?.code.is_some(),
        "it did not end by itself"
    );
    Ok(())
}

fn output_ends_with_the_process(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["line", "+", "say", "done"])?;
    let first = container.start(Stdio::pipes())?;
    let streams = first.take_streams();
    // Started while the pipes of the first were open: neither it nor the service may hold their other ends.
    let other = idle(fixture)?;
    let _further = other
        .container
        .create_process(&fixture.process(&["idle"]), Stdio::pipes())?;
    drop(streams.stdin);
    let mut said = String::new();
    streams
        .stdout
        .ok_or("no standard output")?
        .read_to_string(&mut said)?;
    ensure_eq!(said, "got \ndone\n", "it said");
    streams
        .stderr
        .ok_or("no standard error")?
        .read_to_string(&mut said)?;
    ensure_eq!(first.wait(Some(kit::DEADLINE))?.code, Some(0), "it gives");
    Ok(())
}

fn no_other_descriptor(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let first = run(fixture, &["report"])?;
    let further = finish(
        &*running
            .container
            .create_process(&fixture.process(&["report"]), Stdio::pipes())?,
    )?;
    for ran in [first, further] {
        let report = ran.json()?;
        let numbers: Vec<&String> = report["descriptors"]
            .as_object()
            .ok_or("no descriptors are reported")?
            .keys()
            .collect();
        ensure_eq!(
            numbers,
            ["0", "1", "2"],
            "the open descriptors ({}) are",
            report["descriptors"]
        );
    }
    Ok(())
}
