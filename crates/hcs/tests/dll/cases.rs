//! The driver over the double of `vmcompute.dll`.

use std::{
    io::{self, Cursor, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use hoist_hcs::{
    Dialect, Hresult, Plan, Settings,
    calls::{HcsCalls, Limits},
    driver::{BoxError, Driver, Event, Exit, Receiver, Streams},
    request::{ContainerRequest, ProcessRequest},
    sys::Vmcompute,
};

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
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type DoubleDriver = Driver<HcsCalls<Vmcompute>>;

/// A case that needs the double.
type Case = fn(DoubleDriver);

/// The cases by name.
pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "a process is run and its code and output come back",
        a_process_is_run_and_its_code_and_output_come_back,
    ),
    (
        "input reaches the process and ends",
        input_reaches_the_process_and_ends,
    ),
    (
        "further processes run in a container and a signal ends it",
        further_processes_run_in_a_container_and_a_signal_ends_it,
    ),
    (
        "a program that is not there is an error with its code",
        a_program_that_is_not_there_is_an_error_with_its_code,
    ),
];

/// The driver over the double at `path`.
pub(crate) fn driver(path: &Path) -> DoubleDriver {
    let dll = Vmcompute::load_double(path).unwrap();
    let calls = HcsCalls::new(dll, Dialect::Schema1, Limits::default());
    Driver::new(calls, Settings::hoist(), Box::new(Quiet))
}

fn plan(id: &str, arguments: &[&str], stdin: bool) -> Plan {
    let request = ContainerRequest {
        id: id.to_owned(),
        process: process(arguments),
        ..ContainerRequest::default()
    };
    Plan::new(request, stdin, &Settings::hoist()).unwrap()
}

fn process(arguments: &[&str]) -> ProcessRequest {
    ProcessRequest {
        arguments: arguments.iter().map(|part| (*part).to_owned()).collect(),
        ..ProcessRequest::default()
    }
}

fn streams(stdin: Option<&str>) -> (Streams, Sink) {
    let sink = Sink::default();
    let streams = Streams {
        stdin: stdin.map(|text| Box::new(Cursor::new(text.to_owned())) as _),
        stdout: Box::new(sink.clone()),
        stderr: Box::new(io::sink()),
    };
    (streams, sink)
}

fn text(sink: &Sink) -> String {
    String::from_utf8_lossy(&sink.0.lock().unwrap()).replace("\r\n", "\n")
}

fn a_process_is_run_and_its_code_and_output_come_back(driver: DoubleDriver) {
    for code in [0, 3, -1] {
        let (streams, output) = streams(None);
        let line = format!("echo hello& exit {code}");
        let exit = driver.run(plan("c1", &["cmd", "/c", &line], false), streams, None);
        assert!(
            matches!(exit, Ok(Exit::Code(ended)) if ended == code),
            "{exit:?}"
        );
        assert_eq!(text(&output).trim_end(), "hello");
    }
}

fn input_reaches_the_process_and_ends(driver: DoubleDriver) {
    let (streams, output) = streams(Some("line one\r\n"));
    let echo = ["cmd", "/v:on", "/c", "set /p LINE=& echo got !LINE!"];
    let exit = driver.run(plan("c2", &echo, true), streams, None);
    assert!(matches!(exit, Ok(Exit::Code(0))), "{exit:?}");
    assert!(
        text(&output).contains("got line one"),
        "{:?}",
        text(&output)
    );
}

fn further_processes_run_in_a_container_and_a_signal_ends_it(driver: DoubleDriver) {
    let driver = Arc::new(driver);
    let runner = Arc::clone(&driver);
    let running = std::thread::spawn(move || {
        let (streams, _) = streams(Some(""));
        let idle = ["cmd", "/c", "ping -n 60 127.0.0.1"];
        runner.run(plan("c3", &idle, false), streams, None)
    });
    while !driver.is_running("c3") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for code in 0..20 {
        let (streams, _) = streams(None);
        let line = format!("exit {code}");
        let exit = driver.exec("c3", &process(&["cmd", "/c", &line]), streams, None);
        assert!(
            matches!(exit, Ok(Exit::Code(ended)) if ended == code),
            "{exit:?}"
        );
    }
    driver.signal("c3", 9).unwrap();
    running.join().unwrap().unwrap();
    assert!(!driver.is_running("c3"));
}

fn a_program_that_is_not_there_is_an_error_with_its_code(driver: DoubleDriver) {
    let (streams, _) = streams(None);
    let error = driver
        .run(plan("c4", &["no-such-program.exe"], false), streams, None)
        .unwrap_err();
    assert_eq!(error.function(), Some("HcsCreateProcess"));
    assert_eq!(error.hresult(), Some(Hresult(0x8007_0002)));
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
