//! What has gone wrong in other engines, as behaviours of the built command (small counts; many with `HOIST_TESTS_FULL=1`).

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
#[path = "detached/hoist.rs"]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "this is test code"
)]
mod hoist;

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]
mod linux {
    use std::{
        collections::{BTreeSet, HashSet},
        fs,
        path::Path,
        process::{ExitCode, Stdio},
        time::{Duration, Instant},
    };

    use hoist_testing::{Need, Suite, full, hangs_after, probe};
    use serde_json::Value;

    use super::hoist::{DEADLINE, Hoist, until};

    pub(super) fn main() -> ExitCode {
        probe::main_if_asked();
        Suite::new()
            // Row 9.
            .test(
                "after each of twelve kinds of failed exec the container is as it was",
                &[Need::Root],
                a_failed_exec_changes_nothing,
            )
            // Row 7.
            .test(
                "exec returns when its process ends, whoever that has left behind holds the output",
                &[Need::Namespaces],
                exec_does_not_wait_for_others,
            )
            // Row 8.
            .test(
                "exec --timeout ends a command with all it has started, double forks in their own sessions too",
                &[Need::Namespaces],
                exec_ends_in_time,
            )
            .test(
                "exec has limits of its own, and what it leaves behind keeps them",
                &[Need::CgroupV1],
                exec_has_limits,
            )
            // Row 25.
            .test(
                "in the host's process namespace nothing of a container survives its first process, its kill or its removal",
                &[Need::Root],
                nothing_survives_in_the_hosts_process_namespace,
            )
            // Row 30.
            .test(
                "2,000 bind mounts start under a limit of 1,024 descriptors",
                &[Need::Root],
                many_mounts,
            )
            .test(
                "130 layers make one root, the top-most of equal files is seen, and none is written to",
                &[Need::Root],
                many_layers,
            )
            // Row 31.
            .test(
                "a kill by the kernel for want of memory is told each time, and any other never taken for one",
                &[Need::Limits],
                out_of_memory_is_told,
            )
            // Row 32.
            .test(
                "a container starts under a memory limit of 1 MiB, and too little is an error",
                &[Need::Limits],
                little_memory,
            )
            // Row 21 and 22.
            .test(
                "many execs and containers leave nothing behind: no descriptor, thread, zombie, memory, mount, cgroup or file",
                &[Need::Namespaces],
                nothing_piles_up,
            )
            .run()
    }

    fn inspect(hoist: &Hoist, id: &str) -> Value {
        let inspected: Value = serde_json::from_str(&hoist.ok(&["inspect", id])).unwrap();
        inspected[0].clone()
    }

    /// A container whose first process is `sleep`, no longer the shell that has become it.
    fn sleeping(hoist: &Hoist) -> String {
        let id = hoist.detached(&[], "exec sleep 1000");
        until("it sleeps", || {
            let top = hoist.ok(&["top", "--format", "json", &id]);
            !top.contains("sh -c")
        });
        id
    }

    /// What can be seen of a container from outside: its record, processes, mounts and cgroups.
    fn look(hoist: &Hoist, id: &str) -> Vec<String> {
        let pid = inspect(hoist, id)["State"]["Pid"].to_string();
        let record = hoist.state_root().join("containers").join(id);
        let mut seen: Vec<String> = fs::read_dir(record)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| format!("{} {:?}", path.display(), fs::read(&path).unwrap()))
            .collect();
        seen.sort();
        for file in ["mountinfo", "cgroup"] {
            seen.push(fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap());
        }
        let top = hoist.ok(&["top", "--format", "json", id]);
        // What has ended, and was not waited for by the container's first process, is left out.
        let live = top.lines().filter(|line| !line.contains("\"["));
        seen.extend(live.map(|line| {
            let process: Value = serde_json::from_str(line).unwrap();
            format!("{} {}", process["pid"], process["command"])
        }));
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let place = hierarchy.path().join("hoist").join(id);
            seen.extend(
                fs::read_dir(place)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path().display().to_string()),
            );
        }
        seen
    }

    fn a_failed_exec_changes_nothing() {
        let hoist = Hoist::new();
        let id = sleeping(&hoist);
        let before = look(&hoist, &id);
        let kinds: [(i32, &[&str]); 12] = [
            (127, &["/no/such"]),
            (127, &["no-such-program"]),
            (126, &["/etc/passwd"]),
            (126, &["/etc"]),
            (127, &["-w", "/no/such", "true"]),
            (126, &["-w", "/etc/passwd", "true"]),
            (125, &["-w", "relative", "true"]),
            (125, &["-u", "no-such-user", "true"]),
            (125, &["-u", "4294967295", "true"]),
            (125, &["-u", "0:no-such-group", "true"]),
            (125, &["-e", "=x", "true"]),
            (125, &["--env-file", "/no/such/file", "true"]),
        ];
        for (code, words) in kinds {
            let (options, command) = words.split_at(words.len() - 1);
            let words: Vec<&str> = [&["exec"], options, &[&id[..]], command].concat();
            let output = hoist.output(&words);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{words:?}: {errors}");
            assert_eq!(look(&hoist, &id), before, "{words:?}");
        }
        assert_eq!(hoist.ok(&["exec", &id, "echo", "x"]), "x");
    }

    fn exec_does_not_wait_for_others() {
        let hoist = Hoist::new();
        let id = hoist.detached(&[], "exec sleep 1000");
        let mut child = hoist
            .command(&["exec", &id, "sh", "-c", "sleep 1000 & exit 3"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The pipe stays open; the command does not wait for that.
        let status = hangs_after(DEADLINE, move || child.wait().unwrap());
        assert_eq!(status.code(), Some(3));
    }

    fn exec_ends_in_time() {
        let hoist = Hoist::new();
        let id = sleeping(&hoist);
        let before = look(&hoist, &id);
        let tag = format!("{}-timeout", std::process::id());
        let environment = format!("HOIST_ROBUSTNESS={tag}");
        let script = "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; sleep 1000";
        let output = hoist.output(&[
            "exec",
            "--timeout",
            "1",
            "-e",
            &environment,
            &id,
            "sh",
            "-c",
            script,
        ]);
        assert_eq!(output.status.code(), Some(124), "{output:?}");
        assert_eq!(tagged(&tag), BTreeSet::new());
        assert_eq!(look(&hoist, &id), before);
        assert_eq!(
            hoist
                .output(&["exec", "--timeout", "100", &id, "sh", "-c", "exit 3"])
                .status
                .code(),
            Some(3)
        );
        assert_eq!(look(&hoist, &id), before);
        let errors = hoist.fails(
            125,
            &["exec", "--timeout", "x", "--memory", "y", &id, "true"],
        );
        assert_eq!(errors.lines().count(), 2, "{errors}");
    }

    fn exec_has_limits() {
        let hoist = Hoist::new();
        let id = hoist.detached(&[], "exec sleep 1000");
        let limited = [
            "exec",
            "-m",
            "16m",
            "--pids-limit",
            "7",
            "--cpus",
            "0.5",
            &id,
            "sh",
            "-c",
        ];
        let script = "cat /proc/self/cgroup";
        let cgroups = hoist.ok(&[&limited[..], &[script]].concat());
        assert!(
            cgroups
                .lines()
                .any(|line| line.contains(":memory:/process-")),
            "{cgroups}"
        );
        let output = hoist.output(&[&limited[..], &["exec tail /dev/zero"]].concat());
        assert_eq!(output.status.code(), Some(137));
        let output = hoist.output(
            &[
                &limited[..],
                &["for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done"],
            ]
            .concat(),
        );
        assert!(
            String::from_utf8_lossy(&output.stderr)
                .to_lowercase()
                .contains("fork"),
            "{output:?}"
        );
        hoist.fails(125, &["exec", "--pids-limit", "0x", &id, "true"]);
        // What is left behind goes with the container.
        hoist.ok(&[&limited[..], &["setsid sleep 1000 >/dev/null 2>&1 &"]].concat());
        hoist.ok(&["rm", "-f", &id]);
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            assert!(!hierarchy.path().join("hoist").join(&id).exists());
        }
    }

    /// The processes whose environment bears the tag.
    fn tagged(tag: &str) -> BTreeSet<u32> {
        let wanted = format!("HOIST_ROBUSTNESS={tag}");
        let pids = fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environment
                    .split(|byte| *byte == 0)
                    .any(|one| one == wanted.as_bytes())
            })
            .collect()
    }

    fn nothing_survives_in_the_hosts_process_namespace() {
        for (number, ends) in ["exit", "kill", "rm"].into_iter().enumerate() {
            let hoist = Hoist::new();
            let tag = format!("{}-{number}", std::process::id());
            let environment = format!("HOIST_ROBUSTNESS={tag}");
            let script = "setsid sleep 1000 & (setsid sleep 1000 &) ; while ! test -e /tmp/end; do sleep 0.05; done";
            let id = hoist.detached(&["--pid", "host", "-e", &environment], script);
            until("all of it runs", || tagged(&tag).len() >= 3);
            match ends {
                "exit" => drop(hoist.ok(&["exec", &id, "touch", "/tmp/end"])),
                "kill" => drop(hoist.ok(&["kill", &id])),
                _ => drop(hoist.ok(&["rm", "-f", &id])),
            }
            until("nothing of it runs", || tagged(&tag).is_empty());
        }
    }

    fn many_mounts() {
        let hoist = Hoist::new();
        let source = tempfile::tempdir().unwrap();
        fs::write(source.path().join("f"), "text").unwrap();
        let count = 2000;
        let volumes: Vec<String> = (0..count)
            .map(|number| format!("{}:/mnt/{number}:ro", source.path().display()))
            .collect();
        let mut words = vec!["run", "--rm"];
        for volume in &volumes {
            words.extend(["-v", volume]);
        }
        words.extend([
            "sh",
            "-c",
            "grep -c ' /mnt/' /proc/self/mountinfo; cat /mnt/1999/f",
        ]);
        let hoist_words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let output = std::process::Command::new("prlimit")
            .args([
                "--nofile=1024:1024",
                env!("CARGO_BIN_EXE_hoist"),
                "--state-root",
            ])
            .arg(hoist.state_root())
            .args(&hoist_words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{count}\ntext"),
            "{errors}"
        );
    }

    fn many_layers() {
        let hoist = Hoist::new();
        let folder = tempfile::Builder::new()
            .prefix("a-long-name-for-a-folder-of-layers-")
            .tempdir()
            .unwrap();
        let count = 130;
        let mut words = vec!["run".to_owned(), "--rm".to_owned()];
        for number in 0..count {
            let layer = folder
                .path()
                .join(format!("layer-{number:03}-with-a-name-of-some-length"));
            fs::create_dir(&layer).unwrap();
            if number == 0 && hoist_testing::root::busybox(&layer).unwrap().is_none() {
                return;
            }
            fs::write(layer.join("top"), number.to_string()).unwrap();
            fs::write(layer.join(format!("of-{number}")), "").unwrap();
            words.extend(["--layer".to_owned(), layer.display().to_string()]);
        }
        words.extend(
            [
                "--",
                "sh",
                "-c",
                "cat /top; ls -d /of-* | wc -l; echo x > /top; rm /of-7; cat /top",
            ]
            .map(str::to_owned),
        );
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(hoist.ok(&words), format!("{}{count}\nx", count - 1));
        let top = folder
            .path()
            .join(format!("layer-{:03}-with-a-name-of-some-length", count - 1));
        assert_eq!(
            fs::read_to_string(top.join("top")).unwrap(),
            (count - 1).to_string()
        );
    }

    fn out_of_memory_is_told() {
        let hoist = Hoist::new();
        let times = if full() { 500 } else { 10 };
        for _ in 0..times {
            let id = hoist.detached(&["-m", "8m", "--memory-swap", "8m"], "exec tail /dev/zero");
            assert_eq!(hoist.ok(&["wait", &id]), "137");
            let state = inspect(&hoist, &id)["State"].clone();
            assert_eq!(state["OOMKilled"], true, "{state}");
            hoist.ok(&["rm", &id]);
            let id = hoist.detached(
                &["-m", "8m", "--memory-swap", "8m"],
                "kill -9 $$; sleep 1000",
            );
            hoist.ok(&["kill", &id]);
            assert_eq!(hoist.ok(&["wait", &id]), "137");
            let state = inspect(&hoist, &id)["State"].clone();
            assert_eq!(state["OOMKilled"], false, "{state}");
            hoist.ok(&["rm", &id]);
        }
    }

    fn little_memory() {
        let hoist = Hoist::new();
        let root = tempfile::tempdir().unwrap();
        if hoist_testing::root::busybox(root.path()).unwrap().is_none() {
            return;
        }
        let root = root.path().to_str().unwrap();
        for _ in 0..5 {
            hoist.ok(&["run", "--rm", "-m", "1m", "--rootfs", root, "/bin/true"]);
        }
        let output = hangs_after(DEADLINE, move || {
            let output = hoist.output(&["run", "--rm", "-m", "1", "--rootfs", "/", "true"]);
            (output, hoist.ok(&["ps", "-aq"]))
        });
        let (output, left) = output;
        assert_ne!(output.status.code(), Some(0));
        assert!(
            !output.stderr.is_empty() || output.status.code() == Some(137),
            "{output:?}"
        );
        assert_eq!(left, "");
    }

    /// What a container and its supervisor use, and what this machine has of them, to be the same after any number of execs and
    /// of other containers.
    #[derive(Debug)]
    struct Usage {
        descriptors: usize,
        threads: usize,
        children: usize,
        /// Private memory of the supervisor that it has written to, in KiB.
        memory: u64,
        /// Processes of the container that nobody has waited for.
        zombies: usize,
        /// Mounts in the container, and those of this machine that are about these containers.
        mounts: usize,
        cgroups: usize,
        /// Records, logs and names.
        files: usize,
    }

    impl Usage {
        fn of(hoist: &Hoist, id: &str, ids: &HashSet<String>) -> Self {
            let pid = hoist.supervisor(id).unwrap();
            let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
            let read = |path: String| fs::read_to_string(path).unwrap();
            let children = read(format!("/proc/{pid}/task/{pid}/children"));
            let first = children.split_whitespace().next().unwrap_or_default();
            let state_root = hoist.state_root().to_str().unwrap();
            let own_mounts = read("/proc/self/mountinfo".to_owned());
            let folders = ["containers", "supervisors", "logs", "names"]
                .map(|name| hoist.state_root().join(name));
            let inside = hoist.ok(&["exec", id, "sh", "-c", "cat /proc/[0-9]*/stat"]);
            Self {
                descriptors: count("fd"),
                threads: count("task"),
                children: children.split_whitespace().count(),
                memory: read(format!("/proc/{pid}/smaps_rollup"))
                    .lines()
                    .filter(|line| line.starts_with("Private_Dirty:"))
                    .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
                    .sum(),
                zombies: inside.lines().filter(|stat| stat.contains(") Z ")).count(),
                mounts: read(format!("/proc/{first}/mountinfo")).lines().count()
                    + own_mounts
                        .lines()
                        .filter(|line| line.contains(state_root))
                        .count(),
                cgroups: cgroups(Path::new("/sys/fs/cgroup"), ids, false),
                files: folders
                    .iter()
                    .map(|folder| fs::read_dir(folder).map_or(0, Iterator::count))
                    .sum(),
            }
        }

        fn is_no_more_than(&self, before: &Self) -> bool {
            // The socket of who launched it may have been open before. Memory is had by the page.
            self.descriptors <= before.descriptors
                && self.threads <= before.threads
                && self.children <= before.children
                && self.memory <= before.memory + 32
                && self.zombies <= before.zombies
                && self.mounts <= before.mounts
                && self.cgroups <= before.cgroups
                && self.files <= before.files
        }
    }

    /// How many cgroups there are that are named after these containers, with those below them.
    fn cgroups(folder: &Path, ids: &HashSet<String>, is_of_one: bool) -> usize {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        below
            .map(|entry| {
                let name = entry.file_name();
                let is_of_one = is_of_one
                    || name
                        .to_str()
                        .is_some_and(|name| name.split(['-', '.']).any(|part| ids.contains(part)));
                usize::from(is_of_one) + cgroups(&entry.path(), ids, is_of_one)
            })
            .sum()
    }

    fn nothing_piles_up() {
        let hoist = Hoist::new();
        // The workload's own orphans are for a first process that reaps: without one they would fill the machine's process ids.
        let id = hoist.detached(&["-i", "--init"], "exec sleep 1000000");
        let mut ids = HashSet::from([id.clone()]);
        let mut before = None;
        let times = if full() { 100_000 } else { 100 };
        for number in 0..times {
            // A child of a child that outlives both: the container's first process inherits it, not the supervisor.
            let script = "(sleep 0.01 &) ; exit 0";
            hoist.ok(&["exec", &id, "sh", "-c", script]);
            if number % 5 == 0 {
                // The same, owned by the supervisor.
                let process = hoist.ok(&["exec", "-d", &id, "sh", "-c", script]);
                assert_eq!(hoist.ok(&["process", "wait", &process]), "0");
            }
            if number % 10 == 0 {
                let short = hoist.ok(&["run", "--rm", "-d", "--", "true"]);
                until("it is gone", || {
                    !hoist.state_root().join("supervisors").join(&short).exists()
                });
                ids.insert(short);
            }
            if number == times / 5 {
                // What is done for the first time may take what it keeps, and so do the execs that are kept when they have ended.
                before = Some(Usage::of(&hoist, &id, &ids));
            }
            if (number + 1) % (times / 20) == 0 && full() {
                let usage = Usage::of(&hoist, &id, &ids);
                eprintln!("{} execs, {} containers: {usage:?}", number + 1, ids.len());
            }
        }
        let before = before.unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            // What is left of an exec's cgroup goes with that of the next one.
            let process = hoist.ok(&["exec", "-d", &id, "true"]);
            assert_eq!(hoist.ok(&["process", "wait", &process]), "0");
            let after = Usage::of(&hoist, &id, &ids);
            if after.is_no_more_than(&before) {
                break;
            }
            assert!(Instant::now() < deadline, "{after:?} after {before:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
