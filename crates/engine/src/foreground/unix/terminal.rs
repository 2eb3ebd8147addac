//! The caller's terminal: its size, and raw mode with the way back.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use hoist_spec::ConsoleSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The size of the terminal at `descriptor`; `None` where that is no terminal, or one that does not know its size.
pub fn terminal_size(descriptor: BorrowedFd<'_>) -> Option<ConsoleSize> {
    let size = tcgetwinsize(descriptor).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some(ConsoleSize {
        height: size.ws_row,
        width: size.ws_col,
    })
}

/// The terminal that is in raw mode, and how it was before.
static BEFORE: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

/// Gives the terminal that [`attach`](crate::foreground::attach) has put into raw mode its former mode back.
///
/// For a program that ends without unwinding: called from its panic hook, it does what `attach` cannot do any more. Without
/// such a terminal it does nothing.
pub fn restore_terminal() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((terminal, mode)) = before {
        // Nothing can be done where the terminal is gone.
        let _ = tcsetattr(&terminal, OptionalActions::Now, &mode);
    }
}

/// A terminal in raw mode; dropped, it is as before.
#[derive(Debug)]
pub(super) struct RawMode {
    terminal: OwnedFd,
    raw: Termios,
}

impl RawMode {
    /// Puts a terminal into raw mode; `None` where `descriptor` is none.
    ///
    /// One terminal at a time: a process has one. What was typed ahead is kept.
    pub(super) fn enter(descriptor: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let Ok(before) = tcgetattr(descriptor) else {
            return Ok(None);
        };
        let terminal = descriptor.as_fd().try_clone_to_owned()?;
        let mut raw = before.clone();
        raw.make_raw();
        let kept = terminal.try_clone()?;
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some((kept, before));
        let mode = Self { terminal, raw };
        mode.renew()?;
        Ok(Some(mode))
    }

    /// Once more, after the shell had the terminal while we were stopped.
    pub(super) fn renew(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, OptionalActions::Now, &self.raw)?)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore_terminal();
    }
}
