//! `--isolation none`: plain processes of this machine, by the commands that there are for containers.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]
mod linux {
    use std::{fs, process::Command, thread, time::Duration};

    use hoist_testing::{
        Terminal,
        command::{By::Anyone, Case, DEADLINE, Hoist, Ran, ended_within, finish},
        probe::report::Report,
    };
    use serde_json::Value;

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "without isolation a process has this machine's namespaces, root, user and the caller's directory",
            by: Anyone,
            needs: &[],
            run: nothing_is_kept_apart,
        },
        Case {
            name: "without isolation exit codes, streams, terminals and what cannot be executed are as with",
            by: Anyone,
            needs: &[],
            run: codes_and_streams,
        },
        Case {
            name: "a plain process in the background is listed, inspected, entered, read, stopped, waited for and removed",
            by: Anyone,
            needs: &[],
            run: in_the_background,
        },
        Case {
            name: "a plain process is made, started, paused, signalled and killed",
            by: Anyone,
            needs: &[],
            run: made_and_started,
        },
        Case {
            name: "when the command in the foreground is killed, nothing of its plain process runs on",
            by: Anyone,
            needs: &[],
            run: the_command_is_killed,
        },
        Case {
            name: "every option that needs isolation is refused by name, and all at once",
            by: Anyone,
            needs: &[],
            run: wishes_are_refused,
        },
        Case {
            name: "the plan of a plain process is printed in words and as JSON, and makes nothing",
            by: Anyone,
            needs: &[],
            run: the_plan,
        },
    ];

    /// `hoist VERB --isolation none OPTION… PROBE probe WORD…`.
    fn command(hoist: &Hoist, verb: &[&str], options: &[&str], probe: &[&str]) -> Command {
        let mut command = hoist.command(verb);
        command
            .args(["--isolation", "none", "-e", "HOIST_TEST_TAG"])
            .args(options)
            .arg("--")
            .arg(hoist.root().join("probe"))
            .arg("probe")
            .args(probe);
        command
    }

    fn run(hoist: &Hoist, options: &[&str], probe: &[&str]) -> Ran {
        let mut words = vec!["--rm"];
        words.extend(options);
        finish(&mut command(hoist, &["run"], &words, probe), b"")
    }

    fn exec(hoist: &Hoist, container: &str, probe: &[&str]) -> Ran {
        let mut command = hoist.command(&["exec", "-e", "HOIST_TEST_TAG", container]);
        command
            .arg(hoist.root().join("probe"))
            .arg("probe")
            .args(probe);
        finish(&mut command, b"")
    }

    fn detached(hoist: &Hoist, name: &str, probe: &[&str]) -> String {
        let mut command = command(hoist, &["run", "-d", "--name", name], &[], probe);
        finish(&mut command, b"").succeeded().trim().to_owned()
    }

    fn nothing_is_kept_apart(hoist: &Hoist) {
        let seen: Report = run(hoist, &[], &["report"]).json();
        for kind in ["pid", "mnt", "net", "ipc", "uts", "user"] {
            let own = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            assert_eq!(seen.namespaces[kind], own.to_string_lossy(), "{kind}");
        }
        let directory = seen.working_directory.as_deref();
        assert_eq!(directory, hoist.folder().to_str());
        let uid = hoist
            .user()
            .unwrap_or_else(hoist_testing::probe::sys::effective_uid);
        assert_eq!(seen.uids, [uid; 4]);
        assert!(
            !seen
                .environment
                .iter()
                .any(|entry| entry.starts_with("NO_COLOR"))
        );
        let elsewhere: Report = run(hoist, &["-w", "/usr", "-e", "A=b=c"], &["report"]).json();
        assert_eq!(elsewhere.working_directory.as_deref(), Some("/usr"));
        assert!(elsewhere.environment.contains(&"A=b=c".to_owned()));
    }

    fn codes_and_streams(hoist: &Hoist) {
        for code in [0, 1, 255] {
            run(hoist, &[], &["exit", &code.to_string()]).ended_with(code);
        }
        run(hoist, &[], &["kill", "15"]).ended_with(143);
        let mut cat = command(hoist, &["run", "--rm", "-i"], &[], &["cat"]);
        assert_eq!(
            finish(&mut cat, b"to the last byte").succeeded(),
            "to the last byte"
        );
        let mut terminal = Terminal::open(31, 97);
        let mut size = command(
            hoist,
            &["run", "--rm", "-it"],
            &[],
            &["size", "+", "exit", "7"],
        );
        let child = terminal.start(&mut size);
        ended_within(DEADLINE, child, "size".to_owned()).ended_with(7);
        let said = terminal.rest();
        assert!(
            String::from_utf8_lossy(said.as_ref()).contains("31 97"),
            "{said:?}"
        );
        for (program, code) in [("nosuch", 127), ("/nosuch", 127), ("/etc", 126)] {
            let ran = hoist.hoist(&["run", "--rm", "--isolation", "none", program]);
            ran.failed_with(code, &[program]);
        }
        assert!(hoist.hoist(&["ps", "-aq"]).succeeded().is_empty());
    }

    fn in_the_background(hoist: &Hoist) {
        let id = detached(hoist, "plain", &["daemon", "3600000", "+", "idle"]);
        until(|| {
            hoist
                .hoist(&["logs", "plain"])
                .succeeded()
                .contains("ready")
        });
        let listed: Vec<Value> = hoist.hoist(&["ps", "--format", "json"]).json_lines();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["Names"], "plain");
        let seen = hoist.inspect("plain");
        assert_eq!(seen["Id"], id.as_str());
        assert_eq!(seen["State"]["Status"], "running");
        assert_eq!(seen["HostConfig"]["Isolation"], "none");
        assert_eq!(seen["HostConfig"]["NetworkMode"], "host");
        exec(hoist, "plain", &["exit", "5"]).ended_with(5);
        assert_eq!(
            hoist.hoist(&["top", "plain"]).succeeded().lines().count(),
            3
        );
        hoist.hoist(&["rm", "plain"]).failed_with(1, &["running"]);
        hoist.hoist(&["stop", "plain"]).succeeded();
        assert_eq!(hoist.hoist(&["wait", "plain"]).succeeded(), "143\n");
        assert_eq!(hoist.inspect("plain")["State"]["ExitCode"], 143);
        hoist.remove("plain");
        assert!(hoist.hoist(&["ps", "-aq"]).succeeded().is_empty());
    }

    fn made_and_started(hoist: &Hoist) {
        let mut create = command(
            hoist,
            &["create", "--name", "made"],
            &[],
            &["trap", "12", "3"],
        );
        finish(&mut create, b"").succeeded();
        assert_eq!(hoist.inspect("made")["State"]["Status"], "created");
        hoist.hoist(&["start", "made"]).succeeded();
        until(|| hoist.hoist(&["logs", "made"]).succeeded().contains("ready"));
        hoist.hoist(&["kill", "-s", "12", "made"]).succeeded();
        assert_eq!(hoist.hoist(&["wait", "made"]).succeeded(), "3\n");
        hoist.hoist(&["start", "made"]).succeeded();
        hoist.hoist(&["rm", "-f", "made"]).succeeded();
        detached(hoist, "still", &["idle"]);
        hoist.hoist(&["pause", "still"]).succeeded();
        assert_eq!(hoist.inspect("still")["State"]["Status"], "paused");
        hoist.hoist(&["unpause", "still"]).succeeded();
        assert_eq!(hoist.inspect("still")["State"]["Status"], "running");
        hoist.hoist(&["rm", "-f", "still"]).succeeded();
    }

    fn the_command_is_killed(hoist: &Hoist) {
        let mut line = command(
            hoist,
            &["run", "--name", "owned"],
            &[],
            &["daemon", "3600000", "+", "idle"],
        );
        let mut child = line.stdout(std::process::Stdio::null()).spawn().unwrap();
        until(|| hoist.hoist(&["top", "owned"]).text().lines().count() >= 3);
        child.kill().unwrap();
        child.wait().unwrap();
        let code = hoist.hoist(&["wait", "owned"]).succeeded();
        assert_eq!(code, "137\n");
        hoist.remove("owned");
    }

    fn wishes_are_refused(hoist: &Hoist) {
        let wishes = [
            ("--rootfs", "/srv"),
            ("--volume", "/tmp:/data"),
            ("--tmpfs", "/t"),
            ("--memory", "64m"),
            ("--pids-limit", "5"),
            ("--hostname", "own"),
            ("--network", "none"),
            ("--pid", "host"),
            ("--cap-add", "NET_ADMIN"),
            ("--sysctl", "kernel.domainname=x"),
            ("--security-opt", "seccomp=unconfined"),
        ];
        let mut words = vec!["run", "--isolation", "none", "--read-only", "--init"];
        words.extend(wishes.iter().flat_map(|(option, value)| [*option, *value]));
        words.push("true");
        let mut named: Vec<&str> = wishes.iter().map(|(option, _)| *option).collect();
        named.extend(["--read-only", "--init", "isolation"]);
        hoist.hoist(&words).failed_with(125, &named);
        hoist
            .hoist(&["run", "--isolation", "some", "true"])
            .failed_with(125, &["--isolation", "none"]);
        assert!(hoist.hoist(&["ps", "-aq"]).succeeded().is_empty());
    }

    fn the_plan(hoist: &Hoist) {
        let words = ["plan", "--isolation", "none", "-w", "/usr", "true"];
        let text = hoist.hoist(&words).succeeded();
        for part in ["without isolation", "change to /usr", "execute true"] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        let mut words = words.to_vec();
        words.insert(1, "--json");
        let steps: Vec<Value> = hoist.hoist(&words).json();
        assert_eq!(steps[0]["lane"], "keeper");
        assert_eq!(steps.last().unwrap()["name"], "Execute");
        assert!(hoist.hoist(&["ps", "-aq"]).succeeded().is_empty());
    }

    fn until(mut is_so: impl FnMut() -> bool) {
        let deadline = std::time::Instant::now() + DEADLINE;
        while !is_so() {
            assert!(std::time::Instant::now() < deadline, "it never came to be");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
