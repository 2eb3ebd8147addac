//! What a command means: its faults, and the OCI runtime spec. Here for Linux, with docker's defaults; in `windows` for Windows.
//!
//! Where a default differs from docker's, the place says why. The built-in seccomp profile is not built
//! here, as few callers need it as JSON: [`ContainerSpec::to_oci`] places it.

mod defaults;
mod environment;
mod export;
mod mounts;
mod process;
mod profile;
mod resources;
mod security;
mod settings;
mod unisolated;
mod unisolated_windows;
mod validate;
mod windows;

use std::path::PathBuf;

pub(crate) use mounts::{is_usual_shared_memory, shared_memory_of};
pub use profile::native_architecture;
pub(crate) use security::{SeccompChoice, SecurityOption};
pub(crate) use validate::added_mounts;
pub(crate) use windows::is_absolute as is_absolute_on_windows;

use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, Root, Spec};

use crate::{
    Command, ContainerSpec, Faults, Isolation, NetworkMode, Platform, RootSource, SeccompPolicy,
    StopPolicy, WritableLayer,
};

/// The OCI runtime spec that is written.
const OCI_VERSION: &str = "1.2.0";

/// How much of an id becomes the host name, as docker has it.
const HOSTNAME_OF_ID: usize = 12;

impl Command {
    /// Whether a Linux container can be made of it, or without isolation a plain process.
    ///
    /// # Errors
    /// Everything that is wrong or contradictory, by field.
    pub fn validate(&self) -> Result<(), Faults> {
        let faults = match self.isolation {
            Isolation::None => unisolated::faults(self),
            _ => validate::command(self),
        };
        faults.into_result(())
    }

    /// Whether a container of that platform can be made of it.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn validate_for(&self, platform: Platform) -> Result<(), Faults> {
        match platform {
            Platform::Linux => self.validate(),
            Platform::Windows if self.isolation == Isolation::None => {
                unisolated_windows::faults(self).into_result(())
            }
            Platform::Windows => windows::command(self).into_result(()),
        }
    }

    /// What the backend of that platform makes.
    ///
    /// # Errors
    /// As [`validate_for`](Self::validate_for).
    pub fn to_container_spec_for(&self, platform: Platform) -> Result<ContainerSpec, Faults> {
        match platform {
            Platform::Linux => self.to_container_spec(),
            Platform::Windows => self.to_windows_container_spec(),
        }
    }

    /// What a Linux backend makes: the OCI runtime spec 1.2 with docker's defaults, and what stands
    /// beside it.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn to_container_spec(&self) -> Result<ContainerSpec, Faults> {
        self.validate()?;
        if self.isolation == Isolation::None {
            return unisolated::spec(self);
        }
        let security = security::Security::of(self)?;
        let hostname = self.effective_hostname();

        let mut root = Root::default();
        root.set_path(PathBuf::from(if self.rootfs.is_empty() {
            "rootfs"
        } else {
            &self.rootfs
        }))
        .set_readonly(Some(self.readonly_rootfs));

        let mut spec = Spec::default();
        spec.set_version(OCI_VERSION.to_owned())
            .set_root(Some(root))
            .set_process(Some(process::first(self, &hostname, &security)))
            .set_mounts(Some(mounts::all(self)))
            .set_hostname(Some(hostname).filter(|name| !name.is_empty()))
            .set_annotations(
                (!self.annotations.is_empty())
                    .then(|| self.annotations.clone().into_iter().collect()),
            );

        let mut linux = Linux::default();
        linux
            .set_namespaces(Some(self.namespaces()))
            .set_resources(Some(resources::of(self)))
            .set_devices(settings::devices(self))
            .set_uid_mappings(settings::id_maps(&self.uid_maps))
            .set_gid_mappings(settings::id_maps(&self.gid_maps))
            .set_sysctl(
                (!self.sysctls.is_empty()).then(|| self.sysctls.clone().into_iter().collect()),
            )
            .set_cgroups_path(self.cgroups_path())
            .set_rootfs_propagation(mounts::root_propagation(&self.mounts).map(str::to_owned));
        let paths = |paths: &[&str]| {
            let hidden = security.system_paths.then_some(paths);
            Some(
                hidden
                    .into_iter()
                    .flatten()
                    .map(|path| (*path).to_owned())
                    .collect(),
            )
        };
        linux
            .set_masked_paths(paths(&defaults::MASKED_PATHS))
            .set_readonly_paths(paths(&defaults::READONLY_PATHS));
        let seccomp = match security.seccomp {
            SeccompChoice::Default => SeccompPolicy::Default,
            SeccompChoice::Unconfined => SeccompPolicy::Unconfined,
            SeccompChoice::Profile(text) => {
                linux.set_seccomp(Some(profile::resolve(text, security.capabilities)?));
                SeccompPolicy::Oci
            }
        };
        spec.set_linux(Some(linux));
        Ok(ContainerSpec {
            oci: spec,
            root: self.root_source(),
            user: Some(self.process_config.user.clone()).filter(|user| !user.is_empty()),
            groups: self.group_add.clone(),
            seccomp,
            init: self.init,
            stop: self.stop_policy(),
            joined: settings::joined(self),
        })
    }

    /// What the command says of its end, and docker's defaults where it does not.
    fn stop_policy(&self) -> StopPolicy {
        let usual = StopPolicy::default();
        StopPolicy {
            signal: self.stop_signal.unwrap_or(usual.signal),
            timeout_seconds: self.stop_timeout.unwrap_or(usual.timeout_seconds),
        }
    }

    fn effective_hostname(&self) -> String {
        if !self.hostname.is_empty() {
            return self.hostname.clone();
        }
        if !self.namespaces.uts.is_empty() {
            // It is somebody else's to set.
            return String::new();
        }
        // An id may hold a '+', which no host name can.
        self.id
            .chars()
            .take(HOSTNAME_OF_ID)
            .map(|character| if character == '+' { '-' } else { character })
            .collect()
    }

    /// Where its cgroup is made, where that is said.
    fn cgroups_path(&self) -> Option<PathBuf> {
        (!self.cgroup_parent.is_empty()).then(|| PathBuf::from(&self.cgroup_parent).join(&self.id))
    }

    fn namespaces(&self) -> Vec<LinuxNamespace> {
        let network = match self.network.mode {
            Some(NetworkMode::Host) => "host",
            _ => "",
        };
        let shared = &self.namespaces;
        let user = match shared.user.as_str() {
            "" => "host",
            "private" => "",
            joined => joined,
        };
        [
            (LinuxNamespaceType::Mount, ""),
            (LinuxNamespaceType::Pid, &shared.pid),
            (LinuxNamespaceType::Network, network),
            (LinuxNamespaceType::Ipc, &shared.ipc),
            (LinuxNamespaceType::Uts, &shared.uts),
            (LinuxNamespaceType::Cgroup, &shared.cgroup),
            (LinuxNamespaceType::User, user),
        ]
        .into_iter()
        .filter_map(|(kind, mode)| settings::namespace(kind, mode))
        .collect()
    }

    fn root_source(&self) -> RootSource {
        if !self.rootfs.is_empty() {
            return RootSource::Directory(PathBuf::from(&self.rootfs));
        }
        if self.layer_paths.is_empty() {
            return RootSource::Host;
        }
        RootSource::Layers {
            layers: self.layer_paths.iter().map(PathBuf::from).collect(),
            writable: if self.layer_folder.is_empty() {
                WritableLayer::Ephemeral
            } else {
                WritableLayer::Folder(PathBuf::from(&self.layer_folder))
            },
        }
    }
}

#[cfg(test)]
mod tests;
