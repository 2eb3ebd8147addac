//! Limits, devices, namespaces and the like.

use std::collections::BTreeMap;

use super::{RunOptions, quantity};
use crate::{Command, Device, Fault, Faults, Resources, SharedNamespaces};

/// The part of a command that these options make.
pub(super) fn read(options: &RunOptions, faults: &mut Faults) -> Command {
    let mut annotations = pairs("--annotation", &options.annotation, true, faults);
    annotations.extend(pairs("--label", &options.label, false, faults));
    let size = options.shm_size.as_deref();
    let score = options.oom_score_adj.as_deref();
    Command {
        resources: resources(options, faults),
        privileged: options.privileged,
        devices: options.device.iter().map(|text| device(text)).collect(),
        device_cgroup_rules: options.device_cgroup_rule.clone(),
        ulimits: options.ulimit.clone(),
        sysctls: pairs("--sysctl", &options.sysctl, true, faults),
        shm_size: size
            .and_then(|text| faults.keep(quantity::size("--shm-size", text)))
            .unwrap_or_default(),
        namespaces: SharedNamespaces {
            user: user_namespace(options),
            pid: mode(options.pid.as_deref()),
            ipc: mode(options.ipc.as_deref().map(|mode| match mode {
                // Every container's own one can be joined.
                "shareable" => "private",
                mode => mode,
            })),
            uts: mode(options.uts.as_deref()),
            cgroup: mode(options.cgroupns.as_deref()),
        },
        uid_maps: options.uidmap.clone(),
        gid_maps: options.gidmap.clone(),
        group_add: options.group_add.clone(),
        cgroup_parent: options.cgroup_parent.clone().unwrap_or_default(),
        oom_score_adj: score.and_then(|text| {
            let number = faults.keep(quantity::number("--oom-score-adj", text))?;
            // One that is too large for the field is out of range all the same.
            Some(i32::try_from(number).unwrap_or(i32::MAX))
        }),
        annotations,
        ..Command::default()
    }
}

/// The limits.
pub(super) fn resources(options: &RunOptions, faults: &mut Faults) -> Resources {
    let mut resources = Resources::default();
    for (option, text, number) in [
        ("--memory", &options.memory, &mut resources.memory),
        (
            "--memory-reservation",
            &options.memory_reservation,
            &mut resources.memory_reservation,
        ),
    ] {
        if let Some(text) = text {
            *number = faults
                .keep(quantity::memory(option, text))
                .unwrap_or_default();
        }
    }
    match options.memory_swap.as_deref() {
        None => {}
        Some("-1") => resources.memory_swap = -1,
        Some(text) => {
            let bytes = faults.keep(quantity::memory("--memory-swap", text));
            resources.memory_swap = bytes.unwrap_or_default();
        }
    }
    if let Some(text) = &options.cpus
        && let Some(quota) = faults.keep(quantity::cpus(text))
    {
        resources.cpu_quota = quota;
        resources.cpu_period = quantity::CPU_PERIOD;
    }
    for (option, text, number) in [
        (
            "--cpu-shares",
            &options.cpu_shares,
            &mut resources.cpu_shares,
        ),
        (
            "--pids-limit",
            &options.pids_limit,
            &mut resources.pids_limit,
        ),
        (
            "--blkio-weight",
            &options.blkio_weight,
            &mut resources.blkio_weight,
        ),
    ] {
        if let Some(text) = text {
            *number = faults
                .keep(quantity::number(option, text))
                .unwrap_or_default();
        }
    }
    for (option, text, list) in [
        (
            "--cpuset-cpus",
            &options.cpuset_cpus,
            &mut resources.cpuset_cpus,
        ),
        (
            "--cpuset-mems",
            &options.cpuset_mems,
            &mut resources.cpuset_mems,
        ),
    ] {
        match text.as_deref() {
            Some("") => faults.push(Fault::of_value(option, "", "is empty")),
            text => *list = text.unwrap_or_default().to_owned(),
        }
    }
    resources
}

/// `SOURCE[:TARGET][:PERMISSIONS]`; what kind of device it is, whoever can look at it says.
fn device(text: &str) -> Device {
    let is_permissions =
        |text: &str| !text.is_empty() && text.bytes().all(|letter| b"rwm".contains(&letter));
    let parts: Vec<&str> = text.splitn(3, ':').collect();
    let (target, permissions) = match parts[1..] {
        [] => ("", ""),
        [last] if is_permissions(last) => ("", last),
        [target] => (target, ""),
        [target, permissions, ..] => (target, permissions),
    };
    Device {
        path_on_host: parts[0].to_owned(),
        path_in_container: target.to_owned(),
        cgroup_permissions: permissions.to_owned(),
        ..Device::default()
    }
}

fn user_namespace(options: &RunOptions) -> String {
    match options.userns.as_deref() {
        Some(mode) => mode.to_owned(),
        None if options.uidmap.is_empty() && options.gidmap.is_empty() => String::new(),
        None => "private".to_owned(),
    }
}

fn mode(text: Option<&str>) -> String {
    match text {
        None | Some("private") => String::new(),
        Some(mode) => mode.to_owned(),
    }
}

fn pairs(
    option: &str,
    texts: &[String],
    needs_value: bool,
    faults: &mut Faults,
) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    for text in texts {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                pairs.insert(name.to_owned(), value.to_owned());
            }
            None if !needs_value && !text.is_empty() => {
                pairs.insert(text.clone(), String::new());
            }
            _ => faults.push(Fault::of_value(option, text, "is not NAME=VALUE")),
        }
    }
    pairs
}
