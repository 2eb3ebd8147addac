//! What is recorded of a container or an exec, and of its first process.

use hoist_compute::Timestamp;
use hoist_spec::ContainerSpec;
use hoist_windows::{records::VERSION, seen};
use serde::{Deserialize, Serialize};

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config<S = ContainerSpec> {
    version: u32,
    pub(super) created_at: Timestamp,
    pub(super) spec: S,
}

impl<S> Config<S> {
    pub(super) fn new(spec: S) -> Self {
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
    /// The name of its job: the container's, or an exec's own.
    pub(super) job: String,
    /// The number of the container's run.
    pub(super) container_run: u64,
    pub(super) started_at: Timestamp,
}

impl Started {
    pub(super) fn now(pid: u32, created: u64, job: String, container_run: u64) -> Self {
        Self {
            version: VERSION,
            pid,
            created,
            job,
            container_run,
            started_at: Timestamp::now(),
        }
    }
}

impl seen::Started for Started {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn started_at(&self) -> Timestamp {
        self.started_at
    }
}
