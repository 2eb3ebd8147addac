//! What a supervisor says of itself on disk.

use hoist_compute::Timestamp;
use serde::{Deserialize, Serialize};

/// What a supervisor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupervisorState {
    /// It is about to start the container.
    Starting,
    /// The container runs, or has ended and what it wrote is being read.
    Running,
    /// The container has ended and will be started once more.
    Restarting,
    /// The container has ended for good.
    Ended,
}

/// A supervisor's own account. It tells what was when the supervisor wrote it; whether the supervisor lives is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorStatus {
    /// What it is doing.
    pub state: SupervisorState,
    /// Its process id.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// How often it has started the container once more.
    pub restarts: u32,
    /// Bytes of output that could not be written to the log.
    pub log_bytes_lost: u64,
    /// Why it could not start the container, or not once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
