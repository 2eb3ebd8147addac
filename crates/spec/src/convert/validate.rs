//! Everything that can be wrong with a command that is to become a Linux container.

use std::collections::HashSet;

use super::{
    mounts, profile,
    security::{SeccompChoice, Security},
    settings,
};
use crate::{
    CapabilitySet, Command, ContainerId, Fault, Faults, Isolation, Mount, Network, NetworkMode,
    ProcessConfig, Resources,
    check::{self, Check},
};

/// The faults of what any process has, with isolation or without.
pub(super) fn of_any(command: &Command) -> Faults {
    let mut faults = Faults::default();
    ids(command, &mut faults);
    working_directory(command, &mut faults);
    faults.extend(settings::faults(command));
    faults.extend(process(&command.process_config, "process_config."));
    faults
}

fn ids(command: &Command, faults: &mut Faults) {
    let fault = |text| given(text).and_then(|text| text.parse::<ContainerId>().err());
    if let Some(error) = fault(&command.id) {
        faults.push(Fault::new("id", error.to_string()));
    }
    if let Some(error) = fault(&command.name) {
        faults.push(Fault::new("name", error.as_name()));
    }
}

fn working_directory(command: &Command, faults: &mut Faults) {
    if let Some(directory) = given(&command.working_dir) {
        check(
            faults,
            "working_dir",
            directory,
            check::absolute_path(directory),
        );
    }
}

/// The faults of a command, in the order of its fields.
pub(super) fn command(command: &Command) -> Faults {
    let mut faults = identity(command);
    root(command, &mut faults);
    working_directory(command, &mut faults);
    if command.hv_partition || command.isolation == Isolation::Hyperv {
        let field = if command.hv_partition {
            "hv_partition"
        } else {
            "isolation"
        };
        faults.push(Fault::new(
            field,
            "asks for Hyper-V, which Linux does not have",
        ));
    }
    all_mounts(&command.mounts, &mut faults);
    network(&command.network, &mut faults);
    resources(&command.resources, &mut faults);
    swap_without_memory(&command.resources, &mut faults);
    faults.extend(settings::faults(command));
    faults.extend(process(&command.process_config, "process_config."));
    if !command.process_config.working_dir.is_empty() {
        faults.push(Fault::new(
            "process_config.working_dir",
            "is for further processes; the first one begins in working_dir",
        ));
    }
    for (field, names) in [
        ("cap_add", &command.cap_add),
        ("cap_drop", &command.cap_drop),
    ] {
        for (index, name) in names.iter().enumerate() {
            check(
                &mut faults,
                format!("{field}[{index}]"),
                name,
                check::capability(name),
            );
        }
    }
    match Security::of(command) {
        Ok(Security {
            seccomp: SeccompChoice::Profile(text),
            ..
        }) => {
            // For which capabilities is all the same: here only its faults count.
            if let Err(found) = profile::resolve(text, CapabilitySet::EMPTY) {
                faults.extend(found);
            }
        }
        Ok(_) => {}
        Err(found) => faults.extend(found),
    }
    faults
}

/// The faults of what it is called.
pub(super) fn identity(command: &Command) -> Faults {
    let mut faults = Faults::default();
    ids(command, &mut faults);
    if let Some(name) = given(&command.hostname) {
        check(&mut faults, "hostname", name, check::hostname(name));
    }
    faults
}

/// The faults of a process, each field behind `prefix`.
pub(super) fn process(config: &ProcessConfig, prefix: &str) -> Faults {
    let mut faults = words(config, prefix);
    check(
        &mut faults,
        format!("{prefix}user"),
        &config.user,
        check::user(&config.user),
    );
    if let Some(directory) = given(&config.working_dir) {
        check(
            &mut faults,
            format!("{prefix}working_dir"),
            directory,
            check::absolute_path(directory),
        );
    }
    faults
}

/// The faults of a process's program, arguments and variables.
pub(super) fn words(config: &ProcessConfig, prefix: &str) -> Faults {
    let mut faults = Faults::default();
    let program = &config.entrypoint;
    if program.is_empty() {
        faults.push(Fault::new(
            format!("{prefix}entrypoint"),
            "no program to run is given",
        ));
    }
    check(
        &mut faults,
        format!("{prefix}entrypoint"),
        program,
        check::no_nul(program),
    );
    for (index, argument) in config.arguments.iter().enumerate() {
        check(
            &mut faults,
            format!("{prefix}arguments[{index}]"),
            argument,
            check::no_nul(argument),
        );
    }
    for (index, entry) in config.env.iter().enumerate() {
        check(
            &mut faults,
            format!("{prefix}env[{index}]"),
            entry,
            check::environment_entry(entry),
        );
    }
    faults
}

fn root(command: &Command, faults: &mut Faults) {
    if !command.rootfs.is_empty() && !command.layer_paths.is_empty() {
        faults.push(Fault::new(
            "rootfs",
            "a root file system is one directory or made of layers, not both",
        ));
    }
    if !command.layer_folder.is_empty() && command.layer_paths.is_empty() {
        faults.push(Fault::new(
            "layer_folder",
            "a writable layer needs layers below it",
        ));
    }
    for (field, directory) in [
        ("rootfs", &command.rootfs),
        ("layer_folder", &command.layer_folder),
    ] {
        if let Some(directory) = given(directory) {
            check(faults, field, directory, check::absolute_path(directory));
        }
    }
    for (index, layer) in command.layer_paths.iter().enumerate() {
        check(
            faults,
            format!("layer_paths[{index}]"),
            layer,
            check::absolute_path(layer),
        );
    }
}

/// Mounts that are given to a container by themselves.
pub(crate) fn added_mounts(given: &[Mount]) -> Result<Vec<oci_spec::runtime::Mount>, Faults> {
    let mut faults = Faults::default();
    all_mounts(given, &mut faults);
    faults.into_result(())?;
    Ok(mounts::given(given))
}

fn all_mounts(given: &[Mount], faults: &mut Faults) {
    let mut taken = HashSet::new();
    for (index, mount) in given.iter().enumerate() {
        let field = |name: &str| format!("mounts[{index}].{name}");
        check(
            faults,
            field("type"),
            &mount.kind,
            mounts::check_kind(&mount.kind),
        );
        if mounts::is_tmpfs(mount) {
            if !mount.source.is_empty() {
                faults.push(Fault::of_value(
                    field("source"),
                    &mount.source,
                    "a file system in memory has no source",
                ));
            }
        } else {
            check(
                faults,
                field("source"),
                &mount.source,
                check::absolute_path(&mount.source),
            );
        }
        let destination = &mount.destination;
        check(
            faults,
            field("destination"),
            destination,
            mounts::check_destination(destination, &mount.kind, &mount.source),
        );
        if !taken.insert(check::clean_path(destination)) {
            faults.push(Fault::of_value(
                field("destination"),
                destination,
                "is the place of another mount too",
            ));
        }
        for (number, option) in mount.options.iter().enumerate() {
            check(
                faults,
                field(&format!("options[{number}]")),
                option,
                mounts::check_option(mount, option),
            );
        }
    }
}

fn network(network: &Network, faults: &mut Faults) {
    let Network {
        interface,
        container_id,
        mode,
    } = network;
    if interface.is_some() && !container_id.is_empty() {
        faults.push(Fault::new(
            "network.interface",
            "a container has an interface of its own or joins another container's network, not both",
        ));
    }
    if let (Some(mode), true) = (mode, interface.is_some() || !container_id.is_empty()) {
        let name = match mode {
            NetworkMode::None => "none",
            NetworkMode::Host => "host",
        };
        faults.push(Fault::of_value(
            "network.mode",
            name,
            "is given beside another network",
        ));
    }
    // Left out silently, the container would run in another network than asked for.
    if interface.is_some() {
        faults.push(Fault::new(
            "network.interface",
            "is not supported on Linux yet; use network mode none or host, or another container's",
        ));
    }
    if !container_id.is_empty() {
        check(
            faults,
            "network.container_id".to_owned(),
            container_id,
            settings::check_container(container_id),
        );
    }
}

pub(super) fn resources(given: &Resources, faults: &mut Faults) {
    /// Every field, the least and the most that it may be.
    type Limit = (&'static str, i64, i64, i64);
    let limits: [Limit; 5] = [
        ("memory", given.memory, 1, i64::MAX),
        ("memory_reservation", given.memory_reservation, 1, i64::MAX),
        ("cpu_shares", given.cpu_shares, 2, 262_144),
        ("cpu_period", given.cpu_period, 1000, 1_000_000),
        ("blkio_weight", given.blkio_weight, 10, 1000),
    ];
    for (field, number, least, most) in limits {
        number_check(faults, field, number, check::within(number, least, most));
    }
    let quota = given.cpu_quota;
    if quota != -1 {
        number_check(
            faults,
            "cpu_quota",
            quota,
            check::within(quota, 1000, i64::MAX),
        );
    }
    let pids = given.pids_limit;
    if pids < -1 {
        number_check(
            faults,
            "pids_limit",
            pids,
            Err("is below 1, and not -1 for no limit".to_owned()),
        );
    }
    if given.memory > 0 && given.memory_reservation > given.memory {
        faults.push(Fault::of_value(
            "resources.memory_reservation",
            given.memory_reservation.to_string(),
            format!("is more than the limit of {} bytes", given.memory),
        ));
    }
    let swap = given.memory_swap;
    if swap < -1 || (swap > 0 && swap < given.memory) {
        number_check(
            faults,
            "memory_swap",
            swap,
            Err("is less than the memory, and not -1 for no limit".to_owned()),
        );
    }
    for (field, list) in [
        ("resources.cpuset_cpus", &given.cpuset_cpus),
        ("resources.cpuset_mems", &given.cpuset_mems),
    ] {
        if let Some(list) = self::given(list) {
            check(faults, field, list, check::processor_list(list));
        }
    }
}

/// What a container that is made must have, and one that is changed has perhaps already.
fn swap_without_memory(given: &Resources, faults: &mut Faults) {
    if given.memory_swap > 0 && given.memory == 0 {
        number_check(
            faults,
            "memory_swap",
            given.memory_swap,
            Err("limits memory and swap together: give the limit of memory, too".to_owned()),
        );
    }
}

fn number_check(faults: &mut Faults, field: &str, number: i64, result: Check) {
    check(
        faults,
        format!("resources.{field}"),
        &number.to_string(),
        result,
    );
}

pub(super) fn check(faults: &mut Faults, field: impl Into<String>, value: &str, result: Check) {
    if let Err(reason) = result {
        faults.push(Fault::of_value(field, value, reason));
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
