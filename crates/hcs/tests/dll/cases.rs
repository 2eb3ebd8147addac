//! The driver over the double of `vmcompute.dll`.

use std::{
    io::{self, Cursor, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use hoist_hcs::{
    Dialect, Hresult, Plan, Settings,
    calls::{HcsCalls, HcsExports, Limits},
    driver::{BoxError, Driver, Event, Exit, Receiver, Streams},
    request::{ContainerRequest, ProcessRequest},
    sys::{NamedPipes, Vmcompute},
};
use hoist_windows::pipe_names::PipeSpace;

struct Quiet;

impl Receiver for Quiet {
    fn event(&self, _event: &Event) -> Result<(), BoxError> {
        Ok(())
    }

    fn warning(&self, words: &str) {
        panic!("a warning: {words}");
    }
}

#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) type DoubleDriver<E = Vmcompute> = Driver<HcsCalls<E>>;

/// A case that needs the double.
pub(crate) type Case = fn(&Path);

/// The cases by name.
pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "a process is run and its code and output come back",
        |double| a_process_is_run_and_its_code_and_output_come_back(driver(double), "c1"),
    ),
    ("input reaches the process and ends", |double| {
        input_reaches_the_process_and_ends(driver(double), "c2");
    }),
    (
        "further processes run in a container and a signal ends it",
        |double| further_processes_run_in_a_container_and_a_signal_ends_it(driver(double), "c3"),
    ),
    (
        "a program that is not there is an error with its code",
        a_program_that_is_not_there_is_an_error_with_its_code,
    ),
    (
        "over named pipes a process is run and its code and output come back",
        |double| a_process_is_run_and_its_code_and_output_come_back(over_pipes(double), "p1"),
    ),
    (
        "over named pipes input reaches the process and ends",
        |double| input_reaches_the_process_and_ends(over_pipes(double), "p2"),
    ),
    (
        "over named pipes further processes have pipes of their own",
        |double| {
            further_processes_run_in_a_container_and_a_signal_ends_it(over_pipes(double), "p3")
        },
    ),
    (
        "a named pipe that cannot be made is an error with its name, and nothing is started",
        a_pipe_that_cannot_be_made,
    ),
];

fn over<E: HcsExports>(exports: E) -> DoubleDriver<E> {
    let calls = HcsCalls::new(exports, Dialect::Schema1, Limits::default());
    Driver::new(calls, Settings::hoist(), Box::new(Quiet))
}

/// With the pipes in this machine's namespace, where the double's processes are.
pub(crate) fn over_pipes(double: &Path) -> DoubleDriver<NamedPipes<Vmcompute>> {
    let dll = Vmcompute::load_double(double).unwrap();
    over(NamedPipes::new(dll, PipeSpace::Machine, PATIENCE))
}

/// How long the double has to connect.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The driver over the double at `path`.
fn driver(path: &Path) -> DoubleDriver {
    over(Vmcompute::load_double(path).unwrap())
}

pub(crate) fn plan(id: &str, arguments: &[&str], stdin: bool) -> Plan {
    let request = ContainerRequest {
        id: id.to_owned(),
        process: process(arguments),
        ..ContainerRequest::default()
    };
    Plan::new(request, stdin, &Settings::hoist()).unwrap()
}

pub(crate) fn process(arguments: &[&str]) -> ProcessRequest {
    ProcessRequest {
        arguments: arguments.iter().map(|part| (*part).to_owned()).collect(),
        ..ProcessRequest::default()
    }
}

pub(crate) fn streams(stdin: Option<&str>) -> (Streams, Sink) {
    let sink = Sink::default();
    let streams = Streams {
        stdin: stdin.map(|text| Box::new(Cursor::new(text.to_owned())) as _),
        stdout: Box::new(sink.clone()),
        stderr: Box::new(io::sink()),
    };
    (streams, sink)
}

pub(crate) fn text(sink: &Sink) -> String {
    String::from_utf8_lossy(&sink.0.lock().unwrap()).replace("\r\n", "\n")
}

fn a_process_is_run_and_its_code_and_output_come_back<E: HcsExports>(
    driver: DoubleDriver<E>,
    id: &str,
) {
    for code in [0, 3, -1] {
        let (streams, output) = streams(None);
        let line = format!("echo hello& exit {code}");
        let exit = driver.run(plan(id, &["cmd", "/c", &line], false), streams, None);
        assert!(
            matches!(exit, Ok(Exit::Code(ended)) if ended == code),
            "{exit:?}"
        );
        assert_eq!(text(&output).trim_end(), "hello");
    }
}

fn input_reaches_the_process_and_ends<E: HcsExports>(driver: DoubleDriver<E>, id: &str) {
    let (streams, output) = streams(Some("line one\r\n"));
    let echo = ["cmd", "/v:on", "/c", "set /p LINE=& echo got !LINE!"];
    let exit = driver.run(plan(id, &echo, true), streams, None);
    assert!(matches!(exit, Ok(Exit::Code(0))), "{exit:?}");
    assert!(
        text(&output).contains("got line one"),
        "{:?}",
        text(&output)
    );
}

fn further_processes_run_in_a_container_and_a_signal_ends_it<E: HcsExports>(
    driver: DoubleDriver<E>,
    id: &str,
) {
    let driver = Arc::new(driver);
    let (runner, own) = (Arc::clone(&driver), id.to_owned());
    let running = std::thread::spawn(move || {
        let (streams, _) = streams(Some(""));
        let idle = ["cmd", "/c", "ping -n 60 127.0.0.1"];
        runner.run(plan(&own, &idle, false), streams, None)
    });
    while !driver.is_running(id) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for code in 0..20 {
        let (streams, _) = streams(None);
        let line = format!("exit {code}");
        let exit = driver.exec(id, &process(&["cmd", "/c", &line]), streams, None);
        assert!(
            matches!(exit, Ok(Exit::Code(ended)) if ended == code),
            "{exit:?}"
        );
    }
    driver.signal(id, 9).unwrap();
    running.join().unwrap().unwrap();
    assert!(!driver.is_running(id));
}

fn a_program_that_is_not_there_is_an_error_with_its_code(double: &Path) {
    let (streams, _) = streams(None);
    let error = driver(double)
        .run(plan("c4", &["no-such-program.exe"], false), streams, None)
        .unwrap_err();
    assert_eq!(error.function(), Some("HcsCreateProcess"));
    assert_eq!(error.hresult(), Some(Hresult(0x8007_0002)));
}

fn a_pipe_that_cannot_be_made(double: &Path) {
    // The namespace of a container that is none.
    let dll = Vmcompute::load_double(double).unwrap();
    let driver = over(NamedPipes::new(dll, PipeSpace::Container, PATIENCE));
    let (streams, output) = streams(None);
    let line = ["cmd", "/c", "echo started"];
    let error = driver
        .run(plan("c5", &line, false), streams, None)
        .unwrap_err();
    let name = r"\\.\Containers\c5\Device\NamedPipe\docker-run-stdout";
    assert!(error.to_string().contains(name), "{error}");
    assert_eq!(text(&output), "");
    assert!(!driver.is_running("c5"));
}

pub(crate) fn a_missing_dll_is_named_with_what_would_help() {
    let error = match Vmcompute::load_double(Path::new("C:\\no\\such\\vmcompute.dll")) {
        Ok(_) => panic!("there is no such DLL"),
        Err(error) => error.to_string(),
    };
    assert!(
        error.contains("vmcompute.dll") && error.contains("Containers"),
        "{error}"
    );
}
