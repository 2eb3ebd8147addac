//! What processes read and write.

use std::{
    fs,
    io::{Read, Write},
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{ErrorKind, Stdio, Stream};
use hoist_testing::windows::Usage;

use crate::place::{Case, HANGS_AFTER, Place, further, id, spec};

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "what a process has written is whole however late it is read, and the end of its input is told without a byte",
        whole_streams,
    ),
    (
        "output that is copied or that nobody reads takes none of the engine's memory",
        output_takes_no_memory,
    ),
];

// Row 42: output that is lost at exit, a hang on a pipe, an end of the input that is never told.
fn whole_streams(place: &Place) {
    let name = id("streams");
    let system = place.service.create(&name, &spec(&["sleep"])).unwrap();
    system.start(Stdio::null()).unwrap();
    let start = |arguments: &[&str]| {
        system
            .create_process(&further(arguments), Stdio::pipes())
            .unwrap()
    };
    // What fits into a pipe is there after the process's end, and what does not makes it wait until somebody reads.
    for (count, waits_first) in [(1000, true), (1 << 20, false)] {
        let process = start(&["write", &count.to_string()]);
        let streams = process.take_streams();
        if waits_first {
            process.wait(Some(HANGS_AFTER)).unwrap();
        }
        thread::sleep(Duration::from_millis(300));
        let mut output = Vec::new();
        streams.stdout.unwrap().read_to_end(&mut output).unwrap();
        assert_eq!(output.len(), count);
        assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(6));
        // It reads nothing any more: that is no error of the caller's.
        process.close_stdin().unwrap();
    }
    for written in [&b""[..], b"ab"] {
        let process = start(&["drain"]);
        let mut input = process.take_streams().stdin.unwrap();
        input.write_all(written).unwrap();
        drop(input);
        let code = i32::try_from(written.len()).unwrap() + 4;
        assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(code));
    }
    let process = start(&["drain"]);
    process.close_stdin().unwrap();
    assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(4));
    system.terminate().unwrap();
    system.delete().unwrap();
}

// Of security.md, section 2d: CVE-2022-31030 and CVE-2022-1708, an exec's output without end kept in memory.
fn output_takes_no_memory(place: &Place) {
    const MOST: usize = 8 << 20;
    const WRITTEN: usize = 64 << 20;
    let system = place
        .service
        .create(&id("output"), &spec(&["sleep"]))
        .unwrap();
    system.start(Stdio::null()).unwrap();
    let before = Usage::own().unwrap().private_bytes;
    let file = place.folder.join("output");
    let given = Stdio::Streams {
        stdin: Stream::Null,
        stdout: Stream::Given(fs::File::create(&file).unwrap()),
        stderr: Stream::Null,
    };
    let write = further(&["write", &WRITTEN.to_string()]);
    let copied = system.create_process(&write, given).unwrap();
    let unread = system.create_process(&write, Stdio::pipes()).unwrap();
    assert_eq!(copied.wait(Some(HANGS_AFTER)).unwrap().code, Some(6));
    let after = Usage::own().unwrap().private_bytes;
    // What nobody reads is not written.
    let error = unread.wait(Some(Duration::from_millis(200))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        after < before + MOST,
        "{before} bytes before, {after} after"
    );
    let deadline = Instant::now() + HANGS_AFTER;
    while fs::metadata(&file).unwrap().len() < WRITTEN as u64 {
        assert!(Instant::now() < deadline, "the copy is short");
        thread::sleep(Duration::from_millis(20));
    }
    system.terminate().unwrap();
    system.delete().unwrap();
    fs::remove_file(file).unwrap();
}
