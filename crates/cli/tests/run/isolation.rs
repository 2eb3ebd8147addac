//! What a container has for itself, and what it may not do.

use std::{collections::BTreeMap, fs};

use hoist_testing::{Need, command::Hoist, probe::report::Report};

use super::mounts::{find, has};

pub(super) fn alone(hoist: &Hoist) {
    let report = hoist.report(&[]);
    for name in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let own = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(
            report.namespaces[name],
            own.to_string_lossy(),
            "{name} is the host's"
        );
    }
    let user = fs::read_link("/proc/self/ns/user").unwrap();
    assert_eq!(
        report.namespaces["user"] != user.to_string_lossy(),
        hoist.is_ordinary_user()
    );
    assert_eq!((report.pid, report.parent), (1, 0));
    assert_eq!(report.processes, [1]);
    assert_eq!(report.interfaces, ["lo"]);
    assert_eq!(report.working_directory.as_deref(), Some("/"));
    assert_eq!(report.umask, 0o22);
    assert_eq!(report.hostname.len(), 12, "{}", report.hostname);
    assert_eq!(
        report.descriptors.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(report.executable.as_deref(), Some("/probe"));
    let names: Vec<&str> = report
        .devices
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "console")
        .collect();
    assert_eq!(
        names,
        [
            "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr",
            "stdin", "stdout", "tty", "urandom", "zero"
        ]
    );
    assert!(
        report
            .environment
            .iter()
            .any(|variable| variable.starts_with("PATH=/"))
    );
    // Of the caller's own environment, nothing.
    assert!(
        !report
            .environment
            .iter()
            .any(|variable| variable.starts_with("NO_COLOR")),
        "{:?}",
        report.environment
    );
}

pub(super) fn confined(hoist: &Hoist) {
    let report = hoist.report(&[]);
    // docker's documentation, "Runtime privilege and Linux capabilities".
    assert_eq!(report.capabilities.unwrap().effective, 0xa804_25fb);
    assert_eq!(report.capabilities.unwrap().bounding, 0xa804_25fb);
    assert_eq!(report.capabilities.unwrap().inheritable, 0);
    assert_eq!(report.seccomp, Some(2));
    assert_eq!(report.no_new_privileges, Some(false));
    assert_eq!(find(&report, "/proc").kind, "proc");
    assert!(has(&find(&report, "/sys").options, "ro"));
    for path in ["/proc/sys", "/proc/irq", "/proc/bus"] {
        assert!(has(&find(&report, path).options, "ro"), "{path}");
    }
    for mount in &report.mounts {
        assert_eq!(mount.propagation, Vec::<String>::new(), "{mount:?}");
    }
    let opened: BTreeMap<String, i32> = hoist
        .run(
            &[],
            &[
                "open",
                "w",
                "/proc/sys/kernel/hostname",
                "/sys/kernel/uevent_helper",
            ],
        )
        .json();
    assert!(opened.values().all(|errno| *errno != 0), "{opened:?}");
    // What is masked is empty.
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
        let ran = hoist.run(&[], &["read", path]);
        assert!(ran.stdout.is_empty(), "{path}");
    }
    let calls: BTreeMap<String, i32> = hoist
        .run(
            &[],
            &[
                "calls",
                "getpid",
                "mount",
                "unshare-user",
                "keyctl",
                "bpf",
                "kexec_load",
            ],
        )
        .json();
    for (call, errno) in calls {
        assert_eq!(errno == 0, call == "getpid", "{call}: {errno}");
    }
}

pub(super) fn hostname(hoist: &Hoist) {
    for option in ["--hostname", "-h"] {
        let report = hoist.report(&[option, "some-host.example"]);
        assert_eq!(report.hostname, "some-host.example");
    }
    let file = hoist.path("id");
    let report = hoist.report(&["--cidfile", &file]);
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with(&report.hostname)
    );
}

pub(super) fn capabilities(hoist: &Hoist) {
    const DEFAULT: u64 = 0xa804_25fb;
    const CHOWN: u64 = 1;
    const NET_ADMIN: u64 = 1 << 12;
    const NET_RAW: u64 = 1 << 13;
    for (options, wanted) in [
        (&["--cap-add", "NET_ADMIN"][..], DEFAULT | NET_ADMIN),
        (&["--cap-drop", "CAP_NET_RAW"], DEFAULT & !NET_RAW),
        (
            &["--cap-drop", "net_raw", "--cap-add", "NET_ADMIN"],
            DEFAULT & !NET_RAW | NET_ADMIN,
        ),
        (&["--cap-drop", "ALL"], 0),
        (&["--cap-drop", "all", "--cap-add", "CHOWN"], CHOWN),
    ] {
        let sets = hoist.report(options).capabilities.unwrap();
        assert_eq!(sets.effective, wanted, "{options:?}");
        assert_eq!(sets.bounding, wanted, "{options:?}");
        assert_eq!(sets.permitted, wanted, "{options:?}");
    }
    if Need::Root.missing().is_none() {
        // All that the caller has: nobody can give more.
        let own = hoist_testing::probe::report::capabilities().unwrap();
        let ran = hoist.run(&["--cap-add", "ALL"], &["report"]);
        if ran.code == 0 {
            let report: Report = ran.json();
            let sets = report.capabilities.unwrap();
            assert!(sets.effective & !own.bounding == 0 || hoist.is_ordinary_user());
            assert!(sets.effective & 1 << 21 != 0, "CAP_SYS_ADMIN");
        } else {
            ran.failed_with(125, &["capabilit"]);
        }
    }
}

pub(super) fn security(hoist: &Hoist) {
    for option in [
        "no-new-privileges",
        "no-new-privileges=true",
        "no-new-privileges:true",
    ] {
        let report = hoist.report(&["--security-opt", option]);
        assert_eq!(report.no_new_privileges, Some(true), "{option}");
        assert_eq!(report.seccomp, Some(2));
    }
    let report = hoist.report(&["--security-opt", "seccomp=unconfined"]);
    assert_eq!(report.seccomp, Some(0));
    let profile = hoist.write(
        "profile.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]}"#,
    );
    let calls: BTreeMap<String, i32> = hoist
        .run(
            &["--security-opt", &format!("seccomp={profile}")],
            &["calls", "getpid"],
        )
        .json();
    assert_eq!(calls["getpid"], 99);
}

pub(super) fn network(hoist: &Hoist) {
    assert_eq!(hoist.report(&["--network", "none"]).interfaces, ["lo"]);
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    for option in ["--network", "--net"] {
        let report = hoist.report(&[option, "host"]);
        assert_eq!(report.namespaces["net"], own.to_string_lossy());
    }
}
