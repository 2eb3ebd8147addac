//! `delete`: all that was made for a container.

use std::time::Duration;

use hoist_compute::{ComputeService, ErrorKind};
use hoist_linux::runtime::RuntimeContainer;

use super::only_id;
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::{Global, parse_id};
use crate::log::Log;

/// Flags of `delete`.
pub(crate) const FLAGS: [Flag; 1] = [Flag::switch(
    "force",
    "kill its processes first, and take one that is not there for removed",
)
.or("f")];

/// How long a process that is about to end may take.
const PATIENCE: Duration = Duration::from_millis(100);

pub(crate) fn delete(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = only_id("delete", arguments)?;
    let force = arguments.has("force");
    let parsed = parse_id(id)?;
    let service = global.service()?;
    let opened = service.open_for_runtime(&parsed).and_then(|container| {
        let status = container.oci_state()?.status;
        Ok((container, status))
    });
    let (container, status) = match opened {
        Ok(opened) => opened,
        Err(error) if force && error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) if force && error.kind() == ErrorKind::Damaged => {
            let told = service.remove_damaged(&parsed)?.join(", ");
            global.log.warning(&format!(
                "the record of container {id} was damaged: removed {told}"
            ));
            return Ok(0);
        }
        Err(error) => return Err(error.into()),
    };
    match status {
        _ if force => container.terminate()?,
        "created" => container.terminate()?,
        // Its end may have been seen by the caller a moment before the kernel tells of it.
        "running" if container.wait_for_end(PATIENCE)? => {}
        "running" | "paused" => {
            return Err(Failure::new(format!(
                "cannot delete container {id} that is not stopped: {status}"
            )));
        }
        _ => {
            let left = container.pids()?;
            if !left.is_empty() {
                return Err(Failure::new(format!(
                    "cannot delete container {id} that is not stopped: processes {left:?} of it live on (use --force)"
                )));
            }
        }
    }
    remove(&container, &mut global.log)?;
    Ok(0)
}

/// Removes a container without a process, and runs the hooks that come after.
pub(crate) fn remove(container: &RuntimeContainer, log: &mut Log) -> Result<(), Failure> {
    container.delete()?;
    run_poststop(container, log);
    Ok(())
}

/// Runs the poststop hooks. One that fails is told, and keeps none of the others from running.
pub(crate) fn run_poststop(container: &RuntimeContainer, log: &mut Log) {
    let state = container.stopped_state();
    let hooks = container
        .spec()
        .oci
        .hooks()
        .as_ref()
        .and_then(|hooks| hooks.poststop().as_ref());
    for hook in hooks.into_iter().flatten() {
        if let Err(error) = container.run_hook("poststop", hook, &state) {
            log.warning(&Failure::from(error).message);
        }
    }
}
