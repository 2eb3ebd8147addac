//! Fields of the spec beside its root and mounts, each looked at from inside the container.

use std::fs;

use hoist_testing::{Need, Suite, probe::report::Report};
use serde_json::json;

use crate::kit::{Bundle, CONTAINERS};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test("process: arguments, environment, cwd, user, umask, rlimits, oomScoreAdj", CONTAINERS, process)
        .test("a working directory that is missing is made", CONTAINERS, working_directory)
        .test("process: scheduler, I/O priority and personality", CONTAINERS, scheduling)
        .test("process: the CPUs of an exec", CONTAINERS, affinity)
        .test("process: an exec in a cgroup below the container's", CONTAINERS, cgroup_of_exec)
        .test("memory policy: the program has it, and so has an exec", CONTAINERS, memory_policy)
        .test(
            "a network device of the host is moved into the container with its address, under its new name, and is up",
            &[Need::Root, Need::Tool("ip")],
            net_devices,
        )
        .test("labels of processes and mounts need SELinux", CONTAINERS, labels)
        .test("host and domain name, and sysctls of the container's namespaces", CONTAINERS, names)
        .test("devices of the spec are made, with their modes and owners", CONTAINERS, devices)
        .test("resources are in the files of the cgroup", &[Need::Root, Need::CgroupV1], resources)
        .test("a time namespace has its offsets", CONTAINERS, time)
        .test("a user namespace has its maps, and its root is nobody outside", CONTAINERS, user_namespace)
        .test("seccomp: errnoRet and comparisons of arguments", CONTAINERS, seccomp)
        .test("a pipe given as standard output belongs to the program's user, a device keeps its owner", CONTAINERS, stream_owners)
        .test("a namespace of a path is joined", CONTAINERS, joined)
}

fn report_of(bundle: &Bundle) -> Report {
    bundle.run().ok().report()
}

fn process() {
    let mut bundle = Bundle::new(&["report"]);
    let process = &mut bundle.config["process"];
    process["env"] = json!(["PATH=/bin", "A=b=c", "EMPTY="]);
    process["cwd"] = json!("/tmp");
    process["user"] = json!({"uid": 1000, "gid": 1001, "umask": 0o027, "additionalGids": [7, 8]});
    process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
    process["oomScoreAdj"] = json!(500);
    let report = report_of(&bundle);
    assert!(report.environment.contains(&"A=b=c".to_owned()));
    assert!(report.environment.contains(&"EMPTY=".to_owned()));
    assert_eq!(report.working_directory.as_deref(), Some("/tmp"));
    assert_eq!(report.uids, [1000; 4]);
    assert_eq!(report.gids, [1001; 4]);
    assert_eq!(report.groups, [7, 8, 1001]);
    assert_eq!(report.umask, 0o027);
    assert!(
        report.limits.values().any(|limit| *limit == [100, 200]),
        "{:?}",
        report.limits
    );
    assert_eq!(report.oom_score_adjustment, Some(500));
    bundle.remove();
}

fn working_directory() {
    let mut bundle = Bundle::new(&["report"]);
    bundle.config["process"]["cwd"] = json!("/new/deep");
    assert_eq!(
        report_of(&bundle).working_directory.as_deref(),
        Some("/new/deep")
    );
    bundle.remove();
}

/// Field `index` of `/proc/PID/stat`, counted from one (proc_pid_stat(5)).
fn stat_field(pid: u32, index: usize) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest = text.rsplit_once(") ").unwrap().1;
    rest.split(' ').nth(index - 3).unwrap().to_owned()
}

fn scheduling() {
    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 5});
    bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX32"});
    bundle.start();
    bundle.await_words("out", "ready");
    let pid = bundle.pid();
    assert_eq!(stat_field(pid, 41), "3", "SCHED_BATCH");
    assert_eq!(stat_field(pid, 19), "5", "nice");
    let personality = fs::read_to_string(format!("/proc/{pid}/personality")).unwrap();
    assert_eq!(personality.trim(), "00000008");
    bundle.remove();
    for (field, value, words) in [
        (
            "ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 9}),
            "I/O priority",
        ),
        (
            "scheduler",
            json!({"policy": "SCHED_FIFO", "priority": -1}),
            "priority",
        ),
    ] {
        let mut bundle = Bundle::new(&["report"]);
        bundle.config["process"][field] = value;
        bundle.create().fails(1, words);
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
}

fn affinity() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    let process = json!({
        "user": {"uid": 0, "gid": 0}, "args": ["/probe", "probe", "read", "/proc/self/status"], "env": [], "cwd": "/",
        "execCPUAffinity": {"initial": "0", "final": "0"},
    });
    fs::write(bundle.path("p.json"), process.to_string()).unwrap();
    let said = bundle
        .call(&["exec", "--process", "p.json", &bundle.id])
        .ok();
    assert!(said.out.contains("Cpus_allowed_list:\t0\n"), "{said:?}");
    let wrong = process
        .to_string()
        .replace("\"final\":\"0\"", "\"final\":\"many\"");
    fs::write(bundle.path("p.json"), wrong).unwrap();
    bundle
        .call(&["exec", "--process", "p.json", &bundle.id])
        .fails(255, "");
    bundle.remove();
}

fn cgroup_of_exec() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    let text = fs::read_to_string(format!("/proc/{}/cgroup", bundle.pid())).unwrap();
    let hierarchies: Vec<_> = fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain(["/sys/fs/cgroup".into()])
        .map(|path| path.join("hoist-tests").join(&bundle.id))
        .filter(|path| path.is_dir())
        .collect();
    assert!(!hierarchies.is_empty());
    for path in &hierarchies {
        let below = path.join("below");
        // Of one hierarchy that has several names.
        let _ = fs::create_dir(&below);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(value) = fs::read_to_string(path.join(file)) {
                let _ = fs::write(below.join(file), value.trim());
            }
        }
    }
    let exec = |cgroup: &str, pid_file: &str| {
        let words = [
            "exec",
            "--detach",
            "--cgroup",
            cgroup,
            "--pid-file",
            pid_file,
        ];
        bundle.launch(&[&words[..], &[&bundle.id, "/probe", "probe", "idle"]].concat())
    };
    exec("below", "further").ok();
    let pid = bundle.read("further").trim().to_owned();
    let place = format!("/hoist-tests/{}", bundle.id);
    for (line, of_first) in fs::read_to_string(format!("/proc/{pid}/cgroup"))
        .unwrap()
        .lines()
        .zip(text.lines())
    {
        if of_first.ends_with(&place) {
            assert!(line.ends_with("/below"), "{line}");
        }
    }
    exec("nowhere", "no").fails(255, "it does not exist");
    exec("../..", "no").fails(255, "no path below");
    exec("moon:below", "no").fails(255, "no such controller");
    bundle.remove();
}

fn memory_policy() {
    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["linux"]["memoryPolicy"] =
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        bundle.create().fails(1, "set the memory policy");
        return bundle.remove();
    }
    bundle.start();
    let policy = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/numa_maps")).unwrap();
        assert!(text.contains(" bind=static:0 "), "{text}");
    };
    policy(bundle.pid());
    let words = [
        "exec",
        "--detach",
        "--pid-file",
        "further",
        &bundle.id,
        "/probe",
        "probe",
        "idle",
    ];
    bundle.launch(&words).ok();
    policy(bundle.read("further").trim().parse().unwrap());
    bundle.call(&["delete", "--force", &bundle.id]).ok();
    bundle.config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "63"});
    bundle.create().fails(1, "set the memory policy");
    bundle.remove();
}

fn net_devices() {
    let ip = |words: &[&str]| {
        let output = std::process::Command::new("ip")
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let number = std::process::id() % 10_000;
    let (device, peer) = (format!("hoist{number}a"), format!("hoist{number}b"));
    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["linux"]["netDevices"] = json!({&device: {"name": "net7"}});
    let words: Vec<_> = format!("link add {device} type veth peer name {peer}")
        .split(' ')
        .map(str::to_owned)
        .collect();
    ip(&words.iter().map(String::as_str).collect::<Vec<_>>());
    ip(&["addr", "add", "192.0.2.7/24", "dev", &device]);
    ip(&["addr", "add", "2001:db8::7/64", "dev", &device, "nodad"]);
    ip(&["link", "set", &device, "up"]);
    ip(&["link", "set", &peer, "up"]);
    bundle.start();
    let pid = bundle.pid().to_string();
    let inside = |words: &[&str]| {
        let output = std::process::Command::new("nsenter")
            .args(["--net", "--target", &pid, "ip"])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let seen = inside(&["addr", "show", "dev", "net7"]);
    for words in ["192.0.2.7/24", "2001:db8::7/64", ",UP"] {
        assert!(seen.contains(words), "{words}: {seen}");
    }
    assert!(!ip(&["link", "show"]).contains(&device));
    // With its namespace a virtual device ends, and so its peer.
    bundle.remove();
    crate::kit::await_that("the end of the device", || {
        !ip(&["link", "show"]).contains(&peer)
    });
}

fn labels() {
    let mut bundle = Bundle::new(&["report"]);
    bundle.config["linux"]["mountLabel"] = json!("system_u:object_r:container_file_t:s0:c1,c2");
    let said = bundle.run();
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        let mounts = said.ok().report().mounts;
        let labelled = mounts.iter().find(|mount| mount.target == "/dev").unwrap();
        assert!(
            labelled.super_options.contains("container_file_t"),
            "{labelled:?}"
        );
    } else {
        said.fails(1, "a mount label needs SELinux");
        bundle.assert_nothing_is_recorded();
        bundle.config["linux"]["mountLabel"] = json!("");
        bundle.config["process"]["selinuxLabel"] = json!("system_u:system_r:container_t:s0:c1,c2");
        bundle.run().fails(1, "a process label needs SELinux");
        bundle.assert_nothing_is_recorded();
        // To AppArmor, these words would be the name of a profile.
        bundle.config["process"]["selinuxLabel"] = json!("exec a:b:c");
        bundle.run().fails(1, "USER:ROLE:TYPE");
        bundle.assert_nothing_is_recorded();
    }
    bundle.remove();
}

fn names() {
    let mut bundle = Bundle::new(&["report", "+", "read", "/proc/sys/kernel/shmmni"]);
    bundle.config["hostname"] = json!("inside");
    bundle.config["domainname"] = json!("example.org");
    bundle.config["linux"]["sysctl"] = json!({"kernel.shmmni": "77"});
    let said = bundle.run().ok();
    let mut lines = said.out.lines();
    let report: Report = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(
        (report.hostname.as_str(), report.domainname.as_str()),
        ("inside", "example.org")
    );
    assert_eq!(lines.next(), Some("77"));
    bundle.remove();
}

fn devices() {
    let Some(mut bundle) = Bundle::shell(
        "stat -c '%F %t:%T %a %u %g' /dev/fuse2 /dev/deep/null2; test -p /dev/pipe && echo pipe; ls -l /dev/fd /dev/ptmx /dev/null >/dev/null && echo usual",
    ) else {
        return;
    };
    // busybox of the tests has no stat of its own where it was not asked for.
    std::os::unix::fs::symlink("busybox", bundle.path("rootfs/bin/stat")).unwrap();
    bundle.config["linux"]["devices"] = json!([
        {"path": "/dev/fuse2", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
        {"path": "/dev/deep/null2", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600},
        {"path": "/dev/pipe", "type": "p", "major": 0, "minor": 0},
    ]);
    let said = bundle.run().ok();
    assert_eq!(
        said.out,
        "character special file a:e5 640 5 6\ncharacter special file 1:3 600 0 0\npipe\nusual\n"
    );
    bundle.remove();
}

fn resources() {
    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["linux"]["resources"] = json!({
        "memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 128 << 20},
        "cpu": {"shares": 512, "quota": 50000, "period": 100_000, "cpus": "0"},
        "pids": {"limit": 33},
        "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
    });
    bundle.start();
    bundle.await_words("out", "ready");
    let file = |controller: &str, name: &str| {
        let path = format!(
            "/sys/fs/cgroup/{controller}/hoist-tests/{}/{name}",
            bundle.id
        );
        fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .trim()
            .to_owned()
    };
    assert_eq!(
        file("memory", "memory.limit_in_bytes"),
        (64 << 20).to_string()
    );
    assert_eq!(
        file("memory", "memory.soft_limit_in_bytes"),
        (32 << 20).to_string()
    );
    assert_eq!(file("cpu", "cpu.shares"), "512");
    assert_eq!(file("cpu", "cpu.cfs_quota_us"), "50000");
    assert_eq!(file("cpuset", "cpuset.cpus"), "0");
    assert_eq!(file("pids", "pids.max"), "33");
    assert!(file("devices", "devices.list").contains("c 1:3 rwm"));
    bundle.remove();
    let mut bundle = Bundle::new(&["report"]);
    bundle.config["linux"]["resources"] = json!({"memory": {"limit": 64 << 20, "swap": 32 << 20}});
    bundle.create().fails(1, "memory and swap limit");
    bundle.assert_nothing_is_recorded();
    bundle.remove();
}

fn time() {
    let mut bundle = Bundle::new(&["read", "/proc/self/timens_offsets"]);
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "time"}));
    bundle.config["linux"]["timeOffsets"] = json!({"monotonic": {"secs": 1000, "nanosecs": 5}});
    let said = bundle.run().ok();
    let words: Vec<_> = said.out.split_whitespace().collect();
    assert!(
        words
            .windows(3)
            .any(|line| line == ["monotonic", "1000", "5"]),
        "{said:?}"
    );
    bundle.remove();
}

fn user_namespace() {
    let mut bundle = Bundle::new(&[
        "report",
        "+",
        "read",
        "/proc/self/oom_score_adj",
        "+",
        "read",
        "/proc/self/uid_map",
    ]);
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    // Not what its root may write itself: its file in /proc is the host's root's.
    bundle.config["process"]["oomScoreAdj"] = json!(300);
    let said = bundle.run().ok();
    let mut lines = said.out.lines();
    let report: Report = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(report.uids, [0; 4]);
    assert_eq!(lines.next(), Some("300"));
    let numbers: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(numbers, ["0", "100000", "65536"]);
    bundle.remove();
}

fn seccomp() {
    let mut bundle = Bundle::new(&[
        "calls",
        "personality",
        "odd-personality",
        "getpid",
        "sethostname",
    ]);
    bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71,
             "args": [{"index": 0, "value": 0x40000, "op": "SCMP_CMP_EQ"}]},
        ],
    });
    let answers = bundle.run().ok().json();
    assert_eq!(answers["sethostname"], 95);
    assert_eq!(answers["odd-personality"], 71);
    assert_eq!(answers["personality"], 0);
    bundle.remove();
}

fn stream_owners() {
    use std::os::unix::fs::MetadataExt;
    let mut bundle = Bundle::new(&["open", "w", "/proc/self/fd/1", "/dev/null"]);
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1001});
    let before = fs::metadata("/dev/null").unwrap();
    let answers = bundle.run().ok().json();
    assert_eq!(
        answers["/proc/self/fd/1"], 0,
        "a pipe can be opened by its user"
    );
    let after = fs::metadata("/dev/null").unwrap();
    assert_eq!(
        (before.uid(), before.gid(), before.mode()),
        (after.uid(), after.gid(), after.mode())
    );
    bundle.remove();
}

fn joined() {
    let first = Bundle::new(&["idle"]);
    first.start();
    let mut second = Bundle::new(&["report"]);
    for namespace in second.config["linux"]["namespaces"].as_array_mut().unwrap() {
        let kind = namespace["type"].as_str().unwrap().to_owned();
        if ["network", "ipc", "uts"].contains(&kind.as_str()) {
            let name = if kind == "network" {
                "net"
            } else {
                kind.as_str()
            };
            namespace["path"] = json!(format!("/proc/{}/ns/{name}", first.pid()));
        }
    }
    second.config.as_object_mut().unwrap().remove("hostname");
    let report = report_of(&second);
    for name in ["net", "ipc", "uts"] {
        let link = fs::read_link(format!("/proc/{}/ns/{name}", first.pid())).unwrap();
        assert_eq!(report.namespaces[name], link.display().to_string());
    }
    second.remove();
    let mut third = Bundle::new(&["report"]);
    third.config["linux"]["namespaces"][0]["path"] = json!("/etc/passwd");
    third.create().fails(1, "no namespace");
    third.assert_nothing_is_recorded();
    third.remove();
    first.remove();
}
