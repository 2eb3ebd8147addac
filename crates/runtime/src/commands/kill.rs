//! `kill`: a signal for a container.

use hoist_compute::{Error, ErrorKind};
use hoist_spec::Signal;

use super::first_id;
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `kill`.
pub(crate) const FLAGS: [Flag; 1] =
    [Flag::switch("all", "signal every process, not only the first").or("a")];

pub(crate) fn kill(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = first_id("kill", arguments)?;
    let signal = match arguments.words.get(1) {
        Some(signal) => signal
            .parse::<Signal>()
            .map_err(|_| Failure::new(format!("unknown signal {signal:?}")))?,
        None => Signal::TERM,
    };
    let container = global.container(id)?;
    let sent = match arguments.has("all") {
        true => container.signal_all(signal),
        false => container.signal(signal),
    };
    sent.or_else(|error| {
        // Its own process is gone; in a process namespace that is not its own, others may live on.
        let outlived = signal == Signal::KILL
            && error.kind() == ErrorKind::InvalidState
            && !container.pids()?.is_empty();
        if outlived {
            container.signal_all(signal)
        } else {
            Err(error)
        }
    })
    .map_err(not_running)?;
    Ok(0)
}

/// Engines take these words for "it has ended already".
pub(crate) fn not_running(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::InvalidState => Failure::new("container not running"),
        _ => error.into(),
    }
}
