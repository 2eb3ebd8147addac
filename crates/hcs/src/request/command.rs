//! A request from the driver's command.

use hoist_spec::{Command, Isolation, ProcessConfig};

use super::{ContainerRequest, HyperV, Mount, NetworkDevice, ProcessRequest, Resources};
use crate::{Dialect, Settings};

impl ContainerRequest {
    /// What `command` asks for on Windows. Nothing is checked yet: that is part of lowering it.
    pub fn from_command(command: &Command, settings: &Settings) -> Self {
        // Docker's daemon applied the driver's default itself, before it made the command.
        let by_default = settings.hyperv_by_default
            && matches!(settings.dialect, Dialect::Schema1 | Dialect::Schema2);
        let hyperv = command.hv_partition
            || command.isolation == Isolation::Hyperv
            || (command.isolation == Isolation::Default && by_default);
        Self {
            id: command.id.clone(),
            hostname: command.hostname.clone(),
            volume_path: command.rootfs.clone(),
            layer_folder: command.layer_folder.clone(),
            layer_paths: command.layer_paths.clone(),
            hyperv: hyperv.then(HyperV::default),
            first_start: command.first_start,
            readonly_root: command.readonly_rootfs,
            mounts: command
                .mounts
                .iter()
                .map(|mount| Mount {
                    source: mount.source.clone(),
                    destination: mount.destination.clone(),
                    writable: mount.writable,
                })
                .collect(),
            network: command
                .network
                .interface
                .as_ref()
                .map(|interface| NetworkDevice {
                    switch: interface.bridge.clone(),
                    mac: interface.mac.clone(),
                    ports: interface.port_bindings.clone(),
                }),
            endpoints: super::Endpoints {
                shared_container: command.network.container_id.clone(),
                ..super::Endpoints::default()
            },
            resources: Resources {
                cpu_weight: command.resources.cpu_shares,
                memory: u64::try_from(command.resources.memory).unwrap_or(0),
                ..Resources::default()
            },
            process: ProcessRequest {
                working_directory: command.working_dir.clone(),
                arguments_escaped: command.args_escaped,
                ..ProcessRequest::from(&command.process_config)
            },
            ..Self::default()
        }
    }
}

impl From<&ProcessConfig> for ProcessRequest {
    fn from(config: &ProcessConfig) -> Self {
        Self {
            arguments: std::iter::once(&config.entrypoint)
                .chain(&config.arguments)
                .cloned()
                .collect(),
            arguments_escaped: false,
            environment: config.env.clone(),
            working_directory: config.working_dir.clone(),
            user: config.user.clone(),
            console: config.tty,
            console_size: config.console_size,
        }
    }
}
