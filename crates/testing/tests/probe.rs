//! The harness's own tests: a probe that cannot fail would prove nothing.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod linux {
    use std::process::{Command, ExitCode, Output};

    use hoist_testing::{
        Need, Suite,
        probe::{self, report::Report},
        root,
    };

    fn probe(words: &[&str]) -> Output {
        Command::new(std::env::current_exe().unwrap())
            .arg("probe")
            .args(words)
            .output()
            .unwrap()
    }

    pub(crate) fn main() -> ExitCode {
        probe::main_if_asked();
        probe::sys::close_others_on_execute().unwrap();
        Suite::new()
            .test("the probe reports what it sees as JSON", &[], || {
                let output = Command::new(std::env::current_exe().unwrap())
                    .args(["probe", "report"])
                    .env_clear()
                    .env("A", "b=c")
                    .current_dir("/proc")
                    .output()
                    .unwrap();
                let report: Report = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(report.environment, ["A=b=c"]);
                assert_eq!(report.working_directory.as_deref(), Some("/proc"));
                assert_eq!(
                    report.descriptors.keys().copied().collect::<Vec<_>>(),
                    [0, 1, 2]
                );
                assert_eq!(
                    report.pid,
                    report
                        .processes
                        .iter()
                        .copied()
                        .find(|pid| *pid == report.pid)
                        .unwrap()
                );
                assert!(report.mounts.iter().any(|mount| mount.target == "/"));
                assert_eq!(
                    report.signals.unwrap().ignored & 1 << 12,
                    0,
                    "Rust's own SIGPIPE is not the starter's"
                );
            })
            .test(
                "actions are done in order and the last one's code is the probe's",
                &[],
                || {
                    let output = probe(&[
                        "say", "one", "+", "warn", "two", "+", "exit", "7", "+", "say", "never",
                    ]);
                    assert_eq!(output.status.code(), Some(7));
                    assert_eq!(output.stdout, b"one\n");
                    assert_eq!(output.stderr, b"two\n");
                },
            )
            .test("an action that fails says why", &[], || {
                let output = probe(&["read", "/no/such/file"]);
                assert_eq!(output.status.code(), Some(probe::FAILED));
                assert!(
                    String::from_utf8(output.stderr)
                        .unwrap()
                        .contains("No such file")
                );
            })
            .test("a call that is refused tells its error number", &[], || {
                let output = probe(&["calls", "getpid", "100000"]);
                assert_eq!(output.stdout, b"{\"100000\":38,\"getpid\":0}\n");
            })
            .test("a fault ends the probe by SIGSEGV", &[], || {
                use std::os::unix::process::ExitStatusExt;
                assert_eq!(probe(&["fault"]).status.signal(), Some(11));
            })
            .test("a minimal root holds the probe", &[], || {
                let folder = tempfile::tempdir().unwrap();
                root::minimal(folder.path()).unwrap();
                let output = Command::new(folder.path().join("probe"))
                    .args(["probe", "say", "x"])
                    .output()
                    .unwrap();
                assert_eq!(output.stdout, b"x\n");
            })
            .test(
                "a busybox root has a shell",
                &[Need::Tool("busybox")],
                || {
                    let folder = tempfile::tempdir().unwrap();
                    root::busybox(folder.path()).unwrap().unwrap();
                    let output = Command::new(folder.path().join("bin/sh"))
                        .args(["-c", "echo $((6*7))"])
                        .output()
                        .unwrap();
                    assert_eq!(output.stdout, b"42\n");
                },
            )
            .test("a need that is not met has a reason", &[], || {
                let reason = Need::Tool("no-such-tool").missing().unwrap();
                assert!(reason.contains("no-such-tool"));
                assert!(
                    Need::Root.missing().is_some() != Need::OrdinaryUser.missing().is_some()
                        || !probe::is_administrator()
                );
            })
            .run()
    }
}
