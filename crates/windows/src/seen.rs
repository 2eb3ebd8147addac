//! What was found of a container or an exec, and what lists tell of it.

use hoist_compute::{ExitStatus, State, Summary, Timestamp};
use hoist_spec::oci;

use crate::records::Record;

/// What is recorded of a first process that was started.
pub trait Started {
    /// Its id.
    fn pid(&self) -> u32;

    /// When it was started.
    fn started_at(&self) -> Timestamp;
}

/// What a run is at this moment. `P` is what its process was found as while it runs.
pub enum Seen<S, P = ()> {
    /// It was not started.
    Created,
    /// Its first process runs.
    Running {
        /// What is recorded of that.
        started: S,
        /// What was found of it.
        process: P,
        /// Nothing in the container goes on.
        is_paused: bool,
    },
    /// Its first process has ended.
    Stopped {
        /// What is recorded of that; `None` where nothing is any more.
        started: Option<S>,
        /// How it has ended.
        status: ExitStatus,
    },
}

impl<S, P> Seen<S, P> {
    /// Its state.
    pub fn state(&self) -> State {
        match self {
            Self::Created => State::Created,
            Self::Running {
                is_paused: true, ..
            } => State::Paused,
            Self::Running { .. } => State::Running,
            Self::Stopped { .. } => State::Stopped,
        }
    }
}

impl<S: Started, P> Seen<S, P> {
    /// What a list tells of what is recorded, was made at that time and runs this process. An id of a process is told for as long as that
    /// runs.
    pub fn summary(
        &self,
        record: &Record,
        process: Option<&oci::Process>,
        created_at: Timestamp,
    ) -> Summary {
        let (started, exit) = match self {
            Self::Created => (None, None),
            Self::Running { started, .. } => (Some(started), None),
            Self::Stopped { started, status } => (started.as_ref(), Some(status)),
        };
        let runs = started.filter(|_| exit.is_none());
        Summary {
            id: record.id().clone(),
            state: self.state(),
            pid: runs.map(Started::pid),
            command: process
                .and_then(|process| process.args().clone())
                .unwrap_or_default(),
            created_at,
            started_at: started.map(Started::started_at),
            exit: exit.cloned(),
        }
    }
}
