//! `start`: the program of a created container.

use hoist_compute::{Error, ErrorKind};
use hoist_linux::runtime::RuntimeContainer;

use super::only_id;
use crate::args::Arguments;
use crate::failure::Failure;
use crate::global::{Global, parse_id};
use crate::notify::Notify;

pub(crate) fn start(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = parse_id(only_id("start", arguments)?)?;
    let service = global.service()?;
    let container = service.open_for_runtime(&id)?;
    // Only a container that was created with the way to a service manager has one.
    let notify = Notify::of_caller(&service, &id).filter(Notify::is_open);
    let socket = notify.as_ref().map(Notify::listen).transpose()?;
    container
        .start()
        .map_err(|error| refused(&container, error))?;
    run_poststart(&container)?;
    if let (Some(notify), Some(socket)) = (&notify, &socket) {
        notify.wait(socket, &container)?;
    }
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
