//! Signals that the caller gets and the process should have.

use hoist_compute::{Error, ErrorKind, Process, Readiness, Result};
use hoist_spec::Signal;

/// `SIGCONT` (signal(7)).
#[cfg(unix)]
pub(super) const CONTINUE: i32 = 18;
/// `SIGWINCH` (signal(7)).
pub(super) const WINDOW: i32 = 28;

/// A signal that came to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught {
    /// Which.
    pub signal: Signal,
    /// The kernel sent it (`SI_KERNEL`: a terminal's key or change of size), no process.
    pub from_kernel: bool,
}

/// Where [`attach`](super::attach) learns of signals. A command uses `CallerSignals`.
pub trait SignalSource {
    /// Ready when [`SignalSource::next`] has a signal.
    fn readiness(&self) -> Readiness<'_>;

    /// The next signal, or `None` where there is none at the moment. Never blocks.
    fn next(&mut self) -> Result<Option<Caught>>;
}

/// Sends the process what came to us.
///
/// The resizing of our own terminal is not its business when it has no console: to some servers `SIGWINCH` means
/// "stop when all is done".
pub(super) fn forward(process: &dyn Process, caught: Caught, failures: &mut Vec<Error>) {
    if caught.from_kernel && caught.signal.number() == WINDOW {
        return;
    }
    match process.signal(caught.signal) {
        Ok(()) => {}
        // It has ended: its status says more.
        Err(error) if error.kind() == ErrorKind::InvalidState => {}
        Err(error) => failures.push(error),
    }
}

/// Sends the process all that has come.
pub(super) fn pass_on(
    process: &dyn Process,
    signals: Option<&mut (dyn SignalSource + '_)>,
    failures: &mut Vec<Error>,
) -> Result<()> {
    if let Some(signals) = signals {
        while let Some(caught) = signals.next()? {
            forward(process, caught, failures);
        }
    }
    Ok(())
}
