//! The cgroup of a container on the host's own hierarchies.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]
mod linux {
    use std::{
        fs, io,
        ops::Deref,
        path::PathBuf,
        process::{Child, Command, ExitCode, Stdio},
        sync::atomic::{AtomicU32, Ordering},
        thread,
        time::{Duration, Instant},
    };

    use hoist_compute::ErrorKind;
    use hoist_linux::cgroup::{
        Base, Cgroup, CgroupError, DeviceControl, Layout, Limits, Version, detect, plan_limits,
    };
    use hoist_spec::oci::LinuxResources;
    use hoist_testing::{Need, Suite, probe};

    const NEEDS: &[Need] = &[Need::Root, Need::Limits];
    /// Long enough for a slow machine: only a hang takes so long.
    const LONG: Duration = Duration::from_secs(60);

    pub(crate) fn main() -> ExitCode {
        probe::main_if_asked();
        let suite = Suite::new()
            .test(
                "a cgroup is made in every hierarchy and removed from all",
                NEEDS,
                is_made_and_removed,
            )
            .test(
                "limits are set and told by the statistics",
                NEEDS,
                limits_are_set,
            )
            .test(
                "a value that the kernel refuses is an error that names it",
                NEEDS,
                refused_value_is_named,
            )
            .test(
                "a cgroup with a process is not made again, and nothing of the attempt is left",
                NEEDS,
                in_use,
            )
            .test(
                "an empty cgroup of the same name is made anew without its old limits",
                NEEDS,
                made_anew,
            )
            .test(
                "a cgroup below a frozen one is refused at once",
                NEEDS,
                below_a_frozen_one,
            )
            .test(
                "a thread joins every v1 hierarchy by its tasks file",
                &[Need::Root, Need::CgroupV1],
                joins_by_tasks,
            )
            .test(
                "another cgroup that has the recorded path is not removed",
                NEEDS,
                stranger_is_left,
            )
            .test("an opened record reaches the same cgroup", NEEDS, reopened)
            .test(
                "removal waits for a process that ends",
                NEEDS,
                removal_waits,
            )
            .test(
                "removal that takes too long names the processes",
                NEEDS,
                removal_times_out,
            )
            .test(
                "removing twice at the same time is success",
                NEEDS,
                removed_twice,
            )
            .test(
                "a change with one refused limit leaves all as before",
                NEEDS,
                change_is_undone,
            )
            .test(
                "a change grows and shrinks memory and swap",
                NEEDS,
                memory_changes,
            )
            .test(
                "an out-of-memory kill is counted, also in a cgroup of the container's own",
                NEEDS,
                oom_is_counted,
            )
            .test(
                "a SIGKILL is not taken for an out-of-memory kill",
                NEEDS,
                kill_is_no_oom,
            )
            .test(
                "device rules hold, and no rule at all leaves the standard devices",
                NEEDS,
                devices_hold,
            )
            .test_or_skip(
                "a device program holds in the unified hierarchy",
                &[Need::Root],
                device_program_holds,
            )
            .test_or_skip(
                "an ordinary user is told the directory that is not theirs",
                &[Need::OrdinaryUser],
                permission_denied,
            );
        // A hybrid host has both freezers, a v1 or v2 host one of them.
        [Version::V1, Version::V2]
            .into_iter()
            .fold(suite, |suite, version| {
                let name = |what: &str| format!("{what} ({version:?})");
                suite
                    .test_or_skip(
                        name("a frozen process stands still and goes on"),
                        &[Need::Root],
                        move || with_freezer(version, stands_still),
                    )
                    .test_or_skip(
                        name("forking, frozen and nested processes are killed"),
                        &[Need::Root],
                        move || with_freezer(version, all_are_killed),
                    )
            })
            .run()
    }

    /// A cgroup that is gone with its processes when the test ends.
    struct Guard(Cgroup);

    impl Deref for Guard {
        type Target = Cgroup;
        fn deref(&self) -> &Cgroup {
            &self.0
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            let done = self.0.kill_all(LONG).and_then(|()| self.0.remove(LONG));
            if !thread::panicking() {
                done.unwrap();
            }
        }
    }

    impl Guard {
        fn paths(&self) -> Vec<PathBuf> {
            let directories = self.record().directories;
            directories
                .into_iter()
                .map(|directory| directory.path)
                .collect()
        }

        /// Starts a shell in the cgroup.
        fn shell(&self, script: &str) -> Child {
            let join = r#"for d; do if [ -e "$d/tasks" ]; then echo 0 >"$d/tasks"; else echo 0 >"$d/cgroup.procs"; fi || exit 99; done; "#;
            Command::new("sh")
                .arg("-c")
                .arg(format!("{join}set --; {script}"))
                .arg("sh")
                .args(self.paths())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        }

        /// A process that stays until it is killed, in the cgroup already.
        fn sleeper(&self) -> Child {
            let child = self.shell("exec sleep 1000");
            until("the process is in the cgroup", || {
                self.pids().unwrap() == [child.id()]
                    && fs::read(format!("/proc/{}/cmdline", child.id())).unwrap()
                        == b"sleep\x001000\0"
            });
            child
        }
    }

    fn until(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + LONG;
        while !condition() {
            assert!(Instant::now() < deadline, "it never comes that {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn name() -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("hoist/test-{}-{number}", std::process::id())
    }

    fn resources(json: &str) -> LinuxResources {
        serde_json::from_str(json).unwrap()
    }

    fn plan(json: &str, layout: &Layout) -> Limits {
        plan_limits(&resources(json), layout, DeviceControl::Leave).unwrap()
    }

    fn cgroup(json: &str) -> Guard {
        let layout = detect().unwrap();
        let limits = plan(json, &layout);
        let cgroup = Guard(Cgroup::create(&layout, Base::Mount, &name(), &limits).unwrap());
        cgroup.apply(&limits.writes).unwrap();
        cgroup
    }

    fn is_made_and_removed() {
        let layout = detect().unwrap();
        let name = name();
        let limits = plan("{}", &layout);
        let cgroup = Cgroup::create(&layout, Base::Mount, &name, &limits).unwrap();
        let paths: Vec<_> = layout
            .hierarchies
            .iter()
            .map(|at| at.directory(Base::Mount, &name))
            .collect();
        assert!(!paths.is_empty());
        assert!(paths.iter().all(|path| path.is_dir()), "{paths:?}");
        cgroup.remove(LONG).unwrap();
        assert!(!paths.iter().any(|path| path.exists()), "{paths:?}");
        cgroup.remove(LONG).unwrap();
    }

    fn limits_are_set() {
        let cgroup = cgroup(
            r#"{"memory": {"limit": 67108865}, "cpu": {"shares": 512, "quota": 50000, "cpus": "0"}, "pids": {"limit": 42}}"#,
        );
        let statistics = cgroup.statistics().unwrap();
        let memory = statistics.memory.unwrap();
        assert_eq!(memory.limit_bytes, Some(67_108_864));
        assert_eq!(memory.oom_kills, 0);
        assert_eq!(cgroup.memory_limit().unwrap(), Some(67_108_864));
        assert_eq!(statistics.pids, Some(0));
        assert!(statistics.cpu.is_some());
        let read = |file: &str| {
            let found = cgroup
                .paths()
                .into_iter()
                .find_map(|path| fs::read_to_string(path.join(file)).ok());
            found.unwrap_or_default()
        };
        assert_eq!(read("pids.max"), "42\n");
        assert_eq!(read("cpuset.cpus"), "0\n");
        assert!(read("cpu.cfs_quota_us") == "50000\n" || read("cpu.max") == "50000 100000\n");
        let mut child = cgroup.sleeper();
        assert_eq!(cgroup.statistics().unwrap().pids, Some(1));
        cgroup.kill_all(LONG).unwrap();
        child.wait().unwrap();
    }

    fn refused_value_is_named() {
        let layout = detect().unwrap();
        let limits = plan(r#"{"cpu": {"cpus": "8191"}}"#, &layout);
        let cgroup = Guard(Cgroup::create(&layout, Base::Mount, &name(), &limits).unwrap());
        let error = cgroup.apply(&limits.writes).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("cpuset.cpus = 8191") && text.contains("controller cpuset"),
            "{text}"
        );
        assert!(error.errno().is_some());
        assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    }

    fn in_use() {
        let layout = detect().unwrap();
        let (name, limits) = (name(), plan("{}", &layout));
        // It is there only in the last hierarchy: those before are made and must go again.
        let mut last = layout.clone();
        last.hierarchies.drain(..last.hierarchies.len() - 1);
        let other = Guard(Cgroup::create(&last, Base::Mount, &name, &plan("{}", &last)).unwrap());
        let mut child = other.sleeper();
        let error = Cgroup::create(&layout, Base::Mount, &name, &limits).unwrap_err();
        assert!(matches!(error, CgroupError::InUse { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let left = layout
            .hierarchies
            .iter()
            .map(|at| at.directory(Base::Mount, &name))
            .filter(|path| path.exists())
            .count();
        assert_eq!(left, 1);
        assert_eq!(other.pids().unwrap(), [child.id()]);
        drop(other);
        child.wait().unwrap();
    }

    fn made_anew() {
        let layout = detect().unwrap();
        let name = name();
        let limits = plan(r#"{"memory": {"limit": 8388608}}"#, &layout);
        let old = Cgroup::create(&layout, Base::Mount, &name, &limits).unwrap();
        old.apply(&limits.writes).unwrap();
        let new = Guard(Cgroup::create(&layout, Base::Mount, &name, &limits).unwrap());
        assert_eq!(new.memory_limit().unwrap(), None);
        // The record of the first does not reach the second.
        old.remove(LONG).unwrap();
        assert!(new.paths().iter().all(|path| path.is_dir()));
    }

    fn below_a_frozen_one() {
        let layout = detect().unwrap();
        let parent = name();
        let limits = plan("{}", &layout);
        let above = Guard(Cgroup::create(&layout, Base::Mount, &parent, &limits).unwrap());
        above.freeze(LONG).unwrap();
        let below = format!("{parent}/below");
        let error = Cgroup::create(&layout, Base::Mount, &below, &limits).unwrap_err();
        assert!(matches!(error, CgroupError::Frozen { .. }), "{error}");
        assert!(!above.paths().iter().any(|path| path.join("below").exists()));
    }

    fn joins_by_tasks() {
        let cgroup = cgroup("{}");
        let files = cgroup.join_files().unwrap();
        let count = files.tasks.len();
        let seen = thread::spawn(move || {
            for file in files.tasks {
                io::Write::write_all(&mut fs::File::from(file), b"0").unwrap();
            }
            fs::read_to_string("/proc/thread-self/cgroup").unwrap()
        })
        .join()
        .unwrap();
        let path = cgroup.paths().remove(0);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let joined = seen
            .lines()
            .filter(|line| line.ends_with(&format!("/hoist/{name}")))
            .count();
        assert_eq!(joined, count, "{seen}");
    }

    fn stranger_is_left() {
        let cgroup = cgroup("{}");
        let mut record = cgroup.record();
        for directory in &mut record.directories {
            directory.identity.as_mut().unwrap().inode += 1;
        }
        record.remove(LONG).unwrap();
        assert!(cgroup.paths().iter().all(|path| path.is_dir()));
        assert!(
            Cgroup::open(&record)
                .unwrap()
                .record()
                .directories
                .is_empty()
        );
    }

    fn reopened() {
        let cgroup = cgroup(r#"{"memory": {"limit": 8388608}}"#);
        let text = serde_json::to_string(&cgroup.record()).unwrap();
        let opened = Cgroup::open(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(opened.record(), cgroup.record());
        assert_eq!(opened.memory_limit().unwrap(), Some(8_388_608));
        let mut child = cgroup.sleeper();
        assert_eq!(opened.pids().unwrap(), [child.id()]);
        opened.kill_all(LONG).unwrap();
        child.wait().unwrap();
    }

    fn removal_waits() {
        let cgroup = cgroup("{}");
        let mut child = cgroup.shell("exec sleep 2");
        until("the process is in the cgroup", || {
            !cgroup.pids().unwrap().is_empty()
        });
        let reaper = thread::spawn(move || child.wait().unwrap());
        cgroup.remove(LONG).unwrap();
        assert!(!cgroup.paths().iter().any(|path| path.exists()));
        assert!(reaper.join().unwrap().success());
    }

    fn removal_times_out() {
        let cgroup = cgroup("{}");
        let mut child = cgroup.sleeper();
        match cgroup.remove(Duration::from_millis(50)).unwrap_err() {
            CgroupError::Timeout { processes, .. } => assert_eq!(processes, [child.id()]),
            error => panic!("{error}"),
        }
        drop(cgroup);
        child.wait().unwrap();
    }

    fn removed_twice() {
        for _ in 0..20 {
            let cgroup = cgroup("{}");
            let record = cgroup.record();
            let other = thread::spawn(move || record.remove(LONG));
            cgroup.remove(LONG).unwrap();
            other.join().unwrap().unwrap();
        }
    }

    fn change_is_undone() {
        let cgroup = cgroup(r#"{"memory": {"limit": 67108864}, "cpu": {"shares": 512}}"#);
        let all = || {
            let files = [
                "memory.limit_in_bytes",
                "memory.max",
                "cpu.shares",
                "cpu.weight",
                "cpuset.cpus",
                "pids.max",
            ];
            let paths = cgroup.paths();
            files
                .iter()
                .flat_map(|file| {
                    paths
                        .iter()
                        .map(move |path| fs::read_to_string(path.join(file)).ok())
                })
                .collect::<Vec<_>>()
        };
        let before = all();
        let change = r#"{"memory": {"limit": 33554432}, "cpu": {"shares": 2048, "cpus": "8191"}, "pids": {"limit": 5}}"#;
        let error = cgroup.modify(&resources(change)).unwrap_err().to_string();
        assert!(error.contains("cpuset"), "{error}");
        assert_eq!(all(), before);
        let change = r#"{"memory": {"limit": 33554432}, "cpu": {"shares": 2048}}"#;
        cgroup.modify(&resources(change)).unwrap();
        assert_eq!(cgroup.memory_limit().unwrap(), Some(33_554_432));
        assert_ne!(all(), before);
    }

    fn memory_changes() {
        let cgroup = cgroup(r#"{"memory": {"limit": 16777216, "swap": 16777216}}"#);
        for (limit, swap) in [(33_554_432, 67_108_864), (8_388_608, 8_388_608), (-1, -1)] {
            let change = format!(r#"{{"memory": {{"limit": {limit}, "swap": {swap}}}}}"#);
            cgroup.modify(&resources(&change)).unwrap();
            assert_eq!(cgroup.memory_limit().unwrap(), u64::try_from(limit).ok());
        }
    }

    const GREEDY: &str = "dd if=/dev/zero of=/dev/null bs=64M count=1";

    fn oom_is_counted() {
        let cgroup = cgroup(r#"{"memory": {"limit": 16777216, "swap": 16777216}}"#);
        let mut child = cgroup.shell(&format!("exec {GREEDY}"));
        assert!(!child.wait().unwrap().success());
        assert_eq!(cgroup.oom_kills().unwrap(), 1);
        // A process of a nested cgroup is counted there, and only there on v1.
        let memory = cgroup.memory_path().unwrap().join("own");
        fs::create_dir(&memory).unwrap();
        let script = format!("echo $$ >{}/cgroup.procs; exec {GREEDY}", memory.display());
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(script)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(cgroup.oom_kills().unwrap(), 2);
        assert_eq!(cgroup.memory_limit().unwrap(), Some(16_777_216));
    }

    fn kill_is_no_oom() {
        let cgroup = cgroup(r#"{"memory": {"limit": 16777216}}"#);
        let mut child = cgroup.sleeper();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(cgroup.oom_kills().unwrap(), 0);
    }

    /// `true` where a process in the cgroup can read the device.
    fn can_read(cgroup: &Guard, device: &str) -> bool {
        let code = cgroup
            .shell(&format!("exec 3<{device} || exit 7"))
            .wait()
            .unwrap()
            .code();
        assert_ne!(code, Some(99), "the shell could not join");
        code == Some(0)
    }

    fn devices_hold() {
        let layout = detect().unwrap();
        for (rules, zero, kmsg) in [
            ("[]", true, false),
            (
                r#"[{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]"#,
                true,
                true,
            ),
            (r#"[{"allow": true, "access": "rwm"}]"#, true, true),
            (
                r#"[{"allow": true, "access": "rwm"}, {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "rwm"}]"#,
                true,
                false,
            ),
        ] {
            let resources = resources(&format!(r#"{{"devices": {rules}}}"#));
            let limits = plan_limits(&resources, &layout, DeviceControl::Enforce).unwrap();
            let cgroup = Guard(Cgroup::create(&layout, Base::Mount, &name(), &limits).unwrap());
            cgroup.apply(&limits.writes).unwrap();
            if let Some(rules) = &limits.device_program {
                cgroup.attach_device_program(rules).unwrap();
            }
            assert_eq!(can_read(&cgroup, "/dev/zero"), zero, "zero with {rules}");
            assert_eq!(can_read(&cgroup, "/dev/kmsg"), kmsg, "kmsg with {rules}");
        }
    }

    fn device_program_holds() -> Result<(), String> {
        let layout = only(Version::V2)?;
        let limits =
            plan_limits(&LinuxResources::default(), &layout, DeviceControl::Enforce).unwrap();
        let cgroup = Guard(Cgroup::create(&layout, Base::Mount, &name(), &limits).unwrap());
        assert!(can_read(&cgroup, "/dev/kmsg"));
        cgroup
            .attach_device_program(&limits.device_program.unwrap())
            .unwrap();
        assert!(can_read(&cgroup, "/dev/zero"));
        assert!(!can_read(&cgroup, "/dev/kmsg"));
        Ok(())
    }

    fn permission_denied() -> Result<(), String> {
        let layout = detect().unwrap();
        if layout.hierarchies.is_empty() {
            return Err("no cgroup hierarchy is mounted writable".to_owned());
        }
        let name = name();
        let error = Cgroup::create(&layout, Base::Mount, &name, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("/hoist"), "{error}");
        Ok(())
    }

    /// The layout of this host without the hierarchies of the other version.
    fn only(version: Version) -> Result<Layout, String> {
        let mut layout = detect().unwrap();
        layout
            .hierarchies
            .retain(|hierarchy| hierarchy.version == version);
        match layout.hierarchies.is_empty() {
            false => Ok(layout),
            true => Err(format!("no {version:?} hierarchy is mounted")),
        }
    }

    fn with_freezer(version: Version, test: fn(Guard)) -> Result<(), String> {
        let layout = only(version)?;
        let limits = plan("{}", &layout);
        test(Guard(
            Cgroup::create(&layout, Base::Mount, &name(), &limits).unwrap(),
        ));
        Ok(())
    }

    fn stands_still(cgroup: Guard) {
        let mut child = cgroup.shell("while :; do :; done");
        until("the process is in the cgroup", || {
            !cgroup.pids().unwrap().is_empty()
        });
        let used = || {
            let text = fs::read_to_string(format!("/proc/{}/schedstat", child.id())).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        assert!(!cgroup.frozen().unwrap());
        cgroup.freeze(LONG).unwrap();
        assert!(cgroup.frozen().unwrap());
        cgroup.freeze(LONG).unwrap();
        let before = used();
        thread::sleep(Duration::from_millis(100));
        assert_eq!(used(), before);
        cgroup.thaw(LONG).unwrap();
        assert!(!cgroup.frozen().unwrap());
        cgroup.thaw(LONG).unwrap();
        until("the process goes on", || used() > before);
        cgroup.kill_all(LONG).unwrap();
        child.wait().unwrap();
    }

    fn all_are_killed(cgroup: Guard) {
        let mut first = cgroup.shell("while :; do sleep 1000 & sleep 0.01; done");
        until("there are several processes", || {
            cgroup.pids().unwrap().len() > 5
        });
        let nested: Vec<_> = cgroup
            .paths()
            .into_iter()
            .map(|path| path.join("own"))
            .collect();
        for path in &nested {
            fs::create_dir(path).unwrap();
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let value = fs::read(path.with_file_name(file)).unwrap_or_default();
                if path.join("tasks").exists() && !value.is_empty() {
                    fs::write(path.join(file), value).unwrap();
                }
            }
        }
        let join: String = nested
            .iter()
            .map(|path| format!("echo $$ >{}/cgroup.procs; ", path.display()))
            .collect();
        let mut second = Command::new("sh")
            .arg("-c")
            .arg(format!("{join}exec sleep 1000"))
            .spawn()
            .unwrap();
        until("the nested process is in its cgroup", || {
            fs::read_to_string(format!("/proc/{}/cmdline", second.id())).unwrap()
                == "sleep\x001000\0"
        });
        assert!(cgroup.pids().unwrap().contains(&second.id()));
        for path in &nested {
            for (file, value) in [("freezer.state", "FROZEN"), ("cgroup.freeze", "1")] {
                if path.join(file).exists() {
                    fs::write(path.join(file), value).unwrap();
                }
            }
        }
        cgroup.freeze(LONG).unwrap();
        let before = Instant::now();
        cgroup.kill_all(LONG).unwrap();
        assert!(before.elapsed() < LONG);
        assert_eq!(cgroup.pids().unwrap(), [0u32; 0]);
        assert!(!first.wait().unwrap().success());
        assert!(!second.wait().unwrap().success());
        cgroup.remove(LONG).unwrap();
        assert!(!nested.iter().any(|path| path.exists()));
    }
}
