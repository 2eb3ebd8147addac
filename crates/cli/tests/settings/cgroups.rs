//! What is set in the container's cgroup, and where that is.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::hoist::Hoist;

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

pub(super) fn limits() {
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

pub(super) fn cgroup_parent() {
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

pub(super) fn updated() {
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
