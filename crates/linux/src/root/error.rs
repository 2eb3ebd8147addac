//! What cannot be learnt of a root, as an error of the contract.

use std::error::Error as _;
use std::io;

use hoist_compute::{Error, ErrorKind, OsCode, Phase};

use super::RootError;

impl From<RootError> for Error {
    fn from(error: RootError) -> Self {
        let errno = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>()?.raw_os_error());
        let missing = errno == Some(rustix::io::Errno::NOENT.raw_os_error());
        let (kind, remedy) = match &error {
            RootError::Open { .. } if missing => {
                (ErrorKind::NotFound, Some("give a directory that exists"))
            }
            RootError::Open { .. } | RootError::Host { .. } => (ErrorKind::System, None),
            RootError::System { .. } => (ErrorKind::System, None),
            _ => (ErrorKind::InvalidSpec, None),
        };
        let mut made = Self::new(kind, Phase::Plan, error.to_string());
        if let Some(errno) = errno {
            made = made.code(OsCode::Errno(errno));
        }
        match remedy {
            Some(remedy) => made.remedy(remedy),
            None => made,
        }
    }
}
