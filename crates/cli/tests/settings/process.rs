//! What a process has: resource limits, groups, the OOM killer's score, shared memory and sysctls.

use super::inside;
use crate::hoist::Hoist;

pub(super) fn of_the_process() {
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

pub(super) fn sysctls() {
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
