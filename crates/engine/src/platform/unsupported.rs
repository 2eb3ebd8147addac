//! A platform without a backend: everything is refused.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use hoist_compute::{ComputeService, Error, ErrorKind, Phase, Result, StreamTransport, Timeline};

use super::Ownership;

fn unsupported() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        Phase::Plan,
        format!("run containers on {}", std::env::consts::OS),
    )
    .remedy("use Linux or Windows")
}

/// Where containers are recorded; here nowhere.
pub(crate) fn default_state_root() -> Result<PathBuf> {
    Err(unsupported())
}

/// Where logs are kept; here nowhere.
pub(crate) fn default_data_root() -> Result<PathBuf> {
    Err(unsupported())
}

/// The platform's containers; there are none.
pub(crate) fn service(
    _state_root: &Path,
    _timeline: Option<Arc<Timeline>>,
    _ownership: Ownership,
    _transport: StreamTransport,
) -> Result<Arc<dyn ComputeService>> {
    Err(unsupported())
}

/// Fills `buffer` with random bytes; not available.
pub(crate) fn random(_buffer: &mut [u8]) -> Result<()> {
    Err(unsupported())
}

/// Whether an open file still has a name in a directory; taken for granted.
pub(crate) fn is_linked(_file: &File) -> io::Result<bool> {
    Ok(true)
}
