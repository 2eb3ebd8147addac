//! The resolved description of one container: an OCI runtime spec and the few things OCI cannot say.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use serde::{Deserialize, Serialize};

use crate::{ContainerId, Signal};

/// Everything a backend needs to make a container.
///
/// The [OCI runtime spec](https://github.com/opencontainers/runtime-spec) says most of it. What it has
/// no words for (where the root comes from, a user by name, the built-in seccomp profile, an init
/// process) stands beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerSpec {
    /// The OCI runtime spec. `root.path` is meaningful only together with [`RootSource::Directory`].
    pub oci: Spec,
    /// Where the root file system comes from.
    pub root: RootSource,
    /// `user[:group]`, each a name or a number, looked up in the container's own `/etc/passwd` and
    /// `/etc/group` when the container is planned. `None`: the numbers in `oci.process.user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Further groups of the first process, each a name or a number, beside those that it has by its user; looked up as that is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Which system calls the container may make.
    #[serde(default)]
    pub seccomp: SeccompPolicy,
    /// Run an init process as PID 1 that forwards signals and reaps zombies.
    #[serde(default)]
    pub init: bool,
    /// How the container is asked to end.
    #[serde(default)]
    pub stop: StopPolicy,
    /// The other containers whose namespaces it joins: whichever they have when it is planned, for a container that is started again
    /// has others. `oci.linux.namespaces` has each kind without a path. Linux only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<JoinedNamespace>,
}

/// A namespace of another container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinedNamespace {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: LinuxNamespaceType,
    /// Whose it is.
    pub container: ContainerId,
}

/// Where a container's root file system comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RootSource {
    /// A directory of this machine, used as it is: what the container writes stays there.
    Directory(PathBuf),
    /// Directories stacked by overlayfs.
    Layers {
        /// Read-only layers, the top-most first, the base last.
        layers: Vec<PathBuf>,
        /// What receives the container's writes.
        writable: WritableLayer,
    },
    /// This machine's own root itself, and no isolation of any other kind: a plain process of this machine.
    Unisolated,
    /// This machine's own `/usr`, `/bin`, `/sbin`, `/lib*`, `/etc` and `/opt`, read-only under a
    /// writable layer that is thrown away.
    Host,
}

/// The layer that receives a container's writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WritableLayer {
    /// In memory, gone with the container.
    Ephemeral,
    /// A folder of this machine, kept.
    Folder(PathBuf),
}

/// Which system calls a container may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeccompPolicy {
    /// Docker's default profile, for the capabilities that the container keeps.
    #[default]
    Default,
    /// No filter.
    Unconfined,
    /// The profile in `oci.linux.seccomp`; no filter where that is absent.
    Oci,
}

/// How a container is asked to end, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopPolicy {
    /// The signal that asks; docker's default is `SIGTERM`.
    pub signal: Signal,
    /// Seconds from that signal to `SIGKILL`; docker's default is 10.
    pub timeout_seconds: u32,
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self {
            signal: Signal::TERM,
            timeout_seconds: 10,
        }
    }
}

/// One process to start in a container that already runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// The OCI process object: arguments, environment, working directory, terminal, capabilities, …
    pub oci: Process,
    /// As [`ContainerSpec::user`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// The size of a console in character cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}
