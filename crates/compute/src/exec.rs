//! What a further process is made from.

use std::{path::PathBuf, time::Duration};

use hoist_spec::{ProcessSpec, oci::LinuxResources};
use serde::{Deserialize, Serialize};

/// What a further process and all it starts have for themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Confinement {
    /// Limits, within the container's.
    pub limits: LinuxResources,
    /// How long it may run. Then it is ended by force, with all it has started, and its status says so
    /// ([`ExitStatus::timed_out`](crate::ExitStatus::timed_out)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// A directory of the host that is its root, read-only, in a mount namespace of its own: so that one's own tools are there,
    /// whatever the container has. The container's root is below it, at `/container`, or at `/mnt` where it lacks that
    /// directory; the container's `/proc` and `/dev` are where it has directories for them. Everything else is as without:
    /// the same namespaces, cgroup, identity, capabilities and filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
}

impl Confinement {
    /// Whether it asks for nothing that needs a group of processes of its own.
    pub fn has_no_bounds(&self) -> bool {
        self.timeout.is_none() && self.limits == LinuxResources::default()
    }
}

/// A further process to be made an object of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSpec {
    /// What to run.
    pub process: ProcessSpec,
    /// What it has for itself.
    #[serde(default)]
    pub confinement: Confinement,
    /// An owner in the background keeps its standard input open for those who attach; otherwise that is the null device there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interactive: bool,
}
