//! What a list tells of a container or an exec.

use hoist_compute::{ExitStatus, State, Summary, Timestamp};
use hoist_spec::oci;

use crate::records::Record;

/// What was found of a run.
pub struct Found<'a> {
    /// What it is at this moment.
    pub state: State,
    /// The id of its first process and when that was started, where it was.
    pub started: Option<(u32, Timestamp)>,
    /// How that has ended, where it has.
    pub exit: Option<&'a ExitStatus>,
}

/// What a list tells of what is recorded, was made at that time and runs this process. An id of a process is told for as long as that runs.
pub fn summary(
    record: &Record,
    found: &Found<'_>,
    process: Option<&oci::Process>,
    created_at: Timestamp,
) -> Summary {
    let runs = found.started.filter(|_| found.exit.is_none());
    Summary {
        id: record.id().clone(),
        state: found.state,
        pid: runs.map(|(pid, _)| pid),
        command: process
            .and_then(|process| process.args().clone())
            .unwrap_or_default(),
        created_at,
        started_at: found.started.map(|(_, at)| at),
        exit: found.exit.cloned(),
    }
}
