//! What a further process is made from.

use std::time::Duration;

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
