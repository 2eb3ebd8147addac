//! Signals as console events.

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_spec::Signal;

use crate::documents::{
    modify::{ConsoleEvent, SignalOptions},
    to_text,
};

/// The options of `HcsSignalProcess` that come nearest to a signal: those that ask a program to end have an event each
/// (documentation of `SetConsoleCtrlHandler`).
pub(super) fn options(signal: Signal) -> Result<String> {
    let event = match signal.number() {
        1 => ConsoleEvent::CtrlClose,
        2 => ConsoleEvent::CtrlC,
        3 => ConsoleEvent::CtrlBreak,
        15 => ConsoleEvent::CtrlShutdown,
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                Phase::Operate,
                format!("send {signal} to a process on Windows"),
            )
            .about(signal.to_string())
            .remedy("use HUP, INT, QUIT, TERM or KILL"));
        }
    };
    to_text(&SignalOptions { signal: event }).map_err(|error| {
        Error::new(
            ErrorKind::System,
            Phase::Operate,
            format!("write the options of {signal}"),
        )
        .because(error)
    })
}
