//! What is recorded of a container and of its first process.

use hoist_compute::Timestamp;
use hoist_spec::ContainerSpec;
use hoist_windows::records::VERSION;
use serde::{Deserialize, Serialize};

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    version: u32,
    pub(super) created_at: Timestamp,
    pub(super) spec: ContainerSpec,
}

impl Config {
    pub(super) fn new(spec: ContainerSpec) -> Self {
        Self {
            version: VERSION,
            created_at: Timestamp::now(),
            spec,
        }
    }
}

/// A first process that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Started {
    version: u32,
    pub(super) pid: u32,
    /// When it was made, in units of 100 ns since 1601: with its id this tells it from every other process.
    pub(super) created: u64,
    /// The name of the container's job.
    pub(super) job: String,
    pub(super) started_at: Timestamp,
}

impl Started {
    pub(super) fn now(pid: u32, created: u64, job: String) -> Self {
        Self {
            version: VERSION,
            pid,
            created,
            job,
            started_at: Timestamp::now(),
        }
    }
}
