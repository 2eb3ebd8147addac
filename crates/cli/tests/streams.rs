//! Standard streams to the last byte.
//!
//! Bounded by default; `HOIST_TESTS_FULL=1` makes the whole count of tries.

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
        fs::File,
        io::{Read, Write},
        process::{Child, Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    use hoist_compute::conformance::pattern::{Check, bytes, each_block};
    use hoist_testing::{
        Need, Terminal,
        command::{
            By::{Anyone, Caller},
            Case, Hoist, ended_within, finish,
        },
        full,
    };
    use serde_json::Value;

    /// More than the longest transfer takes on a slow machine.
    const LONG: Duration = Duration::from_secs(600);

    pub(super) const CASES: &[Case] = &[
        Case {
            // Row 10 of the list of known failures.
            name: "output of every size around the powers of two arrives whole, through a pipe and in a file",
            by: Caller,
            needs: &[],
            run: sizes,
        },
        Case {
            // Row 10.
            name: "output of every size arrives whole through a terminal",
            by: Caller,
            needs: &[],
            run: sizes_on_a_terminal,
        },
        Case {
            name: "what is written just before the end is never lost, from run and from exec",
            by: Caller,
            needs: &[],
            run: just_before_the_end,
        },
        Case {
            name: "what is written just before the end is never lost on a terminal",
            by: Caller,
            needs: &[],
            run: just_before_the_end_on_a_terminal,
        },
        Case {
            name: "a gibibyte through standard input arrives whole",
            by: Caller,
            needs: &[],
            run: large_input,
        },
        Case {
            name: "a gibibyte through standard output arrives whole",
            by: Caller,
            needs: &[],
            run: large_output,
        },
        Case {
            // Row 11.
            name: "500 MB of input into a file are all stored, though standard output has ended",
            by: Caller,
            needs: &[],
            run: input_outlives_output,
        },
        Case {
            // Row 11.
            name: "the end of input reaches the process, however early it comes, in run and in exec",
            by: Anyone,
            needs: &[],
            run: end_of_input,
        },
        Case {
            // Row 11.
            name: "closing one stream leaves the others",
            by: Anyone,
            needs: &[],
            run: one_stream_closed,
        },
        Case {
            // Row 7: the streams are the caller's own, so nobody waits for their end.
            name: "a process left behind that holds the streams delays no end",
            by: Anyone,
            needs: &[],
            run: left_behind,
        },
        Case {
            name: "a reader of the output that goes away ends the program by its own SIGPIPE",
            by: Anyone,
            needs: &[Need::Tool("sh")],
            run: reader_gone,
        },
        Case {
            name: "standard output and standard error are two streams, and the caller's own descriptors",
            by: Anyone,
            needs: &[],
            run: own_descriptors,
        },
        Case {
            name: "standard streams that the caller has closed are /dev/null, and nothing that is opened later",
            by: Caller,
            needs: &[Need::Tool("sh")],
            run: closed_streams,
        },
        Case {
            name: "a command whose reader has gone away is not ended by SIGPIPE",
            by: Caller,
            needs: &[],
            run: command_without_reader,
        },
    ];

    /// 2^k − 1, 2^k and 2^k + 1 for each k up to `power`.
    fn around_powers(power: u32) -> impl Iterator<Item = u64> {
        (0..=power).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1])
    }

    fn sizes(hoist: &Hoist) {
        let (power, times) = if full() { (27, 200) } else { (20, 1) };
        for _ in 0..times {
            for size in around_powers(power) {
                let text = size.to_string();
                let mut child = hoist
                    .container(&["--rm"], &["write", "1", &text])
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                receive(child.stdout.take().unwrap(), size);
                ended(child, 0);

                let file = hoist.path("out");
                let child = hoist
                    .container(&["--rm"], &["write", "2", &text])
                    .stderr(File::create(&file).unwrap())
                    .spawn()
                    .unwrap();
                ended(child, 0);
                receive(File::open(&file).unwrap(), size);
                std::fs::remove_file(&file).unwrap();
            }
        }
    }

    fn receive(source: impl Read, size: u64) {
        let mut check = Check::default();
        check.take_all(source).unwrap();
        assert_eq!(check.is_exactly(size), Ok(()));
    }

    fn ended(child: Child, code: i32) {
        ended_within(LONG, child, "hoist".to_owned()).ended_with(code);
    }

    fn sizes_on_a_terminal(hoist: &Hoist) {
        let (power, times) = if full() { (24, 200) } else { (18, 1) };
        for _ in 0..times {
            for size in around_powers(power) {
                let text = size.to_string();
                let mut terminal = Terminal::open(24, 80);
                let child = terminal.start(
                    &mut hoist.container(&["--rm", "-it"], &["write", "1", &text, "+", "say", "!"]),
                );
                // `!` is not in the pattern.
                let shown = terminal.until("!\r\n");
                let mut check = Check::default();
                check.take(shown.as_bytes());
                assert_eq!(check.is_exactly(size), Ok(()));
                ended(child, 0);
            }
        }
    }

    fn just_before_the_end(hoist: &Hoist) {
        let tries = if full() { 10_000 } else { 500 };
        let _running = hoist.background("web", &[], &["idle"]);
        for number in 0..tries {
            let text = format!("line {number}");
            let ran = if number % 2 == 0 {
                hoist.exec(&[], "web", &["say", &text])
            } else {
                hoist.run(&[], &["say", &text])
            };
            assert_eq!(ran.succeeded(), format!("{text}\n"));
        }
    }

    fn just_before_the_end_on_a_terminal(hoist: &Hoist) {
        let tries = if full() { 10_000 } else { 200 };
        let _running = hoist.background("web", &[], &["idle"]);
        for number in 0..tries {
            let text = format!("line {number}");
            let ran = if number % 2 == 0 {
                hoist.exec(&["-t"], "web", &["say", &text])
            } else {
                hoist.run(&["-t"], &["say", &text])
            };
            assert_eq!(ran.succeeded(), format!("{text}\r\n"));
        }
    }

    /// As much as the whole test says, or a part of it.
    fn much() -> u64 {
        if full() { 1 << 30 } else { 1 << 27 }
    }

    fn large_input(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        for mut command in [
            hoist.container(&["--rm", "-i"], &["check"]),
            hoist.further(&["-i"], "web", &["check"]),
        ] {
            let found: Value = feed(&mut command, much());
            assert_eq!(found["bytes"], much());
            assert_eq!(found["intact"], true);
        }
    }

    /// Runs a command with so much of the pattern on its input; its output as JSON.
    fn feed(command: &mut Command, size: u64) -> Value {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        each_block(size, |block| input.write_all(block)).unwrap();
        drop(input);
        ended_within(LONG, child, format!("{command:?}")).json()
    }

    fn large_output(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let size = much().to_string();
        for mut command in [
            hoist.container(&["--rm"], &["write", "1", &size]),
            hoist.further(&[], "web", &["write", "1", &size]),
        ] {
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            receive(child.stdout.take().unwrap(), much());
            ended(child, 0);
        }
    }

    fn input_outlives_output(hoist: &Hoist) {
        let size = if full() { 500_000_000 } else { 64 << 20 };
        let folder = hoist.make_folder("data");
        let volume = format!("{folder}:/mnt");
        let mut child = hoist
            .container(
                &["--rm", "-i", "-v", &volume],
                &[
                    "write",
                    "1",
                    "196608",
                    "+",
                    "close",
                    "1",
                    "+",
                    "store",
                    "/mnt/file",
                    "+",
                    "exit",
                    "7",
                ],
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The program lets go of standard output long before the input ends.
        let output = child.stdout.take().unwrap();
        receive(output.take(196_608), 196_608);
        let mut input = child.stdin.take().unwrap();
        each_block(size, |block| input.write_all(block)).unwrap();
        drop(input);
        ended(child, 7);
        receive(File::open(format!("{folder}/file")).unwrap(), size);
        std::fs::remove_dir_all(folder).unwrap();
    }

    fn end_of_input(hoist: &Hoist) {
        let tries = if full() { 1000 } else { 60 };
        let _running = hoist.background("web", &[], &["idle"]);
        for number in 0..tries {
            for mut command in [
                hoist.container(&["--rm", "-i"], &["cat"]),
                hoist.further(&["-i"], "web", &["cat"]),
            ] {
                // Before the start.
                assert_eq!(finish(command.stdin(Stdio::null()), b"").succeeded(), "");
                // Some time during it, or after it.
                let mut child = command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let mut input = child.stdin.take().unwrap();
                input.write_all(b"hi\n").unwrap();
                thread::sleep(Duration::from_micros(number % 40 * 500));
                drop(input);
                let ran = ended_within(LONG, child, format!("{command:?}"));
                assert_eq!((ran.code, ran.text().as_str()), (0, "hi\n"));
            }
        }
    }

    fn one_stream_closed(hoist: &Hoist) {
        let ran = hoist.run(
            &[],
            &[
                "close", "0", "+", "say", "out", "+", "close", "1", "+", "warn", "err", "+",
                "exit", "3",
            ],
        );
        assert_eq!(
            (ran.code, ran.text().as_str(), ran.stderr.as_str()),
            (3, "out\n", "err\n")
        );
    }

    fn left_behind(hoist: &Hoist) {
        let _running = hoist.background("web", &["--init"], &["idle"]);
        let before = Instant::now();
        for action in ["orphan", "daemon"] {
            // Not read to its end, which the one left behind holds.
            let mut child = hoist
                .further(&[], "web", &[action, "600000", "+", "exit", "6"])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let status = child.wait().unwrap();
            assert_eq!(status.code(), Some(6), "{action}");
        }
        // With the container's first process all others end, and so do the streams.
        hoist
            .run(
                &[],
                &["daemon", "600000", "+", "say", "x", "+", "exit", "6"],
            )
            .ended_with(6);
        assert!(before.elapsed() < Duration::from_secs(300), "it waited");
    }

    fn reader_gone(hoist: &Hoist) {
        let ran = hoist.hoist(&["run", "--rm", "sh", "-c", "exec sleep 0"]);
        ran.succeeded();
        let mut child = hoist
            .command(&[
                "run",
                "--rm",
                "--init",
                "sh",
                "-c",
                "while :; do echo y; done; exit 9",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut some = [0; 100];
        output.read_exact(&mut some).unwrap();
        drop(output);
        ended(child, 128 + 13);
    }

    fn closed_streams(hoist: &Hoist) {
        let seen = hoist.path("seen");
        std::fs::create_dir(&seen).unwrap();
        let mount = format!("{seen}:/tmp/seen");
        let look = r#"seen="$(for n in 0 1 2; do readlink /proc/$$/fd/$n; done)"; echo "$seen" > /tmp/seen/streams"#;
        let run = hoist.command(&["run", "--rm", "-i", "-v", &mount, "sh", "-c", look]);
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"exec "$@" <&- >&- 2>&-"#, "sh"])
            .arg(run.get_program())
            .args(run.get_args());
        for (name, value) in run.get_envs() {
            command.env(name, value.unwrap());
        }
        ended(command.spawn().unwrap(), 0);
        assert_eq!(
            std::fs::read_to_string(format!("{seen}/streams")).unwrap(),
            "/dev/null\n".repeat(3)
        );
    }

    fn command_without_reader(hoist: &Hoist) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = hoist.command(&["version"]).stdout(writer).spawn().unwrap();
        ended(child, 0);
    }

    fn own_descriptors(hoist: &Hoist) {
        // The very file: what is written is appended where the caller is.
        let path = hoist.path("log");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"before\n").unwrap();
        let child = hoist
            .container(&["--rm"], &["say", "out", "+", "warn", "err"])
            .stdout(file.try_clone().unwrap())
            .stderr(file.try_clone().unwrap())
            .spawn()
            .unwrap();
        ended(child, 0);
        file.write_all(b"after\n").unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "before\nout\nerr\nafter\n"
        );
        // A pipe that is given stays a blocking one (`O_NONBLOCK` is shared by all who have it).
        let input = bytes(200_000);
        let ran = finish(&mut hoist.container(&["--rm", "-i"], &["cat"]), &input);
        assert!(ran.stdout == input, "{} bytes", ran.stdout.len());
    }
}
