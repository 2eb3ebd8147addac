//! A command that asks for no isolation: a plain process of this machine.

use oci_spec::runtime::Spec;
use serde_json::Value;

use super::{process, security::Security, validate};
use crate::{Command, ContainerSpec, Fault, Faults, NetworkMode, RootSource, SeccompPolicy};

/// Fields of a command that mean something without isolation; any other that is given asks for some.
const MEANT: [&str; 13] = [
    "annotations",
    "group_add",
    "id",
    "isolation",
    "name",
    "network",
    "oom_score_adj",
    "process_config",
    "security_opt",
    "stop_signal",
    "stop_timeout",
    "ulimits",
    "working_dir",
];
/// The one security option that is of the process itself.
const NO_NEW_PRIVILEGES: &str = "no-new-privileges";

const REASON: &str = "needs isolation: leave it out, or the isolation none";

/// Everything that needs isolation, by field.
pub(super) fn faults(command: &Command) -> Faults {
    let mut faults = wishes(command, &MEANT);
    for (index, option) in command.security_opt.iter().enumerate() {
        if !option.starts_with(NO_NEW_PRIVILEGES) {
            faults.push(Fault::of_value(
                format!("security_opt[{index}]"),
                option,
                REASON,
            ));
        }
    }
    faults.extend(validate::of_any(command));
    faults
}

/// All but the fields that mean something, and networks.
pub(super) fn wishes(command: &Command, meant: &[&str]) -> Faults {
    let mut faults = Faults::default();
    let value = serde_json::to_value(command).unwrap_or_default();
    let given = value.as_object().into_iter().flatten();
    for (field, value) in given.filter(|(field, _)| !meant.contains(&field.as_str())) {
        match value {
            Value::Object(members) => {
                for member in members.keys() {
                    faults.push(Fault::new(format!("{field}.{member}"), REASON));
                }
            }
            Value::Array(elements) => {
                for index in 0..elements.len() {
                    faults.push(Fault::new(format!("{field}[{index}]"), REASON));
                }
            }
            _ => faults.push(Fault::new(field, REASON)),
        }
    }
    let network = &command.network;
    if network.interface.is_some()
        || !network.container_id.is_empty()
        || network.mode == Some(NetworkMode::None)
    {
        faults.push(Fault::new("network.mode", REASON));
    }
    faults
}

/// The spec of one that has no fault.
pub(super) fn spec(command: &Command) -> Result<ContainerSpec, Faults> {
    let security = Security::of(command)?;
    let mut process = process::first(command, "", &security);
    process
        .set_capabilities(None)
        .set_no_new_privileges(security.no_new_privileges.then_some(true));
    let mut spec = Spec::default();
    spec.set_version(super::OCI_VERSION.to_owned())
        .set_root(None)
        .set_hostname(None)
        .set_mounts(None)
        .set_linux(None)
        .set_process(Some(process))
        .set_annotations(
            (!command.annotations.is_empty())
                .then(|| command.annotations.clone().into_iter().collect()),
        );
    Ok(ContainerSpec {
        oci: spec,
        root: RootSource::Unisolated,
        user: Some(command.process_config.user.clone()).filter(|user| !user.is_empty()),
        groups: command.group_add.clone(),
        seccomp: SeccompPolicy::Unconfined,
        init: false,
        stop: command.stop_policy(),
        joined: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isolation, Mount, ProcessConfig, Resources};

    fn command() -> Command {
        Command::new()
            .id("web01")
            .isolation(Isolation::None)
            .process(ProcessConfig::new("true").argument("x"))
    }

    #[test]
    fn a_plain_process_has_nothing_but_what_it_is() {
        let spec = command().to_container_spec().unwrap();
        assert_eq!(spec.root, RootSource::Unisolated);
        let oci = serde_json::to_value(&spec.oci).unwrap();
        let members: Vec<_> = oci.as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["ociVersion", "process"]);
        assert_eq!(oci["process"]["args"], serde_json::json!(["true", "x"]));
        assert!(oci["process"].get("capabilities").is_none());
    }

    #[test]
    fn every_wish_for_isolation_is_refused_by_its_field_and_all_at_once() {
        let wishes = Command {
            hostname: "own".to_owned(),
            readonly_rootfs: true,
            init: true,
            privileged: true,
            cap_add: vec!["NET_ADMIN".to_owned()],
            security_opt: vec![
                "no-new-privileges".to_owned(),
                "seccomp=unconfined".to_owned(),
            ],
            resources: Resources {
                memory: 1 << 20,
                pids_limit: 5,
                ..Resources::default()
            },
            network: crate::Network::none(),
            working_dir: "relative".to_owned(),
            ..command().rootfs("/srv").mount(Mount::bind("/a", "/b"))
        };
        let faults = wishes.validate().unwrap_err();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "cap_add[0]",
                "hostname",
                "init",
                "mounts[0]",
                "privileged",
                "readonly_rootfs",
                "resources.memory",
                "resources.pids_limit",
                "rootfs",
                "network.mode",
                "security_opt[1]",
                "working_dir",
            ]
        );
    }
}
