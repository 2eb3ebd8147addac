//! Why an operation of the driver failed.

use hoist_compute::ErrorKind;

use crate::{Hresult, calls::CallError, request::Refusal};

/// An error of a caller's own code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation of the driver failed.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The request cannot be carried out; no call was made.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No container of this id runs.
    #[error("no container {0} runs")]
    NoContainer(String),
    /// A container of this id runs already.
    #[error("container {0} runs already")]
    AlreadyRuns(String),
    /// No process of this name runs in the container.
    #[error("no process {process} runs in container {container}")]
    NoProcess {
        /// The container.
        container: String,
        /// The name.
        process: String,
    },
    /// A process of this name runs already.
    #[error("process {process} runs already in container {container}")]
    ProcessAlreadyRuns {
        /// The container.
        container: String,
        /// The name.
        process: String,
    },
    /// One exec more than this build allows in a Hyper-V container.
    #[error("this Windows build runs no further process in a Hyper-V container")]
    TooManyExecs(#[source] CallError),
    /// A console cannot have this size.
    #[error("a console cannot have {height} rows and {width} columns: the most is 65535 of each")]
    ConsoleSize {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// Updates were not installed.
    #[error("the servicing run of container {container} ended with exit code {code}")]
    ServicingFailed {
        /// The container.
        container: String,
        /// What its process ended with.
        code: i32,
    },
    /// The platform, or this form of it, has no such operation.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The caller could not take the streams; the process was ended.
    #[error("attach the streams of {process}")]
    Attach {
        /// The process.
        process: String,
        /// Why.
        source: BoxError,
    },
    /// The start hook failed; the container was ended.
    #[error("the start hook failed")]
    Hook(#[source] BoxError),
    /// The receiver of events refused one; what it was about goes on.
    #[error("the receiver of events refused one")]
    Event(#[source] BoxError),
}

impl DriverError {
    /// The code of the call that failed, where one did.
    pub fn hresult(&self) -> Option<Hresult> {
        match self {
            Self::Call(error) | Self::TooManyExecs(error) => error.hresult(),
            _ => None,
        }
    }

    /// The export that failed, where one did.
    pub fn function(&self) -> Option<&'static str> {
        match self {
            Self::Call(error) | Self::TooManyExecs(error) => Some(error.function),
            _ => None,
        }
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(_) | Self::ConsoleSize { .. } => ErrorKind::InvalidSpec,
            Self::Call(error) => error.kind(),
            Self::NoContainer(_) | Self::NoProcess { .. } => ErrorKind::NotFound,
            Self::AlreadyRuns(_) | Self::ProcessAlreadyRuns { .. } => ErrorKind::AlreadyExists,
            Self::TooManyExecs(_) | Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::ServicingFailed { .. } | Self::Attach { .. } | Self::Hook(_) | Self::Event(_) => {
                ErrorKind::System
            }
        }
    }
}
