//! Streams by named pipes: the names are taken for as long as a process has them, and no longer.

use std::{
    io::{self, Cursor, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use hoist_compute::{ComputeService, Stdio, Stream};
use hoist_hcs::{
    driver::{Exit, Streams},
    sys::{NamedPipes, Vmcompute},
};
use hoist_spec::ContainerId;
use hoist_testing::{full, windows::KeptInputs};
use hoist_windows::pipe_names::PipeSpace;

use crate::{
    cases::{self, Case, PATIENCE, over_pipes, plan, process, streams, text},
    contract::{service, spec},
};

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "over named pipes an input that never ends is closed with its process, and the next run has the same names",
        inputs_that_never_end,
    ),
    (
        "over named pipes a container of the contract is started again while its callers keep the inputs of the runs before",
        inputs_that_are_kept,
    ),
    (
        "over named pipes a process finds its pipes from its first moment, with no processor to spare",
        pipes_are_there_first,
    ),
];

/// Bytes, and then nothing, until whoever has the other end goes.
struct Never(Cursor<&'static [u8]>, Receiver<()>);

impl Read for Never {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => {
                let _ = self.1.recv();
                Ok(0)
            }
            read => Ok(read),
        }
    }
}

fn inputs_that_never_end(double: &Path) {
    let driver = over_pipes(double);
    let mut kept = Vec::new();
    for (code, bytes) in [(3, &b""[..]), (4, b"a line\r\n"), (5, &[b'x'; 300_000])] {
        let (sender, receiver) = channel();
        kept.push(sender);
        let (streams, output) = streams(None);
        let streams = Streams {
            stdin: Some(Box::new(Never(Cursor::new(bytes), receiver))),
            ..streams
        };
        let line = format!("echo hello& exit {code}");
        let exit = driver.run(plan("p4", &["cmd", "/c", &line], true), streams, None);
        assert!(
            matches!(exit, Ok(Exit::Code(ended)) if ended == code),
            "{exit:?}"
        );
        assert_eq!(text(&output).trim_end(), "hello");
    }
}

fn inputs_that_are_kept(double: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let dll = Vmcompute::load_double(double).unwrap();
    let exports = NamedPipes::new(dll, PipeSpace::Machine, PATIENCE);
    let service = service(exports, folder.path());
    let id: ContainerId = "p5".parse().unwrap();
    let system = service
        .create(&id, &spec(&["cmd", "/c", "exit 7"]))
        .unwrap();
    let mut kept = KeptInputs::default();
    for is_given in [true, false, true] {
        let stdio = Stdio::Streams {
            stdin: kept.input(is_given),
            stdout: Stream::Null,
            stderr: Stream::Null,
        };
        let process = system.start(stdio).unwrap();
        kept.keep(process.take_streams().stdin);
        assert_eq!(process.wait(Some(PATIENCE)).unwrap().code, Some(7));
        system.reset().unwrap();
    }
    system.delete().unwrap();
    assert_eq!(kept.count(), 3);
}

// Row 43: the endpoint accepts a connection before its address is told; 1,000 starts at full CPU with HOIST_TESTS_FULL=1, 20 without.
// The double connects to the names as soon as it hears them, and does not try twice.
fn pipes_are_there_first(double: &Path) {
    let starts = if full() { 1000 } else { 20 };
    let driver = Arc::new(over_pipes(double));
    let runner = Arc::clone(&driver);
    let running = thread::spawn(move || {
        let (streams, _) = streams(None);
        let idle = ["cmd", "/c", "ping -n 36000 127.0.0.1"];
        runner.run(plan("p6", &idle, false), streams, None)
    });
    while !driver.is_running("p6") {
        assert!(!running.is_finished(), "{:?}", running.join());
        thread::sleep(Duration::from_millis(5));
    }
    let done = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..thread::available_parallelism().unwrap().get())
        .map(|_| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    for number in 0..starts {
        let (streams, output) = cases::streams(Some("line\r\n"));
        let echo = ["cmd", "/v:on", "/c", "set /p LINE=& echo got !LINE!"];
        let exit = driver.exec("p6", &process(&echo), streams, None);
        assert!(
            matches!(exit, Ok(Exit::Code(0))),
            "start {number}: {exit:?}"
        );
        assert!(
            text(&output).contains("got line"),
            "start {number}: {:?}",
            text(&output)
        );
        if number % 100 == 99 {
            eprintln!("{} starts", number + 1);
        }
    }
    done.store(true, Ordering::Relaxed);
    for thread in busy {
        thread.join().unwrap();
    }
    driver.signal("p6", 9).unwrap();
    running.join().unwrap().unwrap();
}
