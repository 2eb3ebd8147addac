//! Options that are wrong.

use crate::hoist::Hoist;

pub(super) fn wrong_options() {
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
