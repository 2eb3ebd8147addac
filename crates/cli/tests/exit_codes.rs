//! Exit codes: docker's, and the same wherever they are told.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod linux {
    use hoist_testing::{
        Terminal,
        command::{By::Anyone, Case, DEADLINE, Hoist, ended_within, finish},
    };

    pub(super) const CASES: &[Case] = &[
        Case {
            // Row 4 of the list of known failures.
            name: "the exit code of run is the process's, attached and on a terminal, and inspect agrees",
            by: Anyone,
            needs: &[],
            run: of_run,
        },
        Case {
            // Row 4.
            name: "the exit code of exec is the process's, attached and on a terminal",
            by: Anyone,
            needs: &[],
            run: of_exec,
        },
        Case {
            // Row 4.
            name: "what cannot be executed gives 126 or 127 and leaves no container",
            by: Anyone,
            needs: &[],
            run: not_executed,
        },
        Case {
            // Row 4.
            name: "a signal gives 128 and its number, from outside, from inside and under --init",
            by: Anyone,
            needs: &[],
            run: signals,
        },
        Case {
            // Row 4.
            name: "an error of hoist itself gives 125 for run and exec, and 1 for other commands, wherever options stand",
            by: Anyone,
            needs: &[],
            run: of_hoist,
        },
        Case {
            name: "what cannot be written is a failure, the help included",
            by: Anyone,
            needs: &[],
            run: not_written,
        },
        Case {
            name: "a timeline of neither kind is refused before anything is made",
            by: Anyone,
            needs: &[],
            run: unknown_timeline,
        },
        Case {
            name: "errors are JSON with --log-format json, and tell their kind",
            by: Anyone,
            needs: &[],
            run: as_json,
        },
    ];

    const CODES: [i32; 7] = [0, 1, 125, 126, 127, 137, 255];

    /// Programs that cannot be executed, and docker's code for each.
    const NOT_PROGRAMS: [(&str, i32); 8] = [
        ("nosuch", 127),
        ("/nosuch", 127),
        ("/nosuch/below", 127),
        ("/bin/text", 126),
        ("/bin", 126),
        ("/bin/orphan-script", 127),
        ("/bin/garbage", 126),
        ("/bin/loop", 126),
    ];

    fn of_run(hoist: &Hoist) {
        for code in CODES {
            let text = code.to_string();
            for options in [&["--name", "x"][..], &["--name", "x", "-t"]] {
                let ran = finish(&mut hoist.container(options, &["exit", &text]), b"");
                assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{options:?}");
                let state = &hoist.inspect("x")["State"];
                assert_eq!(state["ExitCode"], code);
                assert_eq!(state["Status"], "exited");
                assert_eq!(hoist.hoist(&["wait", "x"]).succeeded(), format!("{text}\n"));
                hoist.remove("x");
            }
            on_a_terminal(
                &mut hoist.container(&["--rm", "-it"], &["exit", &text]),
                code,
            );
        }
    }

    fn not_written(hoist: &Hoist) {
        for words in [
            &["--help"][..],
            &["run", "--help"],
            &["--version"],
            &["version"],
        ] {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
            let mut command = hoist.command(words);
            let output = command.stdout(full.unwrap()).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{words:?}: {errors}");
            assert!(
                errors.contains("write to standard output"),
                "{words:?}: {errors}"
            );
        }
    }

    fn unknown_timeline(hoist: &Hoist) {
        let file = hoist.path("start.txt");
        let ran = hoist.run(&["--name", "x", "--timeline", &file], &["exit", "0"]);
        assert_eq!(ran.code, 125);
        assert!(ran.stderr.contains("--timeline"), "{}", ran.stderr);
        assert!(ran.stderr.contains(".svg"), "{}", ran.stderr);
        assert!(!std::path::Path::new(&file).exists());
        assert_eq!(hoist.hoist(&["ps", "-aq"]).succeeded(), "");
    }

    fn on_a_terminal(command: &mut std::process::Command, code: i32) {
        let mut terminal = Terminal::open(24, 80);
        let child = terminal.start(command);
        let ran = ended_within(DEADLINE, child, format!("{command:?}"));
        assert_eq!(ran.code, code, "{:?}", terminal.rest());
    }

    fn of_exec(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        for code in CODES {
            let text = code.to_string();
            for options in [&[][..], &["-i"], &["-t"]] {
                let ran = hoist.exec(options, "web", &["exit", &text]);
                assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{options:?}");
            }
            on_a_terminal(&mut hoist.further(&["-it"], "web", &["exit", &text]), code);
        }
        for (program, code) in NOT_PROGRAMS {
            for options in [&["exec"][..], &["exec", "-t"]] {
                let mut words = options.to_vec();
                words.extend(["web", program]);
                hoist.hoist(&words).failed_with(code, &[program]);
            }
        }
        hoist
            .exec(&["-w", "/nosuch"], "web", &["exit", "0"])
            .failed_with(127, &["/nosuch"]);
        // Row 9: none of these did the container any harm.
        hoist.exec(&[], "web", &["exit", "0"]).succeeded();
        assert_eq!(hoist.inspect("web")["State"]["Status"], "running");
    }

    fn not_executed(hoist: &Hoist) {
        let root = hoist.root().to_str().unwrap();
        for (program, code) in NOT_PROGRAMS {
            for options in [&["--rm"][..], &[], &["-t"], &["--init"]] {
                let mut words = vec!["run", "--rootfs", root, "-e", "PATH=/bin"];
                words.extend(options);
                words.push(program);
                hoist.hoist(&words).failed_with(code, &[program]);
                assert_eq!(hoist.ids(), Vec::<String>::new());
            }
        }
        for options in [&["-w", "/nosuch"][..], &["-t", "-w", "/nosuch"]] {
            hoist
                .run(options, &["exit", "0"])
                .failed_with(127, &["/nosuch"]);
        }
        // A directory to begin in that is none.
        hoist
            .run(&["-w", "/probe"], &["exit", "0"])
            .failed_with(126, &["/probe"]);
    }

    fn signals(hoist: &Hoist) {
        for number in [1, 2, 9, 15] {
            let text = number.to_string();
            let mut running = hoist.background("x", &["--init"], &["idle"]);
            hoist.hoist(&["kill", "-s", &text, "x"]).succeeded();
            running.ended().ended_with(128 + number);
            assert_eq!(hoist.inspect("x")["State"]["ExitCode"], 128 + number);
            drop(running);
            hoist
                .run(&["--init"], &["kill", &text])
                .ended_with(128 + number);
        }
        hoist.run(&[], &["fault"]).ended_with(139);
        let _running = hoist.background("web", &[], &["idle"]);
        for number in [1, 6, 9, 15] {
            hoist
                .exec(&[], "web", &["kill", &number.to_string()])
                .ended_with(128 + number);
        }
    }

    fn of_hoist(hoist: &Hoist) {
        for words in [
            &["run", "--nosuch", "true"][..],
            &["run", "--layer", "/a", "--rootfs", "/b", "true"],
            &["run"],
            &["run", "--rootfs", "/nosuch", "true"],
            &["exec", "nobody", "true"],
            &["exec", "nobody"],
            &["--log-format", "json", "run", "--nosuch", "true"],
        ] {
            let ran = hoist.hoist(words);
            ran.ended_with(125);
            assert_eq!(ran.text(), "", "{words:?}");
            assert_ne!(ran.stderr, "", "{words:?}");
        }
        for words in [
            &["ps", "--nosuch"][..],
            &["nosuch"],
            &["inspect"],
            &["top", "nobody"],
            &["rm", "nobody"],
        ] {
            hoist.hoist(words).failed_with(1, &[]);
        }
    }

    fn as_json(hoist: &Hoist) {
        let error = |words: &[&str]| -> serde_json::Value {
            let ran = hoist.hoist(words);
            assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
            serde_json::from_str(&ran.stderr).unwrap()
        };
        let root = hoist.root().to_str().unwrap();
        let found = error(&["--log-format", "json", "run", "--rootfs", root, "/nosuch"]);
        assert_eq!(found["level"], "error");
        assert_eq!(found["kind"], "not_found");
        assert!(
            found["message"].as_str().unwrap().contains("/nosuch"),
            "{found}"
        );
        let found = error(&[
            "--log-format",
            "json",
            "run",
            "-m",
            "x",
            "--cpus",
            "y",
            "true",
        ]);
        assert_eq!(found["kind"], "invalid_spec");
        assert_eq!(found["faults"].as_array().unwrap().len(), 2, "{found}");
        let found = error(&["inspect", "--log-format", "json", "nobody"]);
        assert_eq!(found["kind"], "not_found");
    }
}
