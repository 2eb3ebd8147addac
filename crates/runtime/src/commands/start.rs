//! `start`: the program of a created container.

use hoist_compute::{Error, ErrorKind};
use hoist_linux::runtime::RuntimeContainer;

use super::only_id;
use crate::args::Arguments;
use crate::failure::Failure;
use crate::global::Global;

pub(crate) fn start(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let container = global.container(only_id("start", arguments)?)?;
    container
        .start()
        .map_err(|error| refused(&container, error))?;
    run_poststart(&container)?;
    Ok(0)
}

/// A start that the container's state does not allow, in runc's words.
fn refused(container: &RuntimeContainer, error: Error) -> Failure {
    let state = container.oci_state();
    match state.as_ref().map(|state| state.status) {
        Ok("stopped") if error.kind() == ErrorKind::InvalidState => {
            Failure::new("cannot start a container that has stopped")
        }
        Ok("running" | "paused") if error.kind() == ErrorKind::InvalidState => {
            Failure::new("cannot start an already running container")
        }
        _ => error.into(),
    }
}

/// Runs the poststart hooks. The container does not outlive one that fails (OCI runtime spec, "Lifecycle").
pub(crate) fn run_poststart(container: &RuntimeContainer) -> Result<(), Failure> {
    let Some(hooks) = container
        .spec()
        .oci
        .hooks()
        .as_ref()
        .and_then(|hooks| hooks.poststart().as_ref())
        .filter(|hooks| !hooks.is_empty())
    else {
        return Ok(());
    };
    let state = container.oci_state()?;
    let ran = hooks
        .iter()
        .try_for_each(|hook| container.run_hook("poststart", hook, &state));
    ran.map_err(|error| {
        let failure = Failure::from(error);
        match container.terminate() {
            Ok(()) => failure,
            Err(error) => Failure::new(format!(
                "{}; and the container cannot be stopped: {error}",
                failure.message
            )),
        }
    })
}
