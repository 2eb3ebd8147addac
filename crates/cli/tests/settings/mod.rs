#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod cgroups;
mod devices;
mod labels;
mod layer_folder;
mod listing;
mod manual;
mod namespaces;
mod pausing;
mod process;
mod security;
mod stats;
mod wrong_options;

use std::process::ExitCode;

use hoist_testing::{Need, Suite, probe};

use crate::hoist::Hoist;

pub(crate) fn main() -> ExitCode {
    probe::main_if_asked();
    Suite::new()
        .test_or_skip(
            "--device shows a device at another place and lets it be used as far as is said",
            &[Need::Root],
            devices::a_device,
        )
        .test_or_skip(
            "a device that is not named cannot be opened, one of --device-cgroup-rule can",
            &[Need::Root],
            devices::device_rules,
        )
        .test(
            "--ulimit, --oom-score-adj, --group-add and --shm-size are as they were given",
            &[Need::Root],
            process::of_the_process,
        )
        .test(
            "--sysctl sets what the container's namespaces have for themselves, and nothing else",
            &[Need::Root],
            process::sysctls,
        )
        .test(
            "--memory-reservation, --memory-swap, --cpuset-cpus and --cpuset-mems are in the container's cgroup",
            &[Need::CgroupV1],
            cgroups::limits,
        )
        .test(
            "--privileged gives every capability and device, and hides and filters nothing",
            &[Need::Root],
            security::privileged,
        )
        .test(
            "--pid, --uts and --ipc share the host's namespace or another container's, and nothing more",
            &[Need::Root],
            namespaces::namespaces,
        )
        .test(
            "an AppArmor profile is set or the start fails",
            &[Need::Namespaces],
            security::apparmor,
        )
        .test(
            "parts of SELinux labels are refused with what to do, and those of volumes just where there are labels",
            &[Need::Namespaces],
            security::selinux_labels,
        )
        .test(
            "--uidmap and --gidmap make a user namespace with just these ids",
            &[Need::Root],
            namespaces::user_namespace,
        )
        .test(
            "--cgroup-parent puts the container's cgroup below another one",
            &[Need::CgroupV1],
            cgroups::cgroup_parent,
        )
        .test(
            "--layer-folder keeps what was written over the layers for the next container",
            &[Need::Root],
            layer_folder::layer_folder,
        )
        .test(
            "labels and annotations are shown by inspect",
            &[Need::Namespaces],
            labels::labels,
        )
        .test(
            "every option that is wrong is told at once, and nothing is made",
            &[Need::Namespaces],
            wrong_options::wrong_options,
        )
        .test(
            "pause freezes a container until unpause lets it go on",
            &[Need::Limits],
            pausing::paused,
        )
        // Row 26.
        .test(
            "a paused container is killed and removed at once",
            &[Need::Limits],
            pausing::killed_while_paused,
        )
        .test(
            "update changes limits of a container that runs, all of them or none",
            &[Need::CgroupV1],
            cgroups::updated,
        )
        .test(
            "stats shows what containers use, as a table and as JSON",
            &[Need::Limits],
            stats::stats,
        )
        .test(
            "rename gives a container another name, unless that is in use",
            &[Need::Namespaces],
            listing::renamed,
        )
        .test(
            "ps shows the containers that its filters name, or the newest",
            &[Need::Namespaces],
            listing::listed,
        )
        .test(
            "prune removes what has ended and leaves what is created or runs",
            &[Need::Namespaces],
            listing::pruned,
        )
        .test(
            "man writes a page for every command",
            &[],
            manual::manual_pages,
        )
        .run()
}

/// What a script prints in a container with these options.
fn inside(hoist: &Hoist, options: &[&str], script: &str) -> String {
    hoist.ok(&[&["run", "--rm"], options, &["--", "sh", "-c", script]].concat())
}
