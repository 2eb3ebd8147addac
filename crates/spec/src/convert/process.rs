//! The OCI process object of a container's first process and of further ones.

use std::path::PathBuf;

use oci_spec::runtime::{BoxBuilder, LinuxCapabilities, Process, User};

use super::{environment, security::Security, settings, validate, windows};
use crate::{CapabilitySet, Command, ContainerSpec, Faults, Platform, ProcessConfig, ProcessSpec};

/// What new files are not, for a process of a container; docker's, whatever the caller's own is.
const UMASK: u32 = 0o022;

/// The first process of a container.
pub(super) fn first(command: &Command, hostname: &str, security: &Security<'_>) -> Process {
    let config = &command.process_config;
    let directory = if command.working_dir.is_empty() {
        "/"
    } else {
        &command.working_dir
    };
    let mut user = User::default();
    user.set_umask(Some(UMASK));
    let groups = command
        .group_add
        .iter()
        .filter_map(|group| group.parse().ok());
    let groups: Vec<u32> = groups.collect();
    if !groups.is_empty() {
        user.set_additional_gids(Some(groups));
    }
    let mut process = Process::default();
    process
        .set_user(user)
        .set_env(Some(environment::first(hostname, config.tty, &config.env)))
        .set_cwd(PathBuf::from(directory))
        .set_capabilities(Some(capabilities(security.capabilities)))
        .set_no_new_privileges(Some(security.no_new_privileges))
        .set_apparmor_profile(security.apparmor.map(str::to_owned))
        .set_rlimits(settings::rlimits(command))
        .set_oom_score_adj(command.oom_score_adj);
    set_program(&mut process, config);
    process
}

/// The same set wherever it must stand, none that outlives a change of program by inheritance
/// (CVE-2022-24769).
fn capabilities(set: CapabilitySet) -> LinuxCapabilities {
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(set.to_oci()))
        .set_effective(Some(set.to_oci()))
        .set_permitted(Some(set.to_oci()))
        .set_inheritable(Some(CapabilitySet::EMPTY.to_oci()))
        .set_ambient(None);
    capabilities
}

pub(super) fn set_program(process: &mut Process, config: &ProcessConfig) {
    let arguments = std::iter::once(&config.entrypoint).chain(&config.arguments);
    let size = config.console_size.filter(|_| config.tty).and_then(|size| {
        BoxBuilder::default()
            .height(size.height)
            .width(size.width)
            .build()
            .ok()
    });
    process
        .set_args(Some(arguments.cloned().collect()))
        .set_terminal(Some(config.tty))
        .set_console_size(size);
}

impl ProcessConfig {
    /// Whether a Linux process can be made of it.
    ///
    /// # Errors
    /// Everything that is wrong, by field.
    pub fn validate(&self) -> Result<(), Faults> {
        validate::process(self, "").into_result(())
    }

    /// Whether a process of that platform can be made of it.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn validate_for(&self, platform: Platform) -> Result<(), Faults> {
        match platform {
            Platform::Linux => self.validate(),
            Platform::Windows => windows::process(self, "").into_result(()),
        }
    }
}

impl ContainerSpec {
    /// A further process of this container: what `config` leaves open is as for the first one.
    ///
    /// # Errors
    /// Everything that is wrong with `config`, by field.
    pub fn exec_process(&self, config: &ProcessConfig) -> Result<ProcessSpec, Faults> {
        if self.oci.windows().is_some() {
            return windows::further(self, config);
        }
        config.validate()?;
        let mut process = self.oci.process().clone().unwrap_or_else(|| {
            let mut process = Process::default();
            process
                .set_env(None)
                .set_capabilities(None)
                .set_rlimits(None);
            process
        });
        let inherited = process.env().as_deref().unwrap_or_default();
        let environment = environment::further(inherited, config.tty, &config.env);
        process.set_env(Some(environment));
        if !config.working_dir.is_empty() {
            process.set_cwd(PathBuf::from(&config.working_dir));
        }
        set_program(&mut process, config);
        let user = if config.user.is_empty() {
            self.user.clone()
        } else {
            Some(config.user.clone())
        };
        Ok(ProcessSpec { oci: process, user })
    }
}
