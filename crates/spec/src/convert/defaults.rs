//! Docker's default mounts, hidden paths and devices.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType, Mount};

use super::mounts::mount;

/// Hidden, each behind something empty: they tell of the machine or let it be changed.
/// `/proc/interrupts` and the power meter are side channels (GHSA-6fw5-f8r9-fgfm, GHSA-jq35-85cj-fj4p).
pub(super) const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Visible, but not writable.
pub(super) const READONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The file systems that every container has, in the order in which they are mounted.
pub(super) fn mounts() -> [Mount; 7] {
    [
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        mount(
            "/sys",
            "sysfs",
            "sysfs",
            &["nosuid", "noexec", "nodev", "ro"],
        ),
        mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["ro", "nosuid", "noexec", "nodev"],
        ),
        mount(
            "/dev/mqueue",
            "mqueue",
            "mqueue",
            &["nosuid", "noexec", "nodev"],
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
    ]
}

/// Which devices may be opened or made: none but the harmless ones, though a node may be made of any.
pub(super) fn device_rules() -> Vec<LinuxDeviceCgroup> {
    const CHARACTER: LinuxDeviceType = LinuxDeviceType::C;
    const BLOCK: LinuxDeviceType = LinuxDeviceType::B;
    let rule = |allow, kind: Option<_>, major: Option<i64>, minor: Option<i64>, access: &str| {
        let mut rule = LinuxDeviceCgroup::default();
        rule.set_allow(allow)
            .set_typ(kind)
            .set_major(major)
            .set_minor(minor)
            .set_access(Some(access.to_owned()));
        rule
    };
    let mut rules = vec![
        rule(false, None, None, None, "rwm"),
        rule(true, Some(CHARACTER), None, None, "m"),
        rule(true, Some(BLOCK), None, None, "m"),
    ];
    // null, zero, full, random, urandom, tty, console, ptmx (devices.txt of the kernel); then every pts.
    for (major, minor) in [
        (1, 3),
        (1, 5),
        (1, 7),
        (1, 8),
        (1, 9),
        (5, 0),
        (5, 1),
        (5, 2),
    ] {
        rules.push(rule(true, Some(CHARACTER), Some(major), Some(minor), "rwm"));
    }
    rules.push(rule(true, Some(CHARACTER), Some(136), None, "rwm"));
    rules
}
