//! What is refused alike on every platform.

use hoist_compute::{Error, ErrorKind, Phase};
use hoist_spec::ContainerId;

/// Another container has the id.
pub(crate) fn id_in_use(id: &ContainerId) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        Phase::Create,
        format!("create container {id}: the id is in use"),
    )
    .about(id.as_str())
    .remedy("choose another, or remove that container")
}

/// A process asks for what only isolation gives.
pub(crate) fn not_without_isolation(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        Phase::Start,
        format!("give a process {what}: without isolation it has none"),
    )
}
