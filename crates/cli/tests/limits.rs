//! Resource limits: each is read back from the container's own cgroup, or refused by its controller's name.

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
    use std::{fs, os::unix::fs::MetadataExt, path::Path, thread};

    use hoist_testing::{
        Need,
        command::{By::Root, Case, Hoist, Ran},
        probe::{report, sys},
    };

    const LIMITED: [&str; 8] = [
        "-m",
        "64m",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "512",
        "--pids-limit",
        "50",
    ];

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "-m, --cpus, --cpu-shares and --pids-limit are what the container's cgroup says",
            by: Root,
            needs: &[Need::Limits],
            run: read_back,
        },
        Case {
            name: "without options nothing is limited, and inspect tells what is",
            by: Root,
            needs: &[Need::Limits],
            run: inspected,
        },
        Case {
            name: "stats tells what went over the container's network and to block devices, and of the host's network nothing",
            by: Root,
            needs: &[Need::Tool("ip"), Need::Tool("nsenter"), Need::Tool("bash")],
            run: moved,
        },
        Case {
            name: "more memory than the limit ends the container, and inspect says why",
            by: Root,
            needs: &[Need::Limits],
            run: out_of_memory,
        },
        Case {
            name: "more processes than the limit cannot be made",
            by: Root,
            needs: &[Need::Limits],
            run: processes,
        },
        Case {
            name: "exec runs under the container's limits",
            by: Root,
            needs: &[Need::Limits],
            run: exec,
        },
        Case {
            // Row 37 of the list of known failures.
            name: "on a hybrid host every limit is there",
            by: Root,
            needs: &[Need::Hybrid],
            run: hybrid,
        },
        Case {
            // Row 37.
            name: "on a v1 host every limit is there",
            by: Root,
            needs: &[Need::CgroupV1],
            run: v1,
        },
        Case {
            // Row 37.
            name: "where the controllers are missing a limit is refused by its controller's name, and the rest runs",
            by: Root,
            needs: &[Need::Hybrid],
            run: v2_without_controllers,
        },
        Case {
            // Row 37.
            name: "where one v1 hierarchy is missing its limits are refused and the others are there",
            by: Root,
            needs: &[Need::CgroupV1],
            run: one_missing,
        },
        Case {
            // Row 37.
            name: "where cgroups are read-only a container is refused by the controller's name",
            by: Root,
            needs: &[Need::CgroupV1],
            run: cgroups_read_only,
        },
        Case {
            // Row 37.
            name: "where there are no cgroups a container is refused by the controller's name",
            by: Root,
            needs: &[Need::Limits],
            run: no_cgroups,
        },
    ];

    /// The mount points of the cgroup hierarchies, those of v1 by controller.
    fn hierarchies(kind: &str) -> Vec<String> {
        report::mounts()
            .unwrap()
            .into_iter()
            .filter(|mount| mount.kind == kind)
            .map(|mount| mount.target)
            .collect()
    }

    /// What a limit of a running container is, by its files in v1 and in v2.
    fn value(id: &str, controller: &str, v1: &str, v2: &str) -> String {
        let v1 = format!("/sys/fs/cgroup/{controller}/hoist/{id}/{v1}");
        let v2 = hierarchies("cgroup2")
            .first()
            .map(|mount| format!("{mount}/hoist/{id}/{v2}"))
            .unwrap_or_default();
        let text = fs::read_to_string(&v1).or_else(|_| fs::read_to_string(&v2));
        match text {
            Ok(text) => text.trim().to_owned(),
            Err(error) => panic!("neither {v1} nor {v2}: {error}"),
        }
    }

    /// A container with all four limits, seen by the kernel.
    fn assert_limited(hoist: &Hoist) {
        let _running = hoist.background("limited", &LIMITED, &["idle"]);
        let [id] = hoist.ids().try_into().unwrap();
        let v2_only = hierarchies("cgroup").is_empty();
        assert_eq!(
            value(&id, "memory", "memory.limit_in_bytes", "memory.max"),
            "67108864"
        );
        assert_eq!(value(&id, "pids", "pids.max", "pids.max"), "50");
        if v2_only {
            assert_eq!(value(&id, "cpu", "", "cpu.max"), "50000 100000");
            // The kernel's own conversion of 2…262144 to 1…10000.
            let weight: u32 = value(&id, "cpu", "", "cpu.weight").parse().unwrap();
            assert!((19..=60).contains(&weight), "{weight}");
        } else {
            assert_eq!(value(&id, "cpu", "cpu.cfs_quota_us", ""), "50000");
            assert_eq!(value(&id, "cpu", "cpu.cfs_period_us", ""), "100000");
            assert_eq!(value(&id, "cpu", "cpu.shares", ""), "512");
        }
        let pid = hoist.inspect("limited")["State"]["Pid"].as_u64().unwrap();
        let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        for controller in ["memory", "cpu", "pids"] {
            let line = memberships
                .lines()
                .find(|line| {
                    let names = line.split(':').nth(1).unwrap();
                    names.split(',').any(|name| name == controller) || (v2_only && names.is_empty())
                })
                .unwrap();
            assert!(line.ends_with(&format!("/hoist/{id}")), "{line}");
        }
    }

    fn read_back(hoist: &Hoist) {
        assert_limited(hoist);
    }

    fn inspected(hoist: &Hoist) {
        let limited = hoist.background("limited", &LIMITED, &["idle"]);
        let host = &hoist.inspect("limited")["HostConfig"];
        assert_eq!(host["Memory"], 64 << 20);
        assert_eq!(host["NanoCpus"], 500_000_000);
        assert_eq!(host["CpuShares"], 512);
        assert_eq!(host["PidsLimit"], 50);
        drop(limited);
        let _running = hoist.background("free", &[], &["idle"]);
        let host = &hoist.inspect("free")["HostConfig"];
        assert_eq!((&host["Memory"], &host["NanoCpus"]), (&0.into(), &0.into()));
        let [id] = hoist.ids().try_into().unwrap();
        assert_eq!(value(&id, "pids", "pids.max", "pids.max"), "max");
    }

    fn moved(hoist: &Hoist) {
        let used = |name: &str| {
            let words = ["stats", "--no-stream", "--format", "json", name];
            hoist.hoist(&words).json_lines().remove(0)
        };
        let _running = hoist.background("web", &[], &["idle"]);
        assert_eq!(used("web")["NetIO"], "0B / 0B");
        let pid = hoist.inspect("web")["State"]["Pid"].to_string();
        let script = "ip link add end0 type veth peer name end1 && ip link set end0 up && ip link set end1 up && \
                      ip address add 192.0.2.1/24 dev end0 && \
                      ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:01 dev end0 && \
                      head -c 1400 /dev/zero > /dev/udp/192.0.2.2/9";
        let done = std::process::Command::new("nsenter")
            .args(["-t", &pid, "-n", "bash", "-c", script])
            .status()
            .unwrap();
        assert!(done.success());
        let told = used("web")["NetIO"].as_str().unwrap().to_owned();
        let (received, sent) = told.split_once(" / ").unwrap();
        // The datagram, its headers, and what the kernel sends by itself; both ends are in the container.
        for moved in [received, sent] {
            let moved = moved.strip_suffix("kB").unwrap_or_else(|| panic!("{told}"));
            let kilobytes: f64 = moved.parse().unwrap();
            assert!((1.4..8.0).contains(&kilobytes), "{told}");
        }
        let is_accounted = Path::new("/sys/fs/cgroup/blkio").exists()
            || fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
                .is_ok_and(|names| names.split_whitespace().any(|name| name == "io"));
        let block_io = used("web")["BlockIO"].as_str().unwrap().to_owned();
        assert!(
            block_io.contains("B / ") || (!is_accounted && block_io == "--"),
            "{block_io}"
        );
        let _of_host = hoist.background("host", &["--network", "host"], &["idle"]);
        assert_eq!(used("host")["NetIO"], "--");
        let table = hoist.hoist(&["stats", "--no-stream"]).succeeded();
        let head: Vec<&str> = table.lines().next().unwrap().split("   ").collect();
        let head: Vec<&str> = head
            .into_iter()
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .collect();
        assert_eq!(head[5..], ["NET I/O", "BLOCK I/O", "PIDS"]);
    }

    fn out_of_memory(hoist: &Hoist) {
        let mut words = vec!["--name", "big"];
        words.extend(LIMITED);
        let bytes = (256 << 20).to_string();
        hoist_testing::command::finish(&mut hoist.container(&words, &["allocate", &bytes]), b"")
            .ended_with(137);
        let state = &hoist.inspect("big")["State"];
        assert_eq!(state["OOMKilled"], true, "{state}");
        assert_eq!(state["ExitCode"], 137);
        hoist.remove("big");
    }

    fn processes(hoist: &Hoist) {
        let ran = hoist.run(&["--pids-limit", "10"], &["fork", "30"]);
        assert_eq!(ran.succeeded(), "9\n");
        let ran = hoist.run(&["--pids-limit", "-1"], &["fork", "30"]);
        assert_eq!(ran.succeeded(), "30\n");
    }

    fn exec(hoist: &Hoist) {
        let _running = hoist.background("few", &["--pids-limit", "10"], &["idle"]);
        let ran = hoist.exec(&[], "few", &["fork", "30"]);
        let made: u32 = ran.succeeded().trim().parse().unwrap();
        assert!(made <= 8, "{made}");
    }

    /// Runs `work` where `change` has changed the mounts, in a mount namespace of its own.
    fn with_mounts(hoist: &Hoist, change: impl FnOnce() + Send, work: impl FnOnce(&Hoist) + Send) {
        thread::scope(|scope| {
            let working = scope.spawn(|| {
                sys::unshare_mounts().unwrap();
                change();
                work(hoist);
            });
            if let Err(panic) = working.join() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    fn hybrid(hoist: &Hoist) {
        let info: serde_json::Value = hoist.hoist(&["info", "-f", "json"]).json();
        assert!(info.to_string().contains("versions 1 and 2 (hybrid)"));
        assert_limited(hoist);
    }

    fn v1(hoist: &Hoist) {
        with_mounts(
            hoist,
            || {
                for mount in hierarchies("cgroup2") {
                    sys::unmount(&mount).unwrap();
                }
            },
            |hoist| {
                let info: serde_json::Value = hoist.hoist(&["info", "-f", "json"]).json();
                assert!(info.to_string().contains("\"version 1\""), "{info}");
                assert_limited(hoist);
            },
        );
    }

    /// Each limit alone is refused, and the controller is named.
    fn assert_refused(hoist: &Hoist, limits: &[([&str; 2], &str)]) {
        for (options, controller) in limits {
            let ran: Ran = hoist.run(options, &["exit", "0"]);
            ran.failed_with(125, &["controller", controller, "not available"]);
            assert!(hoist.ids().is_empty());
        }
    }

    /// Without any cgroup the devices cannot be governed, and no container runs without that.
    fn assert_all_refused(hoist: &Hoist) {
        let every = [&[][..], &LIMITED[..2], &LIMITED[2..4], &LIMITED[6..]];
        for options in every {
            let ran: Ran = hoist.run(options, &["exit", "0"]);
            ran.failed_with(125, &["controller devices is not available"]);
            assert!(hoist.ids().is_empty());
        }
    }

    const EACH: [([&str; 2], &str); 4] = [
        (["-m", "64m"], "memory"),
        (["--cpus", "0.5"], "cpu"),
        (["--cpu-shares", "512"], "cpu"),
        (["--pids-limit", "50"], "pids"),
    ];

    fn v2_without_controllers(hoist: &Hoist) {
        with_mounts(
            hoist,
            || {
                for mount in hierarchies("cgroup") {
                    sys::unmount(&mount).unwrap();
                }
            },
            |hoist| {
                assert_refused(hoist, &EACH);
                hoist.run(&[], &["exit", "0"]).succeeded();
            },
        );
    }

    fn one_missing(hoist: &Hoist) {
        with_mounts(
            hoist,
            || sys::unmount("/sys/fs/cgroup/memory").unwrap(),
            |hoist| {
                assert_refused(hoist, &EACH[..1]);
                let _running = hoist.background("web", &LIMITED[2..], &["idle"]);
                let [id] = hoist.ids().try_into().unwrap();
                assert_eq!(value(&id, "pids", "pids.max", "pids.max"), "50");
                assert_eq!(value(&id, "cpu", "cpu.cfs_quota_us", ""), "50000");
            },
        );
    }

    fn cgroups_read_only(hoist: &Hoist) {
        with_mounts(
            hoist,
            || {
                for kind in ["cgroup", "cgroup2"] {
                    for mount in hierarchies(kind) {
                        sys::make_read_only(&mount).unwrap();
                    }
                }
            },
            |hoist| {
                assert_all_refused(hoist);
            },
        );
    }

    fn no_cgroups(hoist: &Hoist) {
        with_mounts(
            hoist,
            || {
                for kind in ["cgroup", "cgroup2"] {
                    for mount in hierarchies(kind) {
                        sys::unmount(&mount).unwrap();
                    }
                }
                assert!(Path::new("/sys/fs/cgroup").metadata().unwrap().nlink() > 0);
            },
            |hoist| {
                assert_all_refused(hoist);
            },
        );
    }
}
