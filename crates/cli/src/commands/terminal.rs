//! The caller's terminal.

use std::io::{IsTerminal, stdin, stdout};

use hoist::foreground::{descriptor, terminal_size};
use hoist_spec::ConsoleSize;

use crate::failure::Failure;

/// The size of the caller's terminal, where there is one.
pub(crate) fn console_size() -> Option<ConsoleSize> {
    terminal_size(descriptor(&stdout())).or_else(|| terminal_size(descriptor(&stdin())))
}

/// Input that is not a terminal cannot be typed keys.
pub(crate) fn refuse_input_that_is_no_terminal() -> Result<(), Failure> {
    match stdin().is_terminal() {
        true => Ok(()),
        false => Err(Failure::Message {
            what: "the input device is not a terminal".to_owned(),
            remedy: Some("leave out --tty, or --interactive"),
        }),
    }
}
