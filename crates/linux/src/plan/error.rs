//! Why no plan can be made.

use hoist_compute::{Error, ErrorKind, Phase};

use crate::{cgroup::LimitError, seccomp::SeccompError, user::UserError};

/// A request for which no plan can be made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A value of the request is wrong.
    #[error("{field} {value:?}: {reason}")]
    Invalid {
        /// Which part of the request, in words.
        field: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This host, or this version, cannot do it.
    #[error("{what}: {reason}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// Why it cannot be had.
        reason: String,
        /// What would help.
        remedy: Option<String>,
    },
    /// The user or group cannot be told.
    #[error(transparent)]
    User(#[from] UserError),
    /// A limit cannot be set.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The seccomp profile cannot be compiled.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
}

impl PlanError {
    pub(crate) fn invalid(
        field: impl Into<String>,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            field: field.into(),
            value: value.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            reason: reason.into(),
            remedy: None,
        }
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        let kind = match &error {
            PlanError::Unsupported { .. } | PlanError::Limit(_) => ErrorKind::Unsupported,
            _ => ErrorKind::InvalidSpec,
        };
        let made = Self::new(kind, Phase::Plan, error.to_string());
        match error {
            PlanError::Unsupported {
                remedy: Some(remedy),
                ..
            } => made.remedy(remedy),
            _ => made,
        }
    }
}
