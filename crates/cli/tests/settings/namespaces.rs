//! Namespaces that are shared with the host or another container, and those of users.

use hoist_testing::Need;

use super::inside;
use crate::hoist::{Hoist, until};

pub(super) fn namespaces() {
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

pub(super) fn user_namespace() {
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
