//! Failed calls as errors of the contract.

use hoist_compute::{Error, ErrorKind, Phase};
use hoist_spec::ContainerId;
use hoist_windows::error::NO_PROGRAM;

use crate::calls::{CallError, Failure};

/// An operation on a container failed; what is gone no longer is in the state that the operation needs.
pub(super) fn of_system(error: CallError, phase: Phase, verb: &str, id: &ContainerId) -> Error {
    let gone = error.is_gone() || matches!(error.failure, Failure::SystemExited);
    let operation = format!("{verb} container {id}");
    if gone {
        return invalid_state(id, phase, &operation).because(error);
    }
    error.into_error(phase, operation).about(id.as_str())
}

/// A process could not be started.
pub(super) fn of_process(error: CallError, program: &str, id: &ContainerId) -> Error {
    let canonical = error.hresult().map(|hresult| hresult.canonical().0);
    let no_program = canonical.is_some_and(|code| {
        code & 0xFFFF_0000 == 0x8007_0000 && NO_PROGRAM.contains(&(code & 0xFFFF))
    });
    if no_program {
        return error
            .into_error(Phase::Execute, format!("execute {program}"))
            .about(program);
    }
    of_system(error, Phase::Start, "start a process in", id)
}

/// The container's state does not allow it.
pub(super) fn invalid_state(id: &ContainerId, phase: Phase, operation: &str) -> Error {
    Error::new(ErrorKind::InvalidState, phase, operation).about(id.as_str())
}

/// It took too long.
pub(super) fn timeout(id: &ContainerId, operation: &str) -> Error {
    Error::new(ErrorKind::Timeout, Phase::Operate, operation).about(id.as_str())
}
