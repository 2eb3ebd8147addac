//! Consoles: their size, their end, and what comes through them.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use hoist_spec::{ConsoleSize, ContainerSpec, ProcessSpec};
use serde_json::Value;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{
        self, Container, create_from, expect_line, idle, read_line, refused, sizes, start,
        with_process,
    },
    pattern,
};
use crate::{ErrorKind, Process, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "the first size that a process sees is the one it was started with",
        covers: &["stdio.console"],
        needs: &[Ability::Console],
        run: the_first_size,
    },
    Behaviour {
        name: "a console can be given another size, and the process hears of it",
        covers: &["process.resize"],
        needs: &[Ability::Console],
        run: another_size,
    },
    Behaviour {
        name: "a process without a console has no size to change",
        covers: &["process.resize-without"],
        needs: &[],
        run: no_console_no_size,
    },
    Behaviour {
        name: "a console is all three streams and controls the process's own session",
        covers: &["stdio.console", "streams.console"],
        needs: &[Ability::Console],
        run: all_three_streams,
    },
    Behaviour {
        name: "console output arrives to the last byte and then ends",
        covers: &["streams.console"],
        needs: &[Ability::Console],
        run: console_output_arrives,
    },
    Behaviour {
        name: "console input arrives, and its end too",
        covers: &["streams.console"],
        needs: &[Ability::Console],
        run: console_input_arrives,
    },
    Behaviour {
        name: "the interrupt key reaches the process as a signal",
        covers: &["streams.console"],
        needs: &[Ability::Console, Ability::Signals],
        run: the_interrupt_key,
    },
    Behaviour {
        name: "a further process has a console of its own",
        covers: &["stdio.console", "exec.starts"],
        needs: &[Ability::Console],
        run: a_console_for_a_further_process,
    },
    Behaviour {
        name: "a console that is resized around the end of its process breaks nothing",
        covers: &["process.resize"],
        needs: &[Ability::Console],
        run: resize_races,
    },
];

const SIZE: ConsoleSize = ConsoleSize {
    height: 33,
    width: 101,
};

fn console_spec(fixture: &dyn Fixture, probe: &[&str]) -> ContainerSpec {
    with_process(fixture.spec(probe), |process| {
        process.set_terminal(Some(true));
    })
}

fn console_process(fixture: &dyn Fixture, probe: &[&str]) -> ProcessSpec {
    let mut process = fixture.process(probe);
    process.oci.set_terminal(Some(true));
    process
}

fn on_console(
    fixture: &dyn Fixture,
    probe: &[&str],
) -> Outcome<(Container, Box<dyn Process>, Console)> {
    let container = create_from(fixture, &console_spec(fixture, probe))?;
    let process = container.start(Stdio::Console(SIZE))?;
    let console = Console::of(&*process)?;
    Ok((container, process, console))
}

/// The caller's side of a console: one file, or on a platform where none is read and written at once, one for each direction.
struct Console {
    output: File,
    input: Option<File>,
}

impl Console {
    fn of(process: &dyn Process) -> Outcome<Self> {
        let streams = process.take_streams();
        match (
            streams.console,
            streams.stdin,
            streams.stdout,
            streams.stderr,
        ) {
            (Some(output), None, None, None) => Ok(Self {
                output,
                input: None,
            }),
            (None, Some(input), Some(output), None) => Ok(Self {
                output,
                input: Some(input),
            }),
            (None, ..) => Err("no console was handed out".into()),
            other => Err(format!("pipes besides a console: {other:?}").into()),
        }
    }
}

impl Read for Console {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input.as_mut().unwrap_or(&mut self.output).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.as_mut().unwrap_or(&mut self.output).flush()
    }
}

/// Reads a console to its end, which Linux tells as an input/output error.
struct ToTheEnd<'a>(&'a Console);

impl Read for ToTheEnd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const EIO: i32 = 5;
        match (&self.0.output).read(buffer) {
            Err(error) if error.raw_os_error() == Some(EIO) => Ok(0),
            result => result,
        }
    }
}

fn the_first_size(fixture: &dyn Fixture) -> Outcome {
    for _ in 0..10 {
        let (_container, process, mut console) = on_console(fixture, &["size"])?;
        expect_line(&mut console, "33 101")?;
        ensure_eq!(process.wait(Some(kit::DEADLINE))?.code, Some(0), "it gives");
    }
    Ok(())
}

fn another_size(fixture: &dyn Fixture) -> Outcome {
    let (_container, process, mut console) = on_console(fixture, &["sizes"])?;
    expect_line(&mut console, "33 101")?;
    for (height, width) in [(24, 80), (1, 1), (500, 1000)] {
        process.resize_console(ConsoleSize { height, width })?;
        expect_line(&mut console, &format!("{height} {width}"))?;
    }
    Ok(())
}

fn no_console_no_size(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    refused(
        running.process.resize_console(SIZE),
        ErrorKind::InvalidState,
        "resize without a console",
    )
    .map(drop)
}

/// That a report tells of a process on a console.
fn expect_console(report: &Value) -> Outcome {
    let size = serde_json::json!([SIZE.height, SIZE.width]);
    ensure_eq!(
        report["terminals"],
        serde_json::json!([size, size, size]),
        "the terminals are"
    );
    ensure_eq!(
        report["controls_terminal"],
        true,
        "whether it controls its session"
    );
    // Windows has no sessions of terminals.
    if !report["session"].is_null() {
        ensure_eq!(report["session"], report["pid"], "the session is");
    }
    Ok(())
}

fn all_three_streams(fixture: &dyn Fixture) -> Outcome {
    let container = create_from(
        fixture,
        &console_spec(fixture, &["report", "+", "warn", "error"]),
    )?;
    let process = container.start(Stdio::Console(SIZE))?;
    let mut console = Console::of(&*process)?;
    ensure!(
        Console::of(&*process).is_err(),
        "the console was handed out twice"
    );
    let report: Value = serde_json::from_str(&read_line(&mut console)?)?;
    expect_console(&report)?;
    expect_line(&mut console, "error")
}

fn console_output_arrives(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    for size in sizes(0..=18) {
        let spec = console_process(fixture, &["write", "1", &size.to_string()]);
        let process = running
            .container
            .create_process(&spec, Stdio::Console(SIZE))?;
        let console = Console::of(&*process)?;
        let mut check = pattern::Check::default();
        check.take_all(ToTheEnd(&console))?;
        check.is_exactly(size)?;
        ensure_eq!(
            process.wait(Some(kit::DEADLINE))?.code,
            Some(0),
            "the writer of {size} bytes gives"
        );
    }
    // A reader that comes after the end finds everything still there.
    let (_container, process, console) = on_console(fixture, &["write", "1", "3000"])?;
    process.wait(Some(kit::DEADLINE))?;
    let mut check = pattern::Check::default();
    check.take_all(ToTheEnd(&console))?;
    check.is_exactly(3000)?;
    Ok(())
}

fn console_input_arrives(fixture: &dyn Fixture) -> Outcome {
    let (_container, process, mut console) =
        on_console(fixture, &["say", "ready", "+", "cat", "+", "exit", "4"])?;
    expect_line(&mut console, "ready")?;
    console.write_all(b"hello\n")?;
    // Once by the echo of the console, once by the process.
    expect_line(&mut console, "hello")?;
    expect_line(&mut console, "hello")?;
    console.write_all(&[END_OF_INPUT])?;
    ensure_eq!(
        process.wait(Some(kit::DEADLINE))?.code,
        Some(4),
        "after the end of input it gives"
    );

    let (_container, process, mut console) = on_console(
        fixture,
        &["raw", "+", "say", "ready", "+", "line", "+", "exit", "0"],
    )?;
    expect_line(&mut console, "ready")?;
    console.write_all(b"a\x03\x04b\n")?;
    expect_line(&mut console, "got a\u{3}\u{4}b")?;
    ensure_eq!(
        process.wait(Some(kit::DEADLINE))?.code,
        Some(0),
        "in raw mode it gives"
    );
    Ok(())
}

const END_OF_INPUT: u8 = 4;
const INTERRUPT: u8 = 3;

fn the_interrupt_key(fixture: &dyn Fixture) -> Outcome {
    let (_container, process, mut console) = on_console(fixture, &["trap", "2", "9"])?;
    expect_line(&mut console, "ready")?;
    console.write_all(&[INTERRUPT])?;
    ensure_eq!(
        process.wait(Some(kit::DEADLINE))?.code,
        Some(9),
        "interrupted, it gives"
    );
    Ok(())
}

fn a_console_for_a_further_process(fixture: &dyn Fixture) -> Outcome {
    let (container, _process, mut first) = on_console(fixture, &["sizes"])?;
    expect_line(&mut first, "33 101")?;
    let further = container.create_process(
        &console_process(fixture, &["report", "+", "sizes"]),
        Stdio::Console(SIZE),
    )?;
    let mut second = Console::of(&*further)?;
    let report: Value = serde_json::from_str(&read_line(&mut second)?)?;
    expect_console(&report)?;
    expect_line(&mut second, "33 101")?;
    // Each has its own size.
    further.resize_console(ConsoleSize {
        height: 7,
        width: 8,
    })?;
    expect_line(&mut second, "7 8")?;
    let size = container.create_process(
        &console_process(fixture, &["size"]),
        Stdio::Console(ConsoleSize {
            height: 2,
            width: 3,
        }),
    )?;
    let mut third = Console::of(&*size)?;
    expect_line(&mut third, "2 3")?;
    let piped = start(fixture, &["report"])?;
    let report: Value = serde_json::from_str(&read_line(&mut &piped.stdout)?)?;
    ensure_eq!(
        report["terminals"],
        serde_json::json!([null, null, null]),
        "without a console the terminals are"
    );
    Ok(())
}

fn resize_races(fixture: &dyn Fixture) -> Outcome {
    for round in 0..20 {
        let (_container, process, console) = on_console(fixture, &["say", "x"])?;
        for _ in 0..round {
            match process.resize_console(SIZE) {
                Ok(()) => {}
                Err(error) => ensure_eq!(
                    error.kind(),
                    ErrorKind::InvalidState,
                    "resize failed ({error}) as"
                ),
            }
        }
        let mut said = String::new();
        ToTheEnd(&console).read_to_string(&mut said)?;
        ensure_eq!(said, "x\r\n", "it said");
        ensure_eq!(process.wait(Some(kit::DEADLINE))?.code, Some(0), "it gives");
    }
    Ok(())
}
