//! What is particular to a user who is not root; that the commands are the same for both is shown by the other files.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod linux {
    use std::{fs, os::unix::fs::MetadataExt};

    use hoist_testing::{
        command::{
            By::{Root, User},
            Case, Hoist, Ran, finish,
        },
        probe::report::Report,
    };

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "an ordinary user's container has a user namespace in which root is that user",
            by: User,
            needs: &[],
            run: one_id,
        },
        Case {
            name: "capabilities inside give nothing outside",
            by: User,
            needs: &[],
            run: powerless_outside,
        },
        Case {
            name: "a user that is not mapped is refused by number and by name",
            by: User,
            needs: &[],
            run: other_ids,
        },
        Case {
            name: "without --state-root containers are recorded in $XDG_RUNTIME_DIR/hoist, for the user alone",
            by: User,
            needs: &[],
            run: state_root,
        },
        Case {
            name: "a state root of somebody else is refused by name",
            by: User,
            needs: &[],
            run: foreign_state_root,
        },
        Case {
            name: "where namespaces are refused, run says what to do and leaves nothing",
            by: Root,
            needs: &[],
            run: no_namespaces,
        },
        Case {
            name: "where namespaces are refused, info says so",
            by: Root,
            needs: &[],
            run: info_without_namespaces,
        },
    ];

    fn one_id(hoist: &Hoist) {
        let user = hoist
            .user()
            .unwrap_or_else(hoist_testing::probe::sys::effective_uid);
        let ran = hoist.run(
            &[],
            &[
                "read",
                "/proc/self/uid_map",
                "+",
                "read",
                "/proc/self/setgroups",
            ],
        );
        let text = ran.succeeded();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words, ["0", &user.to_string(), "1", "deny"]);
        let report = hoist.report(&[]);
        assert_eq!((&*report.uids, &*report.gids), (&[0; 4][..], &[0; 4][..]));
        let own = fs::read_link("/proc/self/ns/user").unwrap();
        assert_ne!(report.namespaces["user"], own.to_string_lossy());
        // The same in a further process.
        let _running = hoist.background("web", &[], &["idle"]);
        let report: Report = hoist.exec(&[], "web", &["report"]).json();
        assert_eq!(report.uids, [0; 4]);
        let pid = hoist.inspect("web")["State"]["Pid"].as_u64().unwrap();
        assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), user);
    }

    fn powerless_outside(hoist: &Hoist) {
        // A file of root's that only its owner may read, seen by a bind mount.
        let ran = hoist.run(
            &["-v", "/etc:/mnt:ro", "--cap-add", "ALL"],
            &["open", "r", "/mnt/shadow"],
        );
        let opened: std::collections::BTreeMap<String, i32> = ran.json();
        assert_ne!(opened["/mnt/shadow"], 0);
        let ran = hoist.run(
            &["--cap-add", "ALL", "--security-opt", "seccomp=unconfined"],
            &["calls", "settimeofday", "reboot", "init_module"],
        );
        let calls: std::collections::BTreeMap<String, i32> = ran.json();
        assert!(calls.values().all(|errno| *errno != 0), "{calls:?}");
    }

    fn other_ids(hoist: &Hoist) {
        for user in ["1000", "tester", "0:1001"] {
            let ran = hoist.run(&["-u", user], &["report"]);
            // With sub-ids lent to the user there may be more than one.
            if ran.code == 0 {
                let report: Report = ran.json();
                assert!(
                    report.uids[0] == 1000 || report.gids[0] == 1001,
                    "{report:?}"
                );
                continue;
            }
            ran.failed_with(125, &["user"]);
            assert!(
                ran.stderr.contains("1000") || ran.stderr.contains("1001"),
                "{}",
                ran.stderr
            );
        }
        assert!(hoist.ids().is_empty());
    }

    fn state_root(hoist: &Hoist) {
        let runtime = hoist.make_folder("runtime");
        let command = |words: &[&str]| -> Ran {
            let mut command = hoist.without_state_root(words);
            finish(command.env("XDG_RUNTIME_DIR", &runtime), b"")
        };
        let root = hoist.root().to_str().unwrap();
        command(&[
            "run", "--name", "x", "--rootfs", root, "/probe", "probe", "exit", "4",
        ])
        .ended_with(4);
        let folder = format!("{runtime}/hoist");
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(command(&["wait", "x"]).succeeded(), "4\n");
        command(&["rm", "x"]).succeeded();
    }

    fn foreign_state_root(hoist: &Hoist) {
        let Some(_) = hoist.user() else { return };
        // Made by root, who runs the tests.
        let foreign = tempfile::tempdir().unwrap();
        let path = foreign.path().join("state").display().to_string();
        let mut command = hoist.without_state_root(&["--state-root", &path, "run", "/bin/true"]);
        finish(&mut command, b"").failed_with(125, &[&path, "EACCES"]);
    }

    /// `hoist WORD…` in a container confined as docker's are, by its root or by another user.
    fn nested(hoist: &Hoist, user: &str, words: &[&str]) -> Ran {
        let program = format!("{}:/hoist:ro", hoist.program().display());
        let mut command = hoist.command(&["run", "--rm", "-e", "HOIST_TEST_TAG", "--rootfs"]);
        command
            .arg(hoist.root())
            .args([
                "-u",
                user,
                "-v",
                &program,
                "--tmpfs",
                "/tmp:mode=1777",
                "--",
            ])
            .args(["/hoist", "--state-root", "/tmp/state"])
            .args(words);
        finish(&mut command, b"")
    }

    fn no_namespaces(hoist: &Hoist) {
        for user in ["0", "1000"] {
            let ran = nested(
                hoist,
                user,
                &["run", "--rootfs", "/", "/probe", "probe", "exit", "0"],
            );
            ran.failed_with(125, &["namespaces", "--security-opt seccomp=unconfined"]);
        }
        let _ = fs::remove_file(hoist.root().join("hoist"));
    }

    fn info_without_namespaces(hoist: &Hoist) {
        let ran = nested(hoist, "1000", &["info", "-f", "json"]);
        let info: serde_json::Value = ran.json();
        let feature = info["features"]
            .as_array()
            .unwrap()
            .iter()
            .find(|feature| feature["name"] == "user namespaces")
            .unwrap();
        assert_eq!(feature["available"], false, "{info}");
        assert!(feature["remedy"].is_string(), "{feature}");
        let _ = fs::remove_file(hoist.root().join("hoist"));
    }
}
