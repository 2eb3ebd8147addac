//! What is recorded of a container and of its first process.

use hoist_compute::Timestamp;
use hoist_spec::ContainerSpec;
use hoist_windows::records::VERSION;
pub(super) use hoist_windows::records::{Record, Records};
use serde::{Deserialize, Serialize};

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    version: u32,
    pub(super) created_at: Timestamp,
    pub(super) spec: ContainerSpec,
    /// The document that makes the system.
    pub(super) configuration: String,
}

impl Config {
    pub(super) fn new(spec: ContainerSpec, configuration: String) -> Self {
        Self {
            version: VERSION,
            created_at: Timestamp::now(),
            spec,
            configuration,
        }
    }
}

/// A first process that was started.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Started {
    version: u32,
    pub(super) pid: u32,
    pub(super) started_at: Timestamp,
}

impl Started {
    /// One that runs from now on.
    pub(super) fn now(pid: u32) -> Self {
        Self {
            version: VERSION,
            pid,
            started_at: Timestamp::now(),
        }
    }
}
