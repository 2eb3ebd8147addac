//! `run`: a container from its making to its end.

use std::thread;

use hoist::foreground::SignalFd;
use hoist_linux::runtime::Recording;

use super::create::{self, Made};
use super::{delete, only_id, start};
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;
use crate::notify::Notify;

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
    let Made {
        container,
        launch,
        notify,
    } = create::make(global, arguments, id, Recording::WithStart, false, true)?;
    let start = || {
        let socket = notify.as_ref().map(Notify::listen).transpose()?;
        let (stdio, descriptors) = (launch.stdio()?, launch.descriptors()?);
        let launched = container.start_detached(stdio, descriptors)?;
        launch.hand_over(&launched)?;
        start::run_poststart(&container)?;
        match (&notify, &socket) {
            (Some(notify), Some(socket)) => notify.wait(socket, &container),
            _ => Ok(()),
        }
    };
    let started = start();
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
    let Made {
        container,
        launch,
        notify,
    } = create::make(global, arguments, id, Recording::WithStart, false, false)?;
    let mut start = || {
        let socket = notify.as_ref().map(Notify::listen).transpose()?;
        let (stdio, descriptors) = (launch.stdio()?, launch.descriptors()?);
        let process = container.start_owned(stdio, descriptors)?;
        start::run_poststart(&container)?;
        thread::scope(|scope| {
            if let (Some(notify), Some(socket)) = (&notify, &socket) {
                // It ends with the container, if not before.
                scope.spawn(|| notify.wait(socket, &container));
            }
            launch.attend(process.as_ref(), &mut signals)
        })
    };
    let ended = start();
    if ended.is_ok() && arguments.has("keep") {
        return ended;
    }
    match &ended {
        Ok(_) => delete::remove(&container, &mut global.log)?,
        Err(_) => create::undo(&container, &mut global.log),
    }
    ended
}
