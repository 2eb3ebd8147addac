//! `-t`: a real terminal on both sides.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod linux {
    use std::{
        process::{Child, Command},
        time::Duration,
    };

    use hoist_testing::{
        Modes, Terminal,
        command::{By::Anyone, Case, DEADLINE, Hoist, Ran, ended_within, finish},
        full,
        probe::{report::Report, sys},
    };

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "-t is a terminal of the container's own that controls its session",
            by: Anyone,
            needs: &[],
            run: own_terminal,
        },
        Case {
            name: "the caller's terminal is raw while the program runs, and as before when it has ended",
            by: Anyone,
            needs: &[],
            run: raw_and_back,
        },
        Case {
            name: "what is typed reaches the program, and its echo and output the terminal",
            by: Anyone,
            needs: &[],
            run: typing,
        },
        Case {
            name: "a key that makes a signal makes it in the container, not for hoist",
            by: Anyone,
            needs: &[],
            run: interrupt_key,
        },
        Case {
            name: "the terminal is as before when hoist is sent SIGTERM, SIGHUP, SIGINT or SIGQUIT",
            by: Anyone,
            needs: &[],
            run: restored_after_signals,
        },
        Case {
            name: "the terminal is as before when the container is killed or the start fails",
            by: Anyone,
            needs: &[],
            run: restored_after_failures,
        },
        Case {
            name: "signals sent to hoist reach the container, with a terminal and without",
            by: Anyone,
            needs: &[],
            run: signals_forwarded,
        },
        Case {
            // Row 14 of the list of known failures.
            name: "the first size that the program asks for is the terminal's",
            by: Anyone,
            needs: &[],
            run: first_size,
        },
        Case {
            // Row 14.
            name: "the program follows the terminal's size",
            by: Anyone,
            needs: &[],
            run: resize,
        },
        Case {
            // Row 14: a resize while the start is under way is neither lost nor an error.
            name: "a resize at any moment of the start is kept",
            by: Anyone,
            needs: &[],
            run: early_resize,
        },
        Case {
            // Row 14.
            name: "a terminal without a size gives the program one all the same",
            by: Anyone,
            needs: &[],
            run: no_size,
        },
        Case {
            name: "exec -it has a terminal of its own, with its size and its resizes",
            by: Anyone,
            needs: &[],
            run: exec,
        },
        Case {
            name: "-t without -i works into a pipe, and nothing is lost",
            by: Anyone,
            needs: &[],
            run: into_a_pipe,
        },
        Case {
            name: "a terminal that goes away ends the container",
            by: Anyone,
            needs: &[],
            run: hang_up,
        },
        Case {
            name: "hoist stopped and continued puts the terminal into raw mode again",
            by: Anyone,
            needs: &[],
            run: stopped_and_continued,
        },
    ];

    fn ended(child: Child) -> Ran {
        ended_within(DEADLINE, child, "hoist on a terminal".to_owned())
    }

    /// Runs it on a new terminal to its end: the code, and what was shown.
    fn shown(command: &mut Command) -> (i32, String) {
        let mut terminal = Terminal::open(24, 80);
        let before = terminal.modes();
        let ran = ended(terminal.start(command));
        assert_eq!(terminal.modes(), before);
        (ran.code, terminal.rest())
    }

    fn own_terminal(hoist: &Hoist) {
        let (code, text) = shown(&mut hoist.container(&["--rm", "-it"], &["report"]));
        assert_eq!(code, 0, "{text}");
        let report: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(report.terminals, [Some([24, 80]); 3]);
        assert!(report.controls_terminal);
        assert_eq!((report.session, report.group), (1, 1));
        assert!(
            report.devices.iter().any(|name| name == "console"),
            "{:?}",
            report.devices
        );
        for target in report.descriptors.values() {
            assert!(target.starts_with("/dev/pts/"), "{target}");
        }
        assert!(text.ends_with("\r\n"), "{text:?}");
    }

    fn raw_and_back(hoist: &Hoist) {
        for options in [&["--rm", "-it"][..], &["--rm", "-it", "--init"]] {
            let mut terminal = Terminal::open(24, 80);
            let before = terminal.modes();
            assert!(before.is_cooked());
            let child = terminal.start(&mut hoist.container(options, &["line", "+", "exit", "3"]));
            terminal.wait_for_modes("raw", Modes::is_raw);
            terminal.enter("on\r");
            ended(child).ended_with(3);
            assert_eq!(terminal.modes(), before);
        }
        // Without -i nothing is read, and the terminal is left as it is.
        let terminal = Terminal::open(24, 80);
        let before = terminal.modes();
        let child = terminal.start(&mut hoist.container(&["--rm", "-t"], &["sleep", "300"]));
        ended(child).ended_with(0);
        assert_eq!(terminal.modes(), before);
    }

    fn typing(hoist: &Hoist) {
        let mut terminal = Terminal::open(24, 80);
        let child = terminal.start(&mut hoist.container(
            &["--rm", "-it"],
            &["say", "ready", "+", "line", "+", "line"],
        ));
        terminal.expect("ready\r\n");
        terminal.enter("some wrods\x7f\x7f\x7f\x7fords\r");
        terminal.expect("got some words\r\n");
        terminal.enter("bye\r");
        terminal.expect("bye\r\ngot bye\r\n");
        ended(child).ended_with(0);
        // The end-of-file key.
        let mut terminal = Terminal::open(24, 80);
        let child = terminal.start(&mut hoist.container(
            &["--rm", "-it"],
            &["say", "ready", "+", "cat", "+", "exit", "4"],
        ));
        terminal.expect("ready\r\n");
        terminal.enter("x\r\x04");
        ended(child).ended_with(4);
    }

    fn interrupt_key(hoist: &Hoist) {
        for (key, signal) in [("\x03", "2"), ("\x1c", "3")] {
            let mut terminal = Terminal::open(24, 80);
            let child =
                terminal.start(&mut hoist.container(&["--rm", "-it"], &["trap", signal, "7"]));
            terminal.expect("ready\r\n");
            terminal.enter(key);
            terminal.expect("caught\r\n");
            ended(child).ended_with(7);
        }
    }

    fn restored_after_signals(hoist: &Hoist) {
        for signal in [15, 1, 2, 3] {
            let mut terminal = Terminal::open(24, 80);
            let before = terminal.modes();
            // Under --init the default of a signal ends the program, and with it the container.
            let child = terminal.start(&mut hoist.container(&["--rm", "-it", "--init"], &["idle"]));
            terminal.expect("ready\r\n");
            terminal.wait_for_modes("raw", Modes::is_raw);
            sys::kill(child.id().cast_signed(), signal).unwrap();
            ended(child).ended_with(128 + signal);
            assert_eq!(terminal.modes(), before, "signal {signal}");
        }
    }

    fn restored_after_failures(hoist: &Hoist) {
        let mut terminal = Terminal::open(24, 80);
        let before = terminal.modes();
        let child =
            terminal.start(&mut hoist.container(&["--rm", "-it", "--name", "x"], &["idle"]));
        terminal.expect("ready\r\n");
        hoist.hoist(&["kill", "x"]).succeeded();
        ended(child).ended_with(137);
        assert_eq!(terminal.modes(), before);
        for options in [
            &["--rm", "-it", "-w", "/nosuch"][..],
            &["-it", "-u", "nosuch"],
        ] {
            let (code, text) = shown(&mut hoist.container(options, &["idle"]));
            assert!(code == 127 || code == 125, "{code}");
            assert!(text.contains("nosuch"), "{text}");
        }
    }

    fn signals_forwarded(hoist: &Hoist) {
        for signal in [1, 2, 10, 12, 15, 34] {
            let words = signal.to_string();
            let mut running = hoist.background("x", &["--rm"], &["trap", &words, "5"]);
            sys::kill(running.pid(), signal).unwrap();
            assert_eq!(running.line(), "caught");
            running.ended().ended_with(5);
            drop(running);
            let mut terminal = Terminal::open(24, 80);
            let child =
                terminal.start(&mut hoist.container(&["--rm", "-it"], &["trap", &words, "5"]));
            terminal.expect("ready\r\n");
            sys::kill(child.id().cast_signed(), signal).unwrap();
            terminal.expect("caught\r\n");
            ended(child).ended_with(5);
        }
        // One that comes before there is a container to have it waits, or ends the command: it is never lost.
        let tries = if full() { 300 } else { 30 };
        for delay in 0..tries {
            let child = hoist
                .container(&["--rm", "--init"], &["sleep", "60000"])
                .spawn()
                .unwrap();
            let pid = child.id().cast_signed();
            std::thread::sleep(Duration::from_micros(delay * 1000));
            sys::kill(pid, 15).unwrap();
            ended(child).ended_with(128 + 15);
        }
    }

    fn first_size(hoist: &Hoist) {
        for (rows, columns) in [(24, 80), (1, 1), (50, 132), (1000, 500)] {
            let mut terminal = Terminal::open(rows, columns);
            let child = terminal.start(&mut hoist.container(&["--rm", "-it"], &["size"]));
            ended(child).ended_with(0);
            assert_eq!(terminal.rest(), format!("{rows} {columns}\r\n"));
        }
    }

    fn resize(hoist: &Hoist) {
        let mut terminal = Terminal::open(24, 80);
        let child = terminal.start(&mut hoist.container(&["--rm", "-it", "--init"], &["sizes"]));
        terminal.expect("24 80\r\n");
        for (rows, columns) in [(30, 100), (10, 20), (24, 80)] {
            terminal.resize(rows, columns);
            terminal.expect(&format!("{rows} {columns}\r\n"));
        }
        sys::kill(child.id().cast_signed(), 15).unwrap();
        ended(child).ended_with(143);
    }

    fn early_resize(hoist: &Hoist) {
        let tries = if full() { 200 } else { 20 };
        for delay in 0..tries {
            let mut terminal = Terminal::open(24, 80);
            let child =
                terminal.start(&mut hoist.container(&["--rm", "-it", "--init"], &["sizes"]));
            std::thread::sleep(Duration::from_micros(delay * 1500));
            terminal.resize(33, 99);
            terminal.expect("33 99\r\n");
            sys::kill(child.id().cast_signed(), 15).unwrap();
            ended(child).ended_with(143);
        }
    }

    fn no_size(hoist: &Hoist) {
        let mut terminal = Terminal::open(0, 0);
        let child = terminal.start(&mut hoist.container(&["--rm", "-it"], &["size"]));
        ended(child).ended_with(0);
        assert_eq!(terminal.rest(), "24 80\r\n");
    }

    fn exec(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let mut terminal = Terminal::open(31, 71);
        let before = terminal.modes();
        let child = terminal.start(&mut hoist.further(&["-it"], "web", &["sizes"]));
        terminal.expect("31 71\r\n");
        terminal.wait_for_modes("raw", Modes::is_raw);
        terminal.resize(41, 91);
        terminal.expect("41 91\r\n");
        terminal.enter("\x03");
        ended(child).ended_with(130);
        assert_eq!(terminal.modes(), before);
        let (code, text) = shown(&mut hoist.further(&["-it"], "web", &["report"]));
        assert_eq!(code, 0, "{text}");
        let report: Report = serde_json::from_str(&text).unwrap();
        assert!(report.controls_terminal);
    }

    fn into_a_pipe(hoist: &Hoist) {
        let ran = finish(
            &mut hoist.container(&["--rm", "-t"], &["say", "one", "+", "warn", "two"]),
            b"",
        );
        assert_eq!(ran.succeeded(), "one\r\ntwo\r\n");
    }

    fn hang_up(hoist: &Hoist) {
        let mut terminal = Terminal::open(24, 80);
        let child = terminal.start(&mut hoist.container(&["--rm", "-it", "--init"], &["idle"]));
        terminal.expect("ready\r\n");
        drop(terminal);
        let ran = ended(child);
        assert_eq!(ran.code, 128 + 1, "SIGHUP");
    }

    fn stopped_and_continued(hoist: &Hoist) {
        let mut terminal = Terminal::open(24, 80);
        let before = terminal.modes();
        let child = terminal.start(&mut hoist.container(
            &["--rm", "-it"],
            &["say", "ready", "+", "line", "+", "exit", "2"],
        ));
        terminal.expect("ready\r\n");
        terminal.wait_for_modes("raw", Modes::is_raw);
        let pid = child.id().cast_signed();
        sys::kill(pid, 19).unwrap();
        // As a shell does when it takes the terminal back.
        terminal.set_modes(&before);
        sys::kill(pid, 18).unwrap();
        terminal.wait_for_modes("raw again", Modes::is_raw);
        terminal.enter("on\r");
        ended(child).ended_with(2);
        assert_eq!(terminal.modes(), before);
    }
}
