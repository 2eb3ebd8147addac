//! A command that asks for no isolation on Windows: a plain process of that machine, in a job.

use serde_json::json;

use super::{OCI_VERSION, resources, unisolated, validate, windows};
use crate::{Command, ContainerSpec, Fault, Faults, RootSource, SeccompPolicy};

/// Fields of a command that mean something; any other that is given asks for isolation, or is of Linux alone.
const MEANT: [&str; 10] = [
    "annotations",
    "id",
    "isolation",
    "name",
    "network",
    "process_config",
    "resources",
    "stop_signal",
    "stop_timeout",
    "working_dir",
];
/// The limits that a job has.
const LIMITS: [&str; 4] = ["memory", "cpu_quota", "cpu_period", "pids_limit"];

/// Everything that is wrong, by field.
pub(super) fn faults(command: &Command) -> Faults {
    let mut faults = unisolated::wishes(command, &MEANT);
    let value = serde_json::to_value(&command.resources).unwrap_or_default();
    for name in value
        .as_object()
        .into_iter()
        .flat_map(|limits| limits.keys())
    {
        if !LIMITS.contains(&name.as_str()) {
            faults.push(Fault::new(
                format!("resources.{name}"),
                "is no limit that a job has: it limits memory, processor time and processes",
            ));
        }
    }
    if !command.process_config.user.is_empty() {
        faults.push(Fault::new(
            "process_config.user",
            "needs isolation: without it a process is its caller's",
        ));
    }
    faults.extend(validate::identity(command));
    faults.extend(windows::begins_in(&command.working_dir));
    faults.extend(windows::process(&command.process_config, "process_config."));
    faults
}

/// The spec of one that has no fault. Limits are in the contract's form, which is the one of Linux.
pub(super) fn spec(command: &Command) -> Result<ContainerSpec, serde_json::Error> {
    let mut limits = resources::limits(&command.resources);
    if let Some(mut memory) = *limits.memory() {
        // A job limits what is committed, wherever it is.
        memory.set_swap(None);
        limits.set_memory(Some(memory));
    }
    let mut oci = json!({
        "ociVersion": OCI_VERSION,
        "process": command.windows_process(),
        // It says for which platform this is.
        "windows": {"layerFolders": []},
    });
    if !command.annotations.is_empty() {
        oci["annotations"] = json!(command.annotations);
    }
    let limits = serde_json::to_value(limits)?;
    if limits.as_object().is_some_and(|limits| !limits.is_empty()) {
        oci["linux"] = json!({"resources": limits});
    }
    Ok(ContainerSpec {
        oci: serde_json::from_value(oci)?,
        root: RootSource::Unisolated,
        user: None,
        groups: Vec::new(),
        seccomp: SeccompPolicy::Unconfined,
        init: false,
        stop: command.stop_policy(),
        joined: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isolation, Platform, ProcessConfig, Resources};

    fn command() -> Command {
        Command {
            working_dir: r"C:\here".to_owned(),
            ..Command::new()
                .id("job01")
                .isolation(Isolation::None)
                .process(ProcessConfig::new("cmd").argument("/c"))
        }
    }

    #[test]
    fn a_plain_process_has_its_limits_and_nothing_else() {
        let limited = Command {
            resources: Resources {
                memory: 1 << 20,
                cpu_quota: 50_000,
                cpu_period: 100_000,
                pids_limit: 5,
                ..Resources::default()
            },
            ..command()
        };
        let spec = limited.to_container_spec_for(Platform::Windows).unwrap();
        assert_eq!(spec.root, RootSource::Unisolated);
        let oci = serde_json::to_value(&spec.oci).unwrap();
        assert_eq!(oci["process"]["args"], json!(["cmd", "/c"]));
        assert_eq!(oci["process"]["cwd"], r"C:\here");
        let limits = json!({
            "memory": {"limit": 1 << 20},
            "cpu": {"quota": 50_000, "period": 100_000},
            "pids": {"limit": 5},
        });
        assert_eq!(oci["linux"]["resources"], limits);
        let further = spec.exec_process(&ProcessConfig::new("x.exe")).unwrap();
        assert_eq!(further.oci.cwd(), std::path::Path::new(r"C:\here"));
        let plain = command().to_container_spec_for(Platform::Windows).unwrap();
        assert!(plain.oci.linux().is_none());
    }

    #[test]
    fn what_needs_isolation_or_linux_is_refused_by_its_field() {
        let wishes = Command {
            rootfs: r"C:\root".to_owned(),
            cap_add: vec!["NET_ADMIN".to_owned()],
            working_dir: "relative".to_owned(),
            resources: Resources {
                cpu_shares: 5,
                ..Resources::default()
            },
            ..command()
        };
        let faults = wishes.validate_for(Platform::Windows).unwrap_err();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        let wanted = [
            "cap_add[0]",
            "rootfs",
            "resources.cpu_shares",
            "working_dir",
        ];
        assert_eq!(fields, wanted);
    }
}
