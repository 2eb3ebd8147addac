//! How all that an exec has started is ended where it has no cgroup of its own: as its descendants (row 8).

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod linux {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    use hoist_testing::{
        Need,
        command::{
            By::{Anyone, User},
            Case, Hoist,
        },
        probe::report::Report,
    };

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "exec --timeout ends a process whose first thread has ended, with what its other threads go on to start",
            by: User,
            needs: &[],
            run: |hoist| ends_all(hoist, &["deaf", "+", "leaderless"]),
        },
        Case {
            name: "exec --timeout ends a child whose first thread has ended, with what its other threads go on to start",
            by: User,
            needs: &[],
            run: |hoist| ends_all(hoist, &["deaf", "+", "keep", "+", "leaderless"]),
        },
        Case {
            name: "a container whose first process has lost its first thread is entered by another one",
            by: Anyone,
            needs: &[],
            run: |hoist| {
                let _running = hoist.background("web", &[], &["say", "ready", "+", "leaderless"]);
                soon("its first thread ends", || {
                    let first = hoist.inspect("web")["State"]["Pid"].as_u64().unwrap();
                    let stat = fs::read_to_string(format!("/proc/{first}/stat")).unwrap();
                    stat.contains(") Z ")
                });
                hoist.exec(&[], "web", &["exit", "3"]).ended_with(3);
                hoist
                    .exec(&["--timeout", "60"], "web", &["exit", "4"])
                    .ended_with(4);
                let archive = hoist.hoist(&["cp", "web:/probe", "-"]);
                archive.ended_with(0);
                assert!(archive.stdout.len() > 512);
            },
        },
        Case {
            name: "a process that goes on by forking and ending, over and over, is stopped for good",
            by: User,
            needs: &[],
            run: |hoist| comet(hoist, "100"),
        },
        Case {
            name: "a process that goes on by forking and ending, a thousand times a second, is stopped for good",
            by: User,
            needs: &[],
            run: |hoist| comet(hoist, "1"),
        },
        Case {
            name: "a process of the tree that does not end is told, with what to do, and the others are ended",
            by: User,
            needs: &[Need::Root, Need::CgroupV1],
            run: unending,
        },
        Case {
            name: "exec --timeout tells that something of the tree has not ended, and process inspect does later",
            by: User,
            needs: &[Need::Root, Need::CgroupV1],
            run: left_behind,
        },
        Case {
            name: "exec --timeout tells that its own process does not end, and does not wait for ever",
            by: User,
            needs: &[Need::Root, Need::CgroupV1],
            run: never_ends,
        },
    ];

    /// The processes of the container's process namespace with a thread that lives, its first process apart.
    fn living(hoist: &Hoist) -> Vec<u32> {
        let first = hoist.inspect("web")["State"]["Pid"].as_u64().unwrap();
        let namespace = |pid: u64| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(first).unwrap();
        let lives = |pid: &u64| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task"));
            tasks.into_iter().flatten().flatten().any(|task| {
                fs::read_to_string(task.path().join("stat")).is_ok_and(|stat| {
                    let state = stat.rsplit(") ").next().unwrap_or_default();
                    !state.starts_with(['Z', 'X'])
                })
            })
        };
        // One whose first thread has ended has no namespaces to be seen; its threads have.
        let is_inside = |pid: &u64| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task"));
            tasks.into_iter().flatten().flatten().any(|task| {
                fs::read_link(task.path().join("ns/pid")).is_ok_and(|found| found == own)
            })
        };
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != first && is_inside(pid) && lives(pid))
            .map(|pid| pid as u32)
            .collect()
    }

    fn soon(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(180);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ends_all(hoist: &Hoist, probe: &[&str]) {
        let _running = hoist.background("web", &[], &["idle"]);
        assert_eq!(living(hoist), [0; 0]);
        // That what is looked for is there to be seen: a further process and what it starts, with no end of its own.
        let id = detached(hoist, "600", probe);
        soon("it starts others", || living(hoist).len() > 2);
        hoist
            .hoist(&["process", "stop", "-t", "0", &id])
            .succeeded();
        assert_eq!(living(hoist), [0; 0]);
        hoist
            .exec(&["--timeout", "1"], "web", probe)
            .ended_with(124);
        assert_eq!(living(hoist), [0; 0]);
    }

    /// `hoist exec -d`: the exec's id.
    fn detached(hoist: &Hoist, timeout: &str, probe: &[&str]) -> String {
        let ran = hoist.exec(&["-d", "--timeout", timeout], "web", probe);
        ran.succeeded().trim().to_owned()
    }

    /// How many process ids of the container's are given out from one exec to the next. One that forks and ends a thousand times a
    /// second has moved on before it is seen in a list; but it takes numbers.
    fn numbers_taken(hoist: &Hoist) -> u32 {
        let number = || {
            let report: Report = hoist.exec(&[], "web", &["report"]).json();
            report.pid
        };
        let before = number();
        number().wrapping_sub(before)
    }

    fn comet(hoist: &Hoist, milliseconds: &str) {
        let _running = hoist.background("web", &[], &["idle"]);
        let of_execs = numbers_taken(hoist);
        assert_eq!(numbers_taken(hoist), of_execs);
        let id = detached(hoist, "600", &["deaf", "+", "comet", milliseconds]);
        soon("it moves on", || numbers_taken(hoist) > of_execs);
        hoist
            .hoist(&["process", "stop", "-t", "0", &id])
            .succeeded();
        assert_eq!(living(hoist), [0; 0]);
        for _ in 0..5 {
            assert_eq!(numbers_taken(hoist), of_execs);
        }
    }

    /// A cgroup whose processes are frozen: not even SIGKILL ends them before they are thawed (cgroup-v1/freezer-subsystem.rst).
    struct Frozen(PathBuf);

    impl Frozen {
        fn new(hoist: &Hoist, pid: u32) -> Self {
            let folder = Path::new("/sys/fs/cgroup/freezer").join(hoist.tag());
            fs::create_dir(&folder).unwrap();
            let frozen = Self(folder);
            frozen.write("cgroup.procs", &pid.to_string());
            frozen.write("freezer.state", "FROZEN");
            soon("it is frozen", || {
                fs::read_to_string(frozen.0.join("freezer.state"))
                    .unwrap()
                    .trim()
                    == "FROZEN"
            });
            frozen
        }

        fn write(&self, file: &str, value: &str) {
            fs::write(self.0.join(file), value).unwrap();
        }
    }

    impl Drop for Frozen {
        fn drop(&mut self) {
            self.write("freezer.state", "THAWED");
            let held = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
            for pid in held.lines() {
                let _ = fs::write("/sys/fs/cgroup/freezer/cgroup.procs", pid);
            }
            let deadline = Instant::now() + Duration::from_secs(60);
            while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn unending(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let id = detached(
            hoist,
            "600",
            &[
                "deaf", "+", "daemon", "600000", "+", "fork", "2", "+", "idle",
            ],
        );
        soon("its tree is there", || living(hoist).len() == 4);
        let frozen = Frozen::new(hoist, by_parent(hoist).0[0]);
        let stopped = hoist.hoist(&["process", "stop", "-t", "0", &id]);
        stopped.failed_with(1, &["end exec", "by force", "cannot be killed"]);
        // The one that is frozen alone is left.
        soon("the others end", || living(hoist).len() == 1);
        drop(frozen);
        soon("it ends", || living(hoist).is_empty());
    }

    /// The processes whose parent is among the others of their process namespace, and those whose parent is not.
    fn by_parent(hoist: &Hoist) -> (Vec<u32>, Vec<u32>) {
        let all = living(hoist);
        all.iter().partition(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = stat.rsplit(") ").next().unwrap_or_default();
            let parent = after.split(' ').nth(1).and_then(|one| one.parse().ok());
            parent.is_some_and(|parent| all.contains(&parent))
        })
    }

    /// Enough for its tree to be there, and one of it to be frozen, on a machine with much to do.
    const TIMEOUT: &str = "10";
    const FAMILY: &[&str] = &["deaf", "+", "fork", "2", "+", "idle"];

    /// `hoist exec --timeout`, whose errors go to a file: of a pipe, what is left behind would keep the other end.
    struct Waiting {
        command: Child,
        stderr: String,
    }

    impl Waiting {
        fn start(hoist: &Hoist) -> Self {
            let stderr = hoist.path("stderr");
            let mut command = hoist.further(&["--timeout", TIMEOUT], "web", FAMILY);
            command.stdout(Stdio::null());
            command.stderr(fs::File::create(&stderr).unwrap());
            let command = command.spawn().unwrap();
            Self { command, stderr }
        }

        /// What it has written to standard error.
        fn ends_with(mut self, code: i32) -> String {
            let mut status = None;
            soon("exec ends", || {
                status = self.command.try_wait().unwrap();
                status.is_some()
            });
            let stderr = fs::read_to_string(&self.stderr).unwrap();
            assert_eq!(status.unwrap().code(), Some(code), "{stderr}");
            stderr
        }
    }

    fn left_behind(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let told =
            "not all it had started: end what the process has started: a process does not end";
        // In the foreground.
        let waiting = Waiting::start(hoist);
        soon("its tree is there", || by_parent(hoist).0.len() == 2);
        let frozen = Frozen::new(hoist, by_parent(hoist).0[0]);
        let stderr = waiting.ends_with(124);
        assert!(stderr.contains(told), "{stderr}");
        drop(frozen);
        soon("it ends", || living(hoist).is_empty());
        // In the background, and told later.
        let id = detached(hoist, TIMEOUT, FAMILY);
        soon("its tree is there", || by_parent(hoist).0.len() == 2);
        let frozen = Frozen::new(hoist, by_parent(hoist).0[0]);
        hoist.hoist(&["process", "wait", &id]).succeeded();
        let inspected = hoist.hoist(&["process", "inspect", &id]).succeeded();
        let list: serde_json::Value = serde_json::from_str(&inspected).unwrap();
        assert_eq!(list[0]["TimedOut"], true, "{inspected}");
        let why = list[0]["LeftBehind"].as_str().unwrap();
        assert!(told.ends_with(why), "{why}");
        drop(frozen);
        soon("it ends", || living(hoist).is_empty());
    }

    fn never_ends(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let waiting = Waiting::start(hoist);
        soon("its tree is there", || by_parent(hoist).0.len() == 2);
        let process = by_parent(hoist).1[0];
        let frozen = Frozen::new(hoist, process);
        let stderr = waiting.ends_with(125);
        for part in ["whose time is over", "does not end", "cannot be killed"] {
            assert!(stderr.contains(part), "{part}: {stderr}");
        }
        // The others are ended.
        assert_eq!(living(hoist).len(), 1);
        drop(frozen);
        soon("it ends", || living(hoist).is_empty());
        // Its owner is gone, and until it is reaped the container cannot end: that is for this machine's first process to do, and
        // not each is quick.
        let folder = format!("/proc/{process}");
        soon("it is reaped", || !Path::new(&folder).exists());
    }
}
