//! The named pipes of plain processes of Windows: whose they are, and for how long.

#![cfg(windows)]
#![allow(
    clippy::unwrap_used,
    reason = "this is test code: a panic is how a test fails"
)]

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::windows::io::OwnedHandle,
    path::Path,
    time::{Duration, Instant},
};

use hoist_compute::{ComputeService, ErrorKind, Process, State, Stdio, Stream, StreamTransport};
use hoist_host::{HostOptions, HostService};
use hoist_spec::{ContainerId, ContainerSpec, ProcessSpec, RootSource};
use hoist_testing::{unfiltered, windows::KeptInputs};
use hoist_windows::named_pipe::{Direction, Listener};
use serde_json::{Value, json};

/// Generous: the machine may be slow.
const IN_TIME: Duration = Duration::from_secs(120);
/// `ERROR_FILE_NOT_FOUND` and `ERROR_PIPE_BUSY`.
const NOT_THERE: Option<i32> = Some(2);
const BUSY: Option<i32> = Some(231);

fn service(folder: &Path) -> HostService {
    let options = HostOptions {
        transport: StreamTransport::NamedPipes,
    };
    HostService::with_options(folder.to_owned(), options).unwrap()
}

/// No other test run has this id.
fn id(word: &str) -> ContainerId {
    format!("{word}{}", std::process::id()).parse().unwrap()
}

fn process(line: &str) -> Value {
    json!({"args": ["cmd", "/v:on", "/c", line], "cwd": "C:\\", "user": {"uid": 0, "gid": 0}})
}

fn spec(line: &str) -> ContainerSpec {
    let oci = json!({"ociVersion": "1.2.0", "process": process(line)});
    unfiltered(oci, RootSource::Unisolated)
}

fn further(line: &str) -> ProcessSpec {
    ProcessSpec {
        oci: serde_json::from_value(process(line)).unwrap(),
        user: None,
    }
}

fn name(id: &ContainerId, stream: &str) -> String {
    format!(r"\\.\pipe\docker-run-{id}-{stream}")
}

/// What becomes of another who opens a pipe that is the process's.
fn opened(name: &str) -> Option<i32> {
    let opened = File::options().write(true).open(name);
    opened.err().and_then(|error| error.raw_os_error())
}

fn output(process: &dyn Process) -> String {
    let mut text = String::new();
    let stdout = process.take_streams().stdout;
    stdout.unwrap().read_to_string(&mut text).unwrap();
    text.trim_end().to_owned()
}

#[test]
fn a_process_has_the_names_of_the_original_driver_and_gives_them_back_with_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let id = id("names");
    let service = service(folder.path());
    let system = service
        .create(&id, &spec("set /p LINE=& echo got !LINE!"))
        .unwrap();
    let first = system.start(Stdio::pipes()).unwrap();
    for stream in ["stdin", "stdout", "stderr"] {
        assert_eq!(opened(&name(&id, stream)), BUSY, "{stream}");
    }
    // Each further process has pipes of its own, with the first one's still there.
    for word in ["one", "two"] {
        let line = format!("echo {word}");
        let exec = system
            .create_process(&further(&line), Stdio::pipes())
            .unwrap();
        assert_eq!(output(&*exec), word);
        assert_eq!(exec.wait(Some(IN_TIME)).unwrap().code, Some(0));
    }
    let mut streams = first.take_streams();
    streams.stdin.take().unwrap().write_all(b"it\r\n").unwrap();
    let mut text = String::new();
    streams
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text.trim_end(), "got it");
    first.wait(Some(IN_TIME)).unwrap();
    drop(streams);
    for stream in ["stdin", "stdout", "stderr"] {
        assert_eq!(opened(&name(&id, stream)), NOT_THERE, "{stream}");
    }
    system.delete().unwrap();
}

#[test]
fn a_name_that_another_has_is_an_error_with_it_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let id = id("taken");
    let service = service(folder.path());
    let written = folder.path().join("written");
    let line = format!("echo started>{}& echo hello", written.display());
    let system = service.create(&id, &spec(&line)).unwrap();
    for stream in ["stdin", "stdout", "stderr"] {
        let taken = Listener::new(&name(&id, stream), Direction::In).unwrap();
        let error = system.start(Stdio::pipes()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert!(error.to_string().contains(&name(&id, stream)), "{error}");
        assert!(error.what_to_do().is_some());
        assert_eq!(system.state().unwrap(), State::Created);
        assert!(!written.exists());
        drop(taken);
    }
    let process = system.start(Stdio::pipes()).unwrap();
    assert_eq!(output(&*process), "hello");
    process.wait(Some(IN_TIME)).unwrap();
    assert!(written.exists());
    system.delete().unwrap();
}

#[test]
fn inputs_that_a_caller_keeps_are_in_no_later_run_s_way_and_output_until_it_is_let_go_of() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let system = service
        .create(&id("kept"), &spec("echo hello& exit 7"))
        .unwrap();
    let (mut kept, mut unread) = (KeptInputs::default(), None);
    for is_given in [true, false, true] {
        let stdio = Stdio::Streams {
            stdin: kept.input(is_given),
            stdout: Stream::Pipe,
            stderr: Stream::Null,
        };
        if let Some(mut output) = unread.take() {
            // Its output has its name until it is let go of.
            let error = system.start(Stdio::pipes()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            let mut text = String::new();
            File::read_to_string(&mut output, &mut text).unwrap();
            assert_eq!(text.trim_end(), "hello");
        }
        let process = system.start(stdio).unwrap();
        let streams = process.take_streams();
        kept.keep(streams.stdin);
        unread = streams.stdout;
        assert_eq!(process.wait(Some(IN_TIME)).unwrap().code, Some(7));
        drop(process);
        system.reset().unwrap();
    }
    system.delete().unwrap();
    assert_eq!(kept.count(), 3);
}

#[test]
fn given_output_is_there_to_its_last_byte_when_the_wait_returns() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let file = folder.path().join("output");
    let line = "for /l %i in (1,1,2000) do @echo line %i";
    for round in ["one", "two", "three"] {
        let system = service.create(&id(round), &spec(line)).unwrap();
        let stdio = Stdio::Streams {
            stdin: Stream::Null,
            stdout: Stream::Given(File::create(&file).unwrap()),
            stderr: Stream::Null,
        };
        let process = system.start(stdio).unwrap();
        process.wait(None).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 2000);
        assert_eq!(text.lines().last(), Some("line 2000"));
        system.delete().unwrap();
    }
}

#[test]
fn a_wait_with_a_time_of_its_own_does_not_wait_longer_for_output_that_nobody_takes() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let line = "for /l %i in (1,1,9000) do @echo a line that fills the pipe %i";
    let system = service.create(&id("untaken"), &spec(line)).unwrap();
    let (_reader, writer) = io::pipe().unwrap();
    let stdio = Stdio::Streams {
        stdin: Stream::Null,
        stdout: Stream::Given(File::from(OwnedHandle::from(writer))),
        stderr: Stream::Null,
    };
    let process = system.start(stdio).unwrap();
    let begun = Instant::now();
    let waits = process.wait(Some(Duration::from_millis(500))).unwrap_err();
    assert_eq!(waits.kind(), ErrorKind::Timeout, "{waits}");
    // Ended by force, whoever does not read.
    process.terminate().unwrap();
    assert!(begun.elapsed() < IN_TIME);
    assert!(process.wait(Some(Duration::ZERO)).is_ok());
    system.delete().unwrap();
}
