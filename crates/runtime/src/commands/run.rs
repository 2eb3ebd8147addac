//! `run`: a container from its making to its end.

use hoist::foreground::SignalFd;

use super::create::{self, Made};
use super::{delete, only_id, start};
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `run` alone.
pub(crate) const FLAGS: [Flag; 3] = [
    Flag::switch("detach", "do not wait for its end").or("d"),
    Flag::switch("keep", "do not remove it when it has ended"),
    Flag::switch(
        "no-subreaper",
        "taken and of no use: this program never becomes one",
    ),
];

pub(crate) fn run(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = only_id("run", arguments)?;
    let outcome = if arguments.has("detach") {
        detached(global, arguments, id)
    } else {
        attended(global, arguments, id)
    };
    outcome.map_err(|failure| failure.within("hoist-oci run failed"))
}

fn detached(global: &mut Global, arguments: &Arguments, id: &str) -> Result<u8, Failure> {
    let Made { container, launch } = create::make(global, arguments, id, false, true)?;
    let started = launch
        .descriptors()
        .and_then(|descriptors| Ok((launch.stdio()?, descriptors)))
        .and_then(|(stdio, descriptors)| Ok(container.start_detached(stdio, descriptors)?))
        .and_then(|launched| launch.hand_over(&launched))
        .and_then(|()| start::run_poststart(&container));
    match started {
        Ok(()) => Ok(0),
        Err(failure) => {
            create::undo(&container, &mut global.log);
            Err(failure)
        }
    }
}

fn attended(global: &mut Global, arguments: &Arguments, id: &str) -> Result<u8, Failure> {
    // Before anything is made: a signal that comes from here on reaches the container.
    let mut signals = SignalFd::new()?;
    let Made { container, launch } = create::make(global, arguments, id, false, false)?;
    let ended = launch
        .descriptors()
        .and_then(|descriptors| Ok((launch.stdio()?, descriptors)))
        .and_then(|(stdio, descriptors)| Ok(container.start_owned(stdio, descriptors)?))
        .and_then(|process| {
            start::run_poststart(&container)?;
            launch.attend(process.as_ref(), &mut signals)
        });
    if ended.is_ok() && arguments.has("keep") {
        return ended;
    }
    match &ended {
        Ok(_) => delete::remove(&container, &mut global.log)?,
        Err(_) => create::undo(&container, &mut global.log),
    }
    ended
}
