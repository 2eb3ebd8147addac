//! Being attached: to a container in the background, and to one in the foreground with a terminal.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use hoist_testing::{Need, Suite, hangs_after};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use super::hoist::{DEADLINE, Hoist, until};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "a container in the foreground whose output nobody reads any more, and which ignores that, is ended by force",
            &[Need::Namespaces],
            unread_output,
        )
        .test(
            "all who are attached get everything, and the exit code",
            &[Need::Namespaces],
            everybody_gets_everything,
        )
        .test(
            "what one who is attached writes reaches the container, and its input stays open after him",
            &[Need::Namespaces],
            input_reaches_the_container,
        )
        .test(
            "one who takes nothing does not stop the container, and is told how much he has missed",
            &[Need::Namespaces],
            the_slow_one_misses_something,
        )
        .test(
            "a hundred who attach and go leave nothing behind in the supervisor",
            &[Need::Namespaces],
            many_come_and_go,
        )
        .test(
            "run -it is a terminal: its size, its bytes, its exit code, and the caller's mode restored",
            &[Need::Namespaces],
            a_foreground_terminal,
        )
        .test(
            "ctrl-p ctrl-q detaches from run -it, and attach comes back to it",
            &[Need::Namespaces],
            detached_by_keys,
        )
        .test(
            "--detach-keys chooses other keys, and the usual ones are passed on",
            &[Need::Namespaces],
            other_keys,
        )
        .test(
            "run -it --rm removes the container, and wait for it gets its status all the same",
            &[Need::Namespaces],
            a_terminal_that_is_removed,
        )
        .test(
            "a container with a terminal waits for its reader and loses nothing",
            &[Need::Namespaces],
            a_terminal_is_waited_for,
        )
}

fn everybody_gets_everything() {
    let hoist = Hoist::new();
    let id = hoist.detached(
        &["-i"],
        "read line; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i + 1)); done; echo err >&2; exit 9",
    );
    let attached: Vec<Child> = (0..5)
        .map(|_| hoist.spawn(&["attach", "--no-stdin", &id]))
        .collect();
    hoist.until_connected(&id, attached.len(), &attached);
    let mut sender = hoist
        .command(&["attach", &id])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    sender.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    let expected: String = (0..2000).map(|number| format!("line {number}\n")).collect();
    hangs_after(DEADLINE, move || {
        for child in attached {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(9));
            assert!(
                output.stdout == expected.as_bytes(),
                "{} bytes",
                output.stdout.len()
            );
            assert_eq!(output.stderr, b"err\n");
        }
        assert_eq!(sender.wait().unwrap().code(), Some(9));
    });
}

fn input_reaches_the_container() {
    let hoist = Hoist::new();
    let id = hoist.detached(
        &["-i"],
        "while read line; do echo got $line; done; echo end",
    );
    for word in ["one", "two"] {
        let mut child = hoist
            .command(&["attach", &id])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{word}").unwrap();
        until("it has arrived", || hoist.ok(&["logs", &id]).contains(word));
        drop(input);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(hoist.ok(&["logs", &id]), "got one\ngot two");
    assert!(hoist.status(&id).starts_with("Up"));
}

fn the_slow_one_misses_something() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["-i"], "read line; seq 1 300000; echo done; sleep 1000");
    let mut slow = hoist
        .command(&["attach", &id])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    slow.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    until("the container has gone on", || {
        hoist.ok(&["logs", "-n", "1", &id]) == "done"
    });
    // Now it takes what there is: first what was kept for it, then how much was not.
    let (mut output, mut errors) = (slow.stdout.take().unwrap(), slow.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let mut told = [0; 200];
    let count = hangs_after(DEADLINE, move || {
        let count = errors.read(&mut told).unwrap();
        String::from_utf8_lossy(&told[..count]).into_owned()
    });
    assert!(count.contains("bytes of output were not taken"), "{count}");
    hoist.ok(&["kill", &id]);
    slow.wait().unwrap();
    assert!(reader.join().unwrap().starts_with(b"1\n2\n3\n"));
}

fn many_come_and_go() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["-i"], "while true; do echo x; sleep 0.01; done");
    // Its log is opened with the first line.
    until("it has written", || !hoist.ok(&["logs", &id]).is_empty());
    let pid = hoist.supervisor(&id).unwrap();
    let count = |what: &str| {
        std::fs::read_dir(format!("/proc/{pid}/{what}"))
            .unwrap()
            .count()
    };
    // The connection of who launched it may be open still, and is no part of what is counted.
    let before = (count("fd"), count("task"));
    for number in 0..100 {
        let mut child = hoist.spawn(&["attach", &id]);
        if number % 10 == 0 {
            std::thread::sleep(Duration::from_millis(30));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    until("nothing is left", || {
        count("fd") <= before.0 && count("task") <= before.1
    });
}

/// A terminal on which a command runs.
struct Terminal {
    control: File,
    device: OwnedFd,
    seen: String,
}

impl Terminal {
    fn new() -> Self {
        let control =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&control).unwrap();
        unlockpt(&control).unwrap();
        let name = ptsname(&control, Vec::new()).unwrap();
        let flags =
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let device = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
        let size = Winsize {
            ws_row: 33,
            ws_col: 101,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&device, size).unwrap();
        Self {
            control: control.into(),
            device,
            seen: String::new(),
        }
    }

    fn spawn(&self, hoist: &Hoist, words: &[&str]) -> Child {
        let stream = || Stdio::from(self.device.try_clone().unwrap());
        hoist
            .command(words)
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.control.write_all(bytes).unwrap();
    }

    /// Reads until `text` was seen.
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        let mut piece = [0; 4096];
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{text:?} was never seen, only {:?}",
                self.seen
            );
            let limit = Timespec::try_from(left).unwrap();
            let mut set = [PollFd::new(&self.control, PollFlags::IN)];
            if poll(&mut set, Some(&limit)).unwrap() > 0 {
                let count = self.control.read(&mut piece).unwrap();
                self.seen
                    .push_str(&String::from_utf8_lossy(&piece[..count]));
            }
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }

    fn is_raw(&self) -> bool {
        let mode = tcgetattr(self.device.as_fd()).unwrap();
        !mode.local_modes.contains(LocalModes::ICANON)
    }
}

fn ended(mut child: Child) -> Option<i32> {
    hangs_after(DEADLINE, move || child.wait().unwrap().code())
}

fn a_foreground_terminal() {
    let hoist = Hoist::new();
    let mut terminal = Terminal::new();
    let child = terminal.spawn(
        &hoist,
        &[
            "run",
            "-it",
            "--name",
            "t",
            "sh",
            "-c",
            "stty size; read x; echo got $x; exit 6",
        ],
    );
    terminal.expect("33 101\r\n");
    assert!(terminal.is_raw());
    let size = Winsize {
        ws_row: 20,
        ws_col: 60,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal.device, size).unwrap();
    terminal.write(b"word\r");
    terminal.expect("got word\r\n");
    assert_eq!(ended(child), Some(6));
    assert!(!terminal.is_raw());
    assert!(hoist.ok(&["logs", "t"]).contains("got word"));
}

fn detached_by_keys() {
    let hoist = Hoist::new();
    let mut terminal = Terminal::new();
    let script = "echo ready; while read line; do echo got $line; [ $line = end ] && exit 4; done";
    let child = terminal.spawn(&hoist, &["run", "-it", "--name", "t", "sh", "-c", script]);
    terminal.expect("ready");
    terminal.write(b"one\r");
    terminal.expect("got one");
    terminal.write(b"\x10\x11");
    assert_eq!(ended(child), Some(0));
    assert!(!terminal.is_raw());
    assert!(hoist.status("t").starts_with("Up"));
    let child = terminal.spawn(&hoist, &["attach", "t"]);
    until("it is attached", || terminal.is_raw());
    // A part of the keys is passed on when something else follows.
    terminal.write(b"two\r");
    terminal.expect("got two");
    terminal.write(b"\x10");
    std::thread::sleep(Duration::from_millis(50));
    terminal.write(b"\x11");
    assert_eq!(ended(child), Some(0));
    let child = terminal.spawn(&hoist, &["attach", "t"]);
    until("it is attached", || terminal.is_raw());
    terminal.write(b"end\r");
    assert_eq!(ended(child), Some(4));
}

fn other_keys() {
    let hoist = Hoist::new();
    let mut terminal = Terminal::new();
    let script =
        "stty raw -echo; echo ready; for i in 1 2; do head -c 2 | od -An -tx1; done; sleep 1000";
    let words = [
        "run",
        "-it",
        "--detach-keys",
        "ctrl-x,y",
        "--name",
        "t",
        "sh",
        "-c",
        script,
    ];
    let child = terminal.spawn(&hoist, &words);
    terminal.expect("ready");
    terminal.write(b"\x10\x11");
    terminal.expect("10 11");
    terminal.write(b"\x18y");
    assert_eq!(ended(child), Some(0));
    assert!(hoist.status("t").starts_with("Up"));
    let child = terminal.spawn(&hoist, &["attach", "--detach-keys", "a", "t"]);
    until("it is attached", || terminal.is_raw());
    terminal.write(b"\x18y");
    terminal.expect("18 79");
    terminal.write(b"a");
    assert_eq!(ended(child), Some(0));
    assert!(hoist.status("t").starts_with("Up"));
}

fn a_terminal_that_is_removed() {
    let hoist = Hoist::new();
    let mut terminal = Terminal::new();
    let child = terminal.spawn(
        &hoist,
        &[
            "run",
            "-it",
            "--rm",
            "--name",
            "t",
            "sh",
            "-c",
            "echo ready; read x; exit 5",
        ],
    );
    terminal.expect("ready");
    let id = hoist.ok(&["ps", "-q", "--no-trunc"]);
    let waits: Vec<Child> = (0..3).map(|_| hoist.spawn(&["wait", "t"])).collect();
    hoist.until_connected(&id, waits.len(), &waits);
    terminal.write(b"\r");
    assert_eq!(ended(child), Some(5));
    for wait in waits {
        assert_eq!(wait.wait_with_output().unwrap().stdout, b"5\n");
    }
    until("it is gone", || hoist.ok(&["ps", "-aq"]).is_empty());
}

fn a_terminal_is_waited_for() {
    let hoist = Hoist::new();
    let mut terminal = Terminal::new();
    let child = terminal.spawn(
        &hoist,
        &[
            "run",
            "-it",
            "--name",
            "t",
            "sh",
            "-c",
            "stty -echo; echo ready; seq 1 60000; echo end",
        ],
    );
    terminal.expect("ready");
    // Longer than the patience with others who are attached.
    std::thread::sleep(Duration::from_secs(3));
    for number in (1..=60_000).step_by(5000) {
        terminal.expect(&format!("\n{number}\r\n{}\r\n", number + 1));
    }
    terminal.expect("\n60000\r\nend\r\n");
    assert_eq!(ended(child), Some(0));
}

fn unread_output() {
    let hoist = Hoist::new();
    let script = "trap '' HUP PIPE; while :; do echo x || sleep 0.01; done";
    for options in [&["--rm", "-t"][..], &["--restart", "always"]] {
        let mut run = hoist.spawn(&[&["run"], options, &["--", "sh", "-c", script]].concat());
        let mut first = [0];
        std::io::Read::read_exact(run.stdout.as_mut().unwrap(), &mut first).unwrap();
        drop(run.stdout.take());
        let output = hangs_after(DEADLINE, move || run.wait_with_output().unwrap());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(128 + 9), "{options:?}: {errors}");
        assert!(errors.contains("nobody reads its output"), "{errors}");
        assert_eq!(hoist.ok(&["ps", "-q"]), "", "{options:?}");
    }
}
