//! Many runs, one after the other and at once: no hang, no lost exit code, no leak.
//!
//! Bounded by default; `HOIST_TESTS_FULL=1` makes the whole count. What is left behind (mounts, cgroups, descriptors,
//! processes, records) is counted before and after every case.

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
        process::{Child, Command, Stdio},
        sync::atomic::{AtomicBool, AtomicU32, Ordering},
        thread,
        time::{Duration, Instant},
    };

    use hoist_testing::{
        Need,
        command::{
            By::{Anyone, Caller, Root},
            Case, Hoist, finish, finish_within,
        },
        full,
        probe::sys,
    };

    /// The bound of the list of known failures is 5 seconds, on a machine of its own; others may be at work on this one.
    const HANGS_AFTER: Duration = Duration::from_secs(60);

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "consecutive runs end with their codes and leave nothing",
            by: Anyone,
            needs: &[],
            run: consecutive,
        },
        Case {
            name: "sixteen runs at a time end with their codes and leave nothing",
            by: Anyone,
            needs: &[],
            run: at_once,
        },
        Case {
            // Row 1 of the list of known failures.
            name: "programs that end at once never make run or exec hang, one by one under load",
            by: Caller,
            needs: &[],
            run: short_programs,
        },
        Case {
            // Row 1.
            name: "programs that end at once never make exec hang, 64 at a time",
            by: Caller,
            needs: &[],
            run: short_programs_at_once,
        },
        Case {
            // Row 24.
            name: "a process that has got a dead container's process id is never signalled",
            by: Root,
            needs: &[Need::ChosenPids],
            run: reused_pid,
        },
        Case {
            // Row 29.
            name: "no mount reaches the host or another container while others mount and unmount",
            by: Root,
            needs: &[],
            run: mounts,
        },
        Case {
            name: "hoist killed at any moment of a run leaves what rm -f removes",
            by: Caller,
            needs: &[],
            run: killed,
        },
    ];

    fn consecutive(hoist: &Hoist) {
        let runs = if full() { 10_000 } else { 300 };
        for number in 0..runs {
            let code = number % 256;
            hoist
                .run(&[], &["exit", &code.to_string()])
                .ended_with(code);
        }
    }

    fn at_once(hoist: &Hoist) {
        let runs = if full() { 2000 } else { 160 };
        in_threads(16, runs, |number| {
            let code = i32::try_from(number % 256).unwrap();
            hoist
                .run(&[], &["exit", &code.to_string()])
                .ended_with(code);
        });
    }

    /// Does `work` with each number up to `count`, in so many threads.
    fn in_threads(threads: u32, count: u32, work: impl Fn(u32) + Sync) {
        let next = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            break;
                        }
                        work(number);
                    }
                });
            }
        });
    }

    /// Programs that keep every processor busy while `work` runs.
    fn under_load(hoist: &Hoist, work: impl FnOnce()) {
        let processors = thread::available_parallelism().unwrap().get();
        let mut spinning: Vec<Child> = (0..processors)
            .map(|_| {
                Command::new(hoist.root().join("probe"))
                    .args(["probe", "spin", "600000"])
                    .spawn()
                    .unwrap()
            })
            .collect();
        work();
        for child in &mut spinning {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn short_programs(hoist: &Hoist) {
        let runs = if full() { 20_000 } else { 200 };
        let _running = hoist.background("web", &[], &["idle"]);
        under_load(hoist, || {
            for number in 0..runs {
                let mut command = match number % 2 {
                    0 => hoist.further(&[], "web", &["exit", "0"]),
                    _ => hoist.container(&["--rm"], &["exit", "0"]),
                };
                finish_within(HANGS_AFTER, &mut command, b"").succeeded();
            }
        });
    }

    fn short_programs_at_once(hoist: &Hoist) {
        let runs = if full() { 20_000 } else { 256 };
        let _running = hoist.background("web", &[], &["idle"]);
        under_load(hoist, || {
            in_threads(64, runs, |_| {
                let mut command = hoist.further(&[], "web", &["exit", "0"]);
                // 64 share the processors with the load.
                finish_within(4 * HANGS_AFTER, &mut command, b"").succeeded();
            });
        });
        hoist.exec(&[], "web", &["exit", "0"]).succeeded();
    }

    fn reused_pid(hoist: &Hoist) {
        let mut owner = hoist
            .container(
                &["--name", "gone"],
                &["say", "ready", "+", "sleep", "600000"],
            )
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let pid = loop {
            let inspected = hoist.hoist(&["inspect", "gone"]);
            let list: serde_json::Value =
                serde_json::from_slice(&inspected.stdout).unwrap_or_default();
            match list[0]["State"]["Pid"].as_u64() {
                Some(pid @ 1..) => break i32::try_from(pid).unwrap(),
                _ => assert!(Instant::now() < deadline, "{inspected:?}"),
            }
        };
        // Nobody is left to write the end down.
        owner.kill().unwrap();
        owner.wait().unwrap();
        let _ = sys::kill(pid, 9);
        while fs::exists(format!("/proc/{pid}")).unwrap() {
            assert!(Instant::now() < deadline, "process {pid} stays");
            thread::sleep(Duration::from_millis(5));
        }
        let mut stranger = start_with_pid(hoist, pid);
        for words in [
            &["kill", "gone"][..],
            &["exec", "gone", "/probe"],
            &["top", "gone"],
        ] {
            let ran = hoist.hoist(words);
            assert_ne!(ran.code, 0, "{words:?}");
            assert!(
                ran.stderr.contains("it is stopped") || ran.stderr.contains("not running"),
                "{}",
                ran.stderr
            );
        }
        hoist.hoist(&["stop", "gone"]).ended_with(0);
        let state = &hoist.inspect("gone")["State"];
        assert_eq!(
            (&state["Status"], &state["Pid"]),
            (&"exited".into(), &0.into())
        );
        assert_ne!(state["ExitCode"], 0, "an end that nobody saw is no success");
        hoist.hoist(&["rm", "-f", "gone"]).succeeded();
        assert!(
            stranger.try_wait().unwrap().is_none(),
            "the stranger was ended"
        );
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    /// A process with this id, which nobody has.
    fn start_with_pid(hoist: &Hoist, pid: i32) -> Child {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
            let mut child = Command::new(hoist.root().join("probe"))
                .args(["probe", "sleep", "600000"])
                .spawn()
                .unwrap();
            if child.id().cast_signed() == pid {
                return child;
            }
            // Somebody else was faster.
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(Instant::now() < deadline, "process id {pid} cannot be had");
        }
    }

    fn mounts(hoist: &Hoist) {
        let cycles = if full() { 10_000 } else { 100 };
        // In a mount namespace of the test's own, whose mounts spread as they do on a host with systemd.
        thread::scope(|scope| {
            let working = scope.spawn(|| {
                sys::unshare_mounts().unwrap();
                sys::share_mounts().unwrap();
                let before = own_mounts();
                let done = AtomicBool::new(false);
                thread::scope(|scope| {
                    for number in 0..8 {
                        let place = hoist.make_folder(&format!("loop{number}"));
                        let done = &done;
                        scope.spawn(move || {
                            while !done.load(Ordering::Relaxed) {
                                sys::mount("loop", &place, "tmpfs", 0).unwrap();
                                sys::unmount(&place).unwrap();
                            }
                        });
                    }
                    let running = hoist.background("other", &[], &["idle"]);
                    let folder = hoist.folder().to_str().unwrap().to_owned();
                    let volume = format!("{folder}:/mnt");
                    for _ in 0..cycles {
                        finish(
                            &mut hoist.container(
                                &["--rm", "-v", &volume, "--tmpfs", "/run"],
                                &["exit", "0"],
                            ),
                            b"",
                        )
                        .succeeded();
                    }
                    let report: hoist_testing::probe::report::Report =
                        hoist.exec(&[], "other", &["report"]).json();
                    for mount in &report.mounts {
                        assert!(
                            !mount.target.contains("loop") && mount.source != "loop",
                            "{mount:?}"
                        );
                    }
                    drop(running);
                    done.store(true, Ordering::Relaxed);
                });
                assert_eq!(own_mounts(), before);
            });
            if let Err(panic) = working.join() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    /// The mounts of this thread's namespace, without the ids that each mount has anew.
    fn own_mounts() -> Vec<String> {
        let mut mounts: Vec<String> = fs::read_to_string("/proc/thread-self/mountinfo")
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        mounts.sort();
        mounts
    }

    fn killed(hoist: &Hoist) {
        let tries = if full() { 1000 } else { 60 };
        for number in 0..tries {
            let mut child = hoist
                .container(&["--name", "x"], &["sleep", "50"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            thread::sleep(Duration::from_micros(number * 1_000 % 60_000));
            child.kill().unwrap();
            child.wait().unwrap();
            for id in hoist.ids() {
                hoist.hoist(&["rm", "-f", &id]).ended_with(0);
            }
            hoist.hoist(&["rm", "-f", "x"]).ended_with(0);
            assert_eq!(hoist.ids(), Vec::<String>::new());
        }
        // The name is free, and all is as it was.
        hoist.run(&["--name", "x"], &["exit", "0"]).succeeded();
    }
}
