//! The options of `run` beside the main ones, and the commands that change containers that run: each effect is looked at from
//! inside the container.

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
    use std::{os::unix::fs::MetadataExt, path::Path, process::ExitCode};

    use hoist_testing::{Need, Suite, probe};

    use super::hoist::{Hoist, until};

    pub(super) fn main() -> ExitCode {
        probe::main_if_asked();
        Suite::new()
            .test_or_skip(
                "--device shows a device at another place and lets it be used as far as is said",
                &[Need::Root],
                a_device,
            )
            .test_or_skip(
                "a device that is not named cannot be opened, one of --device-cgroup-rule can",
                &[Need::Root],
                device_rules,
            )
            .test(
                "--ulimit, --oom-score-adj, --group-add and --shm-size are as they were given",
                &[Need::Root],
                of_the_process,
            )
            .test(
                "--sysctl sets what the container's namespaces have for themselves, and nothing else",
                &[Need::Root],
                sysctls,
            )
            .test(
                "--memory-reservation, --memory-swap, --cpuset-cpus and --cpuset-mems are in the container's cgroup",
                &[Need::CgroupV1],
                limits,
            )
            .test(
                "--privileged gives every capability and device, and hides and filters nothing",
                &[Need::Root],
                privileged,
            )
            .test(
                "--pid, --uts and --ipc share the host's namespace or another container's, and nothing more",
                &[Need::Root],
                namespaces,
            )
            .test(
                "an AppArmor profile is set or the start fails",
                &[Need::Namespaces],
                apparmor,
            )
            .test(
                "parts of SELinux labels are refused with what to do, and those of volumes just where there are labels",
                &[Need::Namespaces],
                selinux_labels,
            )
            .test(
                "--uidmap and --gidmap make a user namespace with just these ids",
                &[Need::Root],
                user_namespace,
            )
            .test(
                "--cgroup-parent puts the container's cgroup below another one",
                &[Need::CgroupV1],
                cgroup_parent,
            )
            .test(
                "--layer-folder keeps what was written over the layers for the next container",
                &[Need::Root],
                layer_folder,
            )
            .test(
                "labels and annotations are shown by inspect",
                &[Need::Namespaces],
                labels,
            )
            .test(
                "every option that is wrong is told at once, and nothing is made",
                &[Need::Namespaces],
                wrong_options,
            )
            .test(
                "pause freezes a container until unpause lets it go on",
                &[Need::Limits],
                paused,
            )
            // Row 26.
            .test(
                "a paused container is killed and removed at once",
                &[Need::Limits],
                killed_while_paused,
            )
            .test(
                "update changes limits of a container that runs, all of them or none",
                &[Need::CgroupV1],
                updated,
            )
            .test(
                "stats shows what containers use, as a table and as JSON",
                &[Need::Limits],
                stats,
            )
            .test(
                "rename gives a container another name, unless that is in use",
                &[Need::Namespaces],
                renamed,
            )
            .test(
                "ps shows the containers that its filters name, or the newest",
                &[Need::Namespaces],
                listed,
            )
            .test(
                "prune removes what has ended and leaves what is created or runs",
                &[Need::Namespaces],
                pruned,
            )
            .test(
                "man writes a page for every command",
                &[],
                manual_pages,
            )
            .run()
    }

    /// What a script prints in a container with these options.
    fn inside(hoist: &Hoist, options: &[&str], script: &str) -> String {
        hoist.ok(&[&["run", "--rm"], options, &["--", "sh", "-c", script]].concat())
    }

    /// A device that no container may use by itself, and that asks for no capability.
    fn fuse() -> Result<(), String> {
        match std::path::Path::new("/dev/fuse").exists() {
            true => Ok(()),
            false => Err("there is no /dev/fuse".to_owned()),
        }
    }

    fn a_device() -> Result<(), String> {
        fuse()?;
        let hoist = Hoist::new();
        let script = "stat -c '%F %t:%T' /dev/other; (: < /dev/other) && echo reads; \
                      (: > /dev/other) 2>/dev/null || echo refused";
        let found = inside(&hoist, &["--device", "/dev/fuse:/dev/other:r"], script);
        assert_eq!(found, "character special file a:e5\nreads\nrefused");
        Ok(())
    }

    fn device_rules() -> Result<(), String> {
        fuse()?;
        let hoist = Hoist::new();
        let script =
            "mknod /dev/k c 10 229; (: < /dev/k) 2>/dev/null && echo reads || echo refused";
        assert_eq!(inside(&hoist, &[], script), "refused");
        let rule = ["--device-cgroup-rule", "c 10:229 rw"];
        assert_eq!(inside(&hoist, &rule, script), "reads");
        Ok(())
    }

    fn of_the_process() {
        let hoist = Hoist::new();
        let options = [
            "--ulimit",
            "nofile=100:200",
            "--ulimit",
            "core=0",
            "--oom-score-adj",
            "500",
            "--group-add",
            "77",
            "--shm-size",
            "10m",
        ];
        let script = "ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; id -G; \
                      stat -f -c '%b %S' /dev/shm";
        let found = inside(&hoist, &options, script);
        let blocks = 10 * 1024 * 1024 / 4096;
        assert_eq!(found, format!("100\n200\n0\n500\n0 77\n{blocks} 4096"));
    }

    fn sysctls() {
        let hoist = Hoist::new();
        let script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax";
        let options = [
            "--sysctl",
            "net.ipv4.ip_forward=1",
            "--sysctl",
            "kernel.msgmax=4096",
        ];
        assert_eq!(inside(&hoist, &options, script), "1\n4096");
        for name in [
            "kernel.core_pattern=x",
            "vm.swappiness=1",
            "kernel.pid_max=100",
        ] {
            let errors = hoist.fails(125, &["run", "--rm", "--sysctl", name, "true"]);
            assert!(errors.contains("sysctl"), "{errors}");
        }
    }

    fn cgroup_file(hoist: &Hoist, id: &str, controller: &str, file: &str) -> String {
        let pid = hoist.ok(&["inspect", id]);
        let pid: serde_json::Value = serde_json::from_str(&pid).unwrap();
        let pid = &pid[0]["State"]["Pid"];
        let lines = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let path = lines
            .lines()
            .find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                controllers
                    .split(',')
                    .any(|one| one == controller)
                    .then_some(path)
            })
            .unwrap();
        let path = format!("/sys/fs/cgroup/{controller}{path}/{file}");
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .trim()
            .to_owned()
    }

    fn limits() {
        let hoist = Hoist::new();
        let options = [
            "-m",
            "64m",
            "--memory-swap",
            "96m",
            "--memory-reservation",
            "32m",
            "--cpuset-cpus",
            "0",
            "--cpuset-mems",
            "0",
        ];
        let id = hoist.detached(&options, "sleep 1000");
        let file = |controller, file| cgroup_file(&hoist, &id, controller, file);
        assert_eq!(
            file("memory", "memory.limit_in_bytes"),
            (64 << 20).to_string()
        );
        assert_eq!(
            file("memory", "memory.soft_limit_in_bytes"),
            (32 << 20).to_string()
        );
        assert_eq!(file("cpuset", "cpuset.cpus"), "0");
        assert_eq!(file("cpuset", "cpuset.mems"), "0");
    }

    fn privileged() {
        let hoist = Hoist::new();
        let script = "grep CapEff /proc/self/status; mount -t tmpfs none /mnt && echo mounted; \
                      grep Seccomp: /proc/self/status; head -c 0 /dev/kmsg && echo read; \
                      head -c 1 /proc/kcore >/dev/null 2>&1; ls /proc/acpi /proc/scsi 2>/dev/null | wc -l";
        let found = inside(&hoist, &["--privileged"], script);
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        let bounding = own
            .lines()
            .find_map(|line| line.strip_prefix("CapBnd:"))
            .unwrap();
        assert!(found.contains(&format!("CapEff:{bounding}")), "{found}");
        assert!(found.contains("mounted\nSeccomp:\t0\nread"), "{found}");
    }

    fn namespaces() {
        let hoist = Hoist::new();
        let own = |kind: &str| {
            std::fs::read_link(format!("/proc/self/ns/{kind}"))
                .unwrap()
                .into_os_string()
                .into_string()
                .unwrap()
        };
        for kind in ["pid", "uts", "ipc"] {
            let option = format!("--{kind}");
            let script = "cd /proc/self/ns; readlink pid uts ipc net mnt";
            let found = inside(&hoist, &[&option, "host"], script);
            for (index, other) in ["pid", "uts", "ipc", "net", "mnt"].into_iter().enumerate() {
                let shared = found.lines().nth(index) == Some(&own(other));
                assert_eq!(shared, other == kind, "{option}: {other} {found}");
            }
        }
        let id = hoist.detached(&["--name", "first"], "exec sleep 1000");
        // The shell becomes it when it gets to that.
        until("its first process is seen", || {
            let script = "cat /proc/1/cmdline | tr '\\0' ' '";
            inside(&hoist, &["--pid", "container:first"], script) == "sleep 1000"
        });
        // With the message queues and semaphores come the shared memory segments, as with docker.
        if Need::Root.missing().is_none() {
            // One's own, with which nothing is shared.
            let script = "readlink /proc/self/ns/ipc; test -e /dev/shm && echo there";
            let host = std::fs::read_link("/proc/self/ns/ipc").unwrap();
            for (mode, has_memory) in [("none", false), ("private", true), ("shareable", true)] {
                let found = inside(&hoist, &["--ipc", mode], &format!("{script}; true"));
                assert_eq!(found.ends_with("there"), has_memory, "{mode}: {found}");
                assert!(!found.contains(host.to_str().unwrap()), "{mode}: {found}");
            }
            hoist.ok(&["exec", "first", "sh", "-c", "echo seen > /dev/shm/there"]);
            let script = "cat /dev/shm/there; echo back > /dev/shm/here";
            let found = inside(&hoist, &["--ipc", "container:first"], script);
            assert_eq!(found, "seen");
            assert_eq!(hoist.ok(&["exec", "first", "cat", "/dev/shm/here"]), "back");
            assert_eq!(inside(&hoist, &[], "ls /dev/shm"), "");
        }
        let network = "readlink /proc/self/ns/net";
        let first = || hoist.ok(&["exec", "first", "sh", "-c", network]);
        assert_eq!(
            inside(&hoist, &["--network", "container:first"], network),
            first()
        );
        hoist.detached(
            &["--name", "second", "--network", "container:first"],
            "exec sleep 1000",
        );
        let mode = [
            "inspect",
            "second",
            "--format",
            "{{.HostConfig.NetworkMode}}",
        ];
        assert_eq!(hoist.ok(&mode), format!("container:{id}"));
        // Started again, it joins what the other one has by then.
        hoist.ok(&["stop", "--time", "0", "second", "first"]);
        let errors = hoist.fails(1, &["start", "second"]);
        assert!(errors.contains("not running"), "{errors}");
        hoist.ok(&["start", "first", "second"]);
        let second = hoist.ok(&["exec", "second", "sh", "-c", network]);
        assert_eq!(second, first());
        hoist.ok(&["stop", "--time", "0", "second", "first"]);
        for option in ["--pid", "--network"] {
            let errors = hoist.fails(125, &["run", "--rm", option, "container:first", "true"]);
            assert!(errors.contains("not running"), "{errors}");
        }
    }

    fn apparmor() {
        let hoist = Hoist::new();
        let profile = format!("hoist-nosuch-{}", std::process::id());
        let option = format!("apparmor={profile}");
        // Without AppArmor, and without the profile, nothing runs.
        let errors = hoist.fails(125, &["run", "--rm", "--security-opt", &option, "true"]);
        assert!(errors.contains(&profile), "{errors}");
        assert!(errors.contains("AppArmor"), "{errors}");
        hoist.ok(&[
            "run",
            "--rm",
            "--security-opt",
            "apparmor=unconfined",
            "true",
        ]);
        let id = hoist.ok(&["create", "--security-opt", &option, "true"]);
        let told = hoist.ok(&["inspect", "-f", "{{.HostConfig.SecurityOpt}}", &id]);
        assert_eq!(told, format!("[{option}]"));
    }

    fn selinux_labels() {
        let hoist = Hoist::new();
        let option = ["run", "--rm", "--security-opt"];
        let errors = hoist.fails(125, &[&option[..], &["label=type:x", "true"]].concat());
        assert!(errors.contains("SELinux"), "{errors}");
        hoist.ok(&[&option[..], &["label=disable", "true"]].concat());
        let source = tempfile::tempdir().unwrap();
        std::fs::write(source.path().join("file"), "of the host").unwrap();
        let known = std::fs::read_to_string("/proc/filesystems").unwrap();
        let has_selinux = known.contains("selinuxfs");
        for letter in ["z", "Z"] {
            let volume = format!("{}:/mnt:{letter}", source.path().display());
            let words = ["run", "--rm", "-v", &volume, "cat", "/mnt/file"];
            if has_selinux {
                let errors = hoist.fails(125, &words);
                assert!(errors.contains("chcon"), "{errors}");
            } else {
                assert_eq!(hoist.ok(&words), "of the host");
            }
        }
    }

    fn user_namespace() {
        let hoist = Hoist::new();
        let root = tempfile::tempdir().unwrap();
        if hoist_testing::root::busybox(root.path()).unwrap().is_none() {
            return;
        }
        let options = [
            "--uidmap",
            "0:100000:65536",
            "--gidmap",
            "0:200000:65536",
            "--rootfs",
            root.path().to_str().unwrap(),
        ];
        let script = "cat /proc/self/uid_map /proc/self/gid_map; id -u";
        let found = inside(&hoist, &options, script);
        let words: Vec<&str> = found.split_whitespace().collect();
        assert_eq!(words, ["0", "100000", "65536", "0", "200000", "65536", "0"]);
        hoist.fails(125, &["run", "--rm", "--userns", "private", "true"]);
        // A supervisor keeps what it makes to itself; the container's root is somebody else, and sees its cgroup.
        let parent = format!("hoist-parent-{}", std::process::id());
        let id = hoist.detached(
            &[&options[..], &["--cgroup-parent", &parent]].concat(),
            "sleep 1000",
        );
        hoist.ok(&["exec", &id, "ls", "/sys/fs/cgroup/memory"]);
        hoist.ok(&["rm", "-f", &id]);
        for entry in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = std::fs::remove_dir(entry.path().join(&parent));
        }
    }

    fn cgroup_parent() {
        let hoist = Hoist::new();
        let parent = format!("/hoist-parent-{}", std::process::id());
        let id = hoist.detached(&["--cgroup-parent", &parent], "sleep 1000");
        let place = format!("/sys/fs/cgroup/memory{parent}/{id}");
        // The supervisor's umask, which hides all it makes from others, does not hide a cgroup from its user namespace.
        for place in [Path::new(&place), Path::new(&place).parent().unwrap()] {
            let mode = std::fs::metadata(place).unwrap().mode() & 0o7777;
            assert_eq!(mode, 0o755, "{}", place.display());
        }
        hoist.ok(&["rm", "-f", &id]);
        for mount in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = std::fs::remove_dir(mount.path().join(&parent[1..]));
        }
    }

    fn layer_folder() {
        let hoist = Hoist::new();
        let (base, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        if hoist_testing::root::busybox(base.path()).unwrap().is_none() {
            return;
        }
        let kept = folder.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        let options = [
            "--layer",
            base.path().to_str().unwrap(),
            "--layer-folder",
            kept.to_str().unwrap(),
        ];
        inside(&hoist, &options, "echo text > /written; rm /bin/yes");
        assert_eq!(
            inside(
                &hoist,
                &options,
                "cat /written; ls /bin/yes 2>/dev/null || echo gone"
            ),
            "text\ngone"
        );
        assert!(!base.path().join("written").exists() && base.path().join("bin/yes").is_symlink());
    }

    fn labels() {
        let hoist = Hoist::new();
        let options = [
            "--label",
            "a=b=c",
            "--label",
            "plain",
            "--annotation",
            "org.x=y",
        ];
        let id = hoist.detached(&options, "true");
        let inspected: serde_json::Value =
            serde_json::from_str(&hoist.ok(&["inspect", &id])).unwrap();
        let labels = &inspected[0]["Config"]["Labels"];
        assert_eq!(
            labels,
            &serde_json::json!({"a": "b=c", "plain": "", "org.x": "y"})
        );
    }

    fn wrong_options() {
        let hoist = Hoist::new();
        let errors = hoist.fails(
            125,
            &[
                "run",
                "--device",
                "/etc/passwd",
                "--device-cgroup-rule",
                "x",
                "--ulimit",
                "nofile",
                "--shm-size",
                "z",
                "--memory-swap",
                "1m",
                "--uidmap",
                "0",
                "--pid",
                "mine",
                "--sysctl",
                "x",
                "--oom-score-adj",
                "5000",
                "--cpuset-mems",
                "a",
                "--label",
                "=",
                "--cgroup-parent",
                "/../x",
                "true",
            ],
        );
        for option in [
            "--device ",
            "--device-cgroup-rule",
            "--ulimit",
            "--shm-size",
            "--memory-swap",
            "--uidmap",
            "--pid",
            "--sysctl",
            "--oom-score-adj",
            "--cpuset-mems",
            "--label",
            "--cgroup-parent",
        ] {
            assert!(errors.contains(option), "{option}: {errors}");
        }
        assert_eq!(hoist.ok(&["ps", "-aq"]), "");
    }

    const COUNTS: &str = "i=0; while true; do i=$((i + 1)); echo $i; sleep 0.02; done";

    fn paused() {
        let hoist = Hoist::new();
        let id = hoist.detached(&[], COUNTS);
        until("it counts", || hoist.ok(&["logs", &id]).lines().count() > 3);
        hoist.ok(&["pause", &id]);
        assert!(hoist.status(&id).contains("(Paused)"));
        let mut before = String::new();
        until("all it had written is in the log", || {
            before = hoist.ok(&["logs", &id]);
            std::thread::sleep(std::time::Duration::from_millis(300));
            hoist.ok(&["logs", &id]) == before
        });
        hoist.fails(1, &["pause", &id]);
        hoist.ok(&["unpause", &id]);
        until("it goes on", || {
            hoist.ok(&["logs", &id]).lines().count() > before.lines().count()
        });
        hoist.fails(1, &["unpause", &id]);
    }

    fn killed_while_paused() {
        let hoist = Hoist::new();
        let id = hoist.detached(&[], "sleep 1000");
        hoist.ok(&["pause", &id]);
        hoist.ok(&["rm", "-f", &id]);
        assert_eq!(hoist.ok(&["ps", "-aq"]), "");
        let id = hoist.detached(&[], "sleep 1000");
        hoist.ok(&["pause", &id]);
        hoist.ok(&["stop", "-t", "1", &id]);
        assert!(hoist.status(&id).starts_with("Exited"));
    }

    fn updated() {
        let hoist = Hoist::new();
        let id = hoist.detached(&["-m", "64m"], "sleep 1000");
        let memory = || cgroup_file(&hoist, &id, "memory", "memory.limit_in_bytes");
        hoist.ok(&[
            "update",
            "-m",
            "96m",
            "--memory-swap",
            "192m",
            "--pids-limit",
            "77",
            "--cpus",
            "0.5",
            &id,
        ]);
        assert_eq!(memory(), (96 << 20).to_string());
        assert_eq!(cgroup_file(&hoist, &id, "pids", "pids.max"), "77");
        assert_eq!(cgroup_file(&hoist, &id, "cpu", "cpu.cfs_quota_us"), "50000");
        // There is no such processor: nothing changes.
        hoist.fails(1, &["update", "-m", "80m", "--cpuset-cpus", "4000", &id]);
        assert_eq!(memory(), (96 << 20).to_string());
        let errors = hoist.fails(1, &["update", "-m", "x", "--cpus", "y", &id]);
        assert_eq!(errors.lines().count(), 2, "{errors}");
        hoist.fails(1, &["update", &id]);
        let errors = hoist.fails(1, &["update", "-m", "4k", &id]);
        assert!(errors.contains("choose a higher limit"), "{errors}");
    }

    fn stats() {
        let hoist = Hoist::new();
        let id = hoist.detached(&["--name", "busy", "-m", "64m"], "while true; do :; done");
        let table = hoist.ok(&["stats", "--no-stream"]);
        let mut lines = table.lines();
        assert!(
            lines.next().unwrap().starts_with("CONTAINER ID   NAME"),
            "{table}"
        );
        let line = lines.next().unwrap();
        assert!(
            line.starts_with(&id[..12]) && line.contains("64.00MiB"),
            "{line}"
        );
        let json = hoist.ok(&[
            "stats",
            "--no-stream",
            "--no-trunc",
            "--format",
            "json",
            "busy",
        ]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["ID"], &json["Name"], &json["PIDs"]),
            (&id.clone().into(), &"busy".into(), &"1".into())
        );
        let percent: f64 = json["CPUPerc"]
            .as_str()
            .unwrap()
            .trim_end_matches('%')
            .parse()
            .unwrap();
        assert!(percent > 0.0, "{json}");
        hoist.ok(&["kill", &id]);
        hoist.ok(&["wait", &id]);
        hoist.fails(1, &["stats", "--no-stream", "busy"]);
    }

    fn renamed() {
        let hoist = Hoist::new();
        let first = hoist.detached(&["--name", "one"], "sleep 1000");
        let second = hoist.detached(&["--name", "two"], "sleep 1000");
        hoist.ok(&["rename", "one", "three"]);
        assert!(hoist.status("three").starts_with("Up"));
        hoist.fails(1, &["inspect", "one"]);
        hoist.fails(1, &["rename", "three", "two"]);
        hoist.fails(1, &["rename", "three", "not a name"]);
        let error = hoist.fails(1, &["rename", "three", "three"]);
        assert!(error.contains("three is its name"), "{error}");
        assert!(hoist.status("three").starts_with("Up"));
        hoist.ok(&["rename", &second, "one"]);
        hoist.ok(&["rm", "-f", &first]);
        hoist.ok(&["rename", "one", "three"]);
    }

    fn listed() {
        let hoist = Hoist::new();
        let failed = hoist.detached(&["--name", "old-failed"], "exit 3");
        let ended = hoist.detached(&["--name", "old-ended"], "exit 0");
        hoist.ok(&["wait", &failed, &ended]);
        let running = hoist.detached(&["--name", "new"], "sleep 1000");
        let ps = |words: &[&str]| {
            let words = [&["ps", "-q", "--no-trunc"][..], words].concat();
            hoist
                .ok(&words)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(ps(&[]), [&*running]);
        assert_eq!(ps(&["-l"]), [&*running]);
        assert_eq!(ps(&["-n", "2"]), [&*running, &*ended]);
        assert_eq!(ps(&["-a", "--filter", "name=old"]), [&*ended, &*failed]);
        assert_eq!(ps(&["--filter", "name=old"]), [""; 0]);
        assert_eq!(ps(&["--filter", "status=exited"]), [&*ended, &*failed]);
        assert_eq!(ps(&["-a", "-f", "exited=3", "-f", "exited=4"]), [&*failed]);
        assert_eq!(ps(&["-a", "-f", "exited=3", "-f", "name=new"]), [""; 0]);
        assert_eq!(ps(&["-a", "-f", &format!("id={failed}")]), [&*failed]);
        let errors = hoist.fails(1, &["ps", "-f", "status=odd", "-f", "color=red", "-n", "x"]);
        assert_eq!(errors.lines().count(), 3, "{errors}");
    }

    fn pruned() {
        let hoist = Hoist::new();
        let ended = hoist.detached(&[], "true");
        let running = hoist.detached(&[], "sleep 1000");
        let created = hoist.ok(&["create", "true"]);
        hoist.ok(&["wait", &ended]);
        // Nobody says yes, or somebody says no.
        for answer in ["", "n\n"] {
            let mut prune = hoist.command(&["prune"]);
            let ran = hoist_testing::command::finish(&mut prune, answer.as_bytes());
            ran.failed_with(1, &["Remove all containers that have ended? [y/N]"]);
        }
        assert!(hoist.status(&ended).starts_with("Exited (0)"));
        let mut prune = hoist.command(&["prune"]);
        let ran = hoist_testing::command::finish(&mut prune, b"y\n");
        ran.ended_with(0);
        assert_eq!(String::from_utf8(ran.stdout).unwrap().trim(), ended);
        assert_eq!(hoist.ok(&["prune", "--force"]), "");
        let mut left: Vec<String> = hoist
            .ok(&["ps", "-aq", "--no-trunc"])
            .lines()
            .map(str::to_owned)
            .collect();
        left.sort();
        let mut expected = vec![running, created];
        expected.sort();
        assert_eq!(left, expected);
    }

    fn manual_pages() {
        let hoist = Hoist::new();
        let folder = hoist.state_root().join("man");
        hoist.ok(&["man", folder.to_str().unwrap()]);
        for page in ["hoist.1", "hoist-run.1", "hoist-logs.1", "hoist-stats.1"] {
            let text = std::fs::read_to_string(folder.join(page)).unwrap();
            assert!(text.contains(".SH NAME"), "{page}");
        }
        std::fs::remove_dir_all(folder).unwrap();
        assert!(hoist.ok(&["man"]).contains(".SH SYNOPSIS"));
    }
}
