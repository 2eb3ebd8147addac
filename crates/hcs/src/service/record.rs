//! What is recorded of a container and of its first process, and of an exec and its process.

use hoist_compute::{ExecSpec, Timestamp};
use hoist_spec::ContainerSpec;
pub(super) use hoist_windows::records::{Record, Records};
use hoist_windows::{records::VERSION, seen};
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

impl seen::Started for Started {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn started_at(&self) -> Timestamp {
        self.started_at
    }
}

/// What was asked for as an exec.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecConfig {
    version: u32,
    pub(super) created_at: Timestamp,
    pub(super) spec: ExecSpec,
}

impl ExecConfig {
    pub(super) fn new(spec: ExecSpec) -> Self {
        Self {
            version: VERSION,
            created_at: Timestamp::now(),
            spec,
        }
    }
}

/// The process of an exec that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecStarted {
    version: u32,
    pub(super) pid: u32,
    /// When it was made, in the service's words: with its id this tells it from every other process. `None` where it had ended before
    /// that could be asked.
    pub(super) created: Option<String>,
    /// The number of the container's run.
    pub(super) container_run: u64,
    pub(super) started_at: Timestamp,
}

impl ExecStarted {
    /// One that runs from now on.
    pub(super) fn now(pid: u32, created: Option<String>, container_run: u64) -> Self {
        Self {
            version: VERSION,
            pid,
            created,
            container_run,
            started_at: Timestamp::now(),
        }
    }
}

impl seen::Started for ExecStarted {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn started_at(&self) -> Timestamp {
        self.started_at
    }
}
