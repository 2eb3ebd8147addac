//! Failed calls as errors of the contract.

use hoist_compute::{Error, ErrorKind, Phase};
use hoist_spec::ContainerId;
use hoist_windows::{error::NO_PROGRAM, records::Record};

use crate::calls::{CallError, Failure};

/// An operation on a container or exec failed; what is gone no longer is in the state that the operation needs.
pub(super) fn of_record(error: CallError, phase: Phase, verb: &str, record: &Record) -> Error {
    let (id, operation) = (record.id(), format!("{verb} {}", record.what()));
    let gone = error.is_gone() || matches!(error.failure, Failure::SystemExited);
    if gone {
        return invalid_state(id, phase, &operation).because(error);
    }
    error.into_error(phase, operation).about(id.as_str())
}

/// A process could not be started.
pub(super) fn of_process(error: CallError, program: &str, container: &Record) -> Error {
    let canonical = error.hresult().map(|hresult| hresult.canonical().0);
    let no_program = canonical.is_some_and(|code| {
        code & 0xFFFF_0000 == 0x8007_0000 && NO_PROGRAM.contains(&(code & 0xFFFF))
    });
    if no_program {
        return error
            .into_error(Phase::Execute, format!("execute {program}"))
            .about(program);
    }
    of_record(error, Phase::Start, "start a process in", container)
}

/// The container's state does not allow it.
pub(super) fn invalid_state(id: &ContainerId, phase: Phase, operation: &str) -> Error {
    Error::new(ErrorKind::InvalidState, phase, operation).about(id.as_str())
}

/// It took too long.
pub(super) fn timeout(id: &ContainerId, operation: &str) -> Error {
    Error::new(ErrorKind::Timeout, Phase::Operate, operation).about(id.as_str())
}
