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
    use std::{
        fs,
        os::unix::fs::{MetadataExt, chown},
        path::{Path, PathBuf},
        process::Command,
        time::{Duration, Instant},
    };

    use hoist_testing::{
        Need,
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
            name: "--privileged gives an ordinary user's container every capability in its user namespace",
            by: User,
            needs: &[],
            run: privileged,
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
            name: "exec --with-root is refused with what to do instead",
            by: User,
            needs: &[],
            run: no_root_of_this_machine,
        },
        Case {
            name: "a state root of somebody else is refused by name",
            by: User,
            needs: &[],
            run: foreign_state_root,
        },
        // Row 8.
        Case {
            name: "without a cgroup exec --timeout ends all that was started, double forks in sessions of their own too",
            by: User,
            needs: &[],
            run: ends_in_time,
        },
        Case {
            name: "without a cgroup exec's limits are refused with what to do, and nothing runs",
            by: User,
            needs: &[],
            run: limits_without_cgroup,
        },
        // Row 36.
        Case {
            name: "in a delegated cgroup an ordinary user's containers have limits, and exec joins them from another",
            by: Root,
            needs: &[Need::CgroupV1, Need::UserNamespaces, Need::Tool("setpriv")],
            run: delegated,
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

    fn no_root_of_this_machine(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let ran = hoist.hoist(&["exec", "--with-root", "/", "web", "ls"]);
        ran.failed_with(125, &["Operation not permitted", "ask as root", "--volume"]);
    }

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

    fn privileged(hoist: &Hoist) {
        let with = |option: &[&str]| {
            let program = ["--", "grep", "^Cap[PEB]", "/proc/self/status"];
            let words = [&["run", "--rm"], option, &program].concat();
            hoist.hoist(&words).succeeded()
        };
        let all = with(&["--cap-add", "ALL"]);
        assert_eq!(with(&["--privileged"]), all);
        assert_ne!(with(&[]), all);
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

    fn ends_in_time(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        // What has ended and was not waited for by the container's first process is none.
        let processes = || {
            let shown = hoist.hoist(&["top", "web"]).succeeded();
            shown
                .lines()
                .skip(1)
                .filter(|line| !line.ends_with(']'))
                .count()
        };
        assert_eq!(processes(), 1);
        let begun = Instant::now();
        let ran = hoist.exec(
            &["--timeout", "1"],
            "web",
            &["daemon", "600000", "+", "idle"],
        );
        ran.ended_with(124);
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert_eq!(processes(), 1);
        hoist
            .exec(&["--timeout", "100"], "web", &["exit", "3"])
            .ended_with(3);
        assert_eq!(processes(), 1);
    }

    fn limits_without_cgroup(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let ran = hoist.exec(&["--memory", "32m"], "web", &["exit", "0"]);
        ran.failed_with(
            125,
            &["no cgroup", "delegated", "systemd-run --user --scope"],
        );
        let ran = hoist.run(&["--memory", "32m"], &["exit", "0"]);
        ran.failed_with(125, &["memory", "systemd-run --user --scope"]);
    }

    /// A cgroup in some v1 hierarchies that belongs to an ordinary user, for as long as this lives.
    struct Delegated(Vec<PathBuf>);

    impl Delegated {
        const USER: u32 = 65534;

        fn new(hoist: &Hoist) -> Self {
            let made = ["memory", "pids", "freezer"].map(|controller| {
                let folder = Path::new("/sys/fs/cgroup")
                    .join(controller)
                    .join(hoist.tag());
                fs::create_dir(&folder).unwrap();
                for name in ["", "tasks", "cgroup.procs"] {
                    chown(folder.join(name), Some(Self::USER), Some(Self::USER)).unwrap();
                }
                folder
            });
            Self(made.into())
        }

        /// `hoist WORD…` as that user, in the cgroup or outside of it.
        fn run(&self, hoist: &Hoist, inside: bool, words: &[&str]) -> Ran {
            let script = "for folder in $1; do echo $$ > $folder/cgroup.procs || exit 9; done; shift; exec \"$@\"";
            let folders: Vec<_> = self
                .0
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let folders = if inside {
                folders.join(" ")
            } else {
                String::new()
            };
            let mut command = Command::new("sh");
            command
                .args(["-c", script, "sh", &folders, "setpriv", "--reuid", "65534"])
                .args(["--regid", "65534", "--clear-groups"])
                .arg(hoist.program())
                .args(["--state-root", &hoist.path("user-state")])
                .args(words)
                .env("HOIST_TEST_TAG", hoist.tag())
                .current_dir(hoist.folder());
            finish(&mut command, b"")
        }

        fn containers(&self) -> Vec<PathBuf> {
            let below = self
                .0
                .iter()
                .map(|path| fs::read_dir(path.join("hoist")).unwrap());
            let entries = below.flatten().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.is_dir()).collect()
        }
    }

    impl Drop for Delegated {
        fn drop(&mut self) {
            for path in &self.0 {
                let _ = fs::remove_dir(path.join("hoist"));
                let _ = fs::remove_dir(path);
            }
        }
    }

    fn delegated(hoist: &Hoist) {
        chown(hoist.folder(), Some(Delegated::USER), Some(Delegated::USER)).unwrap();
        let root = hoist.copy_of_root("user-root");
        chown(&root, Some(Delegated::USER), Some(Delegated::USER)).unwrap();
        let delegated = Delegated::new(hoist);
        let inside = |words: &[&str]| delegated.run(hoist, true, words);
        let words = [
            "run",
            "-d",
            "--name",
            "web",
            "-e",
            "HOIST_TEST_TAG",
            "-m",
            "32m",
            "--pids-limit",
            "20",
            "--rootfs",
            &root,
            "--",
            "/probe",
            "probe",
            "idle",
        ];
        inside(&words).succeeded();
        let read = |name: &str| {
            let found = delegated
                .containers()
                .into_iter()
                .map(|path| path.join(name));
            fs::read_to_string(found.into_iter().find(|path| path.exists()).unwrap()).unwrap()
        };
        assert_eq!(read("memory.limit_in_bytes").trim(), (32 << 20).to_string());
        assert_eq!(read("pids.max").trim(), "20");
        inside(&["update", "-m", "48m", "web"]).succeeded();
        assert_eq!(read("memory.limit_in_bytes").trim(), (48 << 20).to_string());
        // From another session, too: what runs then is where the container is.
        let words = [
            "exec",
            "web",
            "/probe",
            "probe",
            "read",
            "/proc/self/cgroup",
        ];
        let cgroups = delegated.run(hoist, false, &words).succeeded();
        let of_memory = cgroups
            .lines()
            .find(|line| line.contains(":memory:"))
            .unwrap();
        assert!(of_memory.ends_with(":memory:/"), "{cgroups}");
        let words = [
            "exec", "--memory", "8m", "web", "/probe", "probe", "exit", "0",
        ];
        delegated.run(hoist, false, &words).succeeded();
        inside(&["pause", "web"]).succeeded();
        inside(&["unpause", "web"]).succeeded();
        // What was not delegated cannot be limited.
        let words = [
            "run", "--rm", "--cpus", "0.5", "--rootfs", &root, "/probe", "probe", "exit", "0",
        ];
        inside(&words).failed_with(125, &["cpu", "is not delegated to user 65534"]);
        inside(&["rm", "-f", "web"]).succeeded();
        assert_eq!(delegated.containers(), Vec::<PathBuf>::new());
        // Outside nothing is delegated.
        let words = [
            "run", "--rm", "-m", "32m", "--rootfs", &root, "/probe", "probe", "exit", "0",
        ];
        delegated
            .run(hoist, false, &words)
            .failed_with(125, &["memory", "delegated"]);
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
