//! What the driver tells while containers run.

use super::BoxError;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// With its container, which was ended by force: the service no longer tells its code.
    Terminated,
    /// It has ended, and with what cannot be known.
    Unknown,
}

impl Exit {
    /// The code, where it is known.
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Terminated | Self::Unknown => None,
        }
    }
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A container's first process was started.
    StartContainer,
    /// A container has ended.
    Exit,
    /// A container has ended and will be started again.
    Restart,
    /// A further process has ended.
    ExitProcess,
}

/// Something that has happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The container.
    pub container: String,
    /// What.
    pub kind: EventKind,
    /// The process; empty at a start.
    pub process: String,
    /// Its id; 0 where it is not known.
    pub pid: u32,
    /// How it ended; `None` at a start.
    pub exit: Option<Exit>,
    /// Updates wait to be installed.
    pub update_pending: bool,
}

/// What is told of events and warnings; called on the driver's threads.
pub trait Receiver: Send + Sync {
    /// Something has happened. A container's events come one after another, its start before its exit.
    ///
    /// # Errors
    /// The receiver's own; at a start the caller of [`create`](super::Driver::create) gets it.
    fn event(&self, event: &Event) -> Result<(), BoxError>;

    /// Something went wrong that no caller can be told of.
    fn warning(&self, words: &str);
}
