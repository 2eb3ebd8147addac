//! The console of a process that has one of its own.

use std::{
    io,
    os::windows::io::{AsHandle, OwnedHandle},
    sync::{Mutex, PoisonError},
};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_spec::ConsoleSize;
use hoist_windows::error::system;

use super::{process::invalid_state, sys::PseudoConsole};

/// A console, until its process's end has been dealt with.
#[derive(Debug)]
pub(super) struct Console {
    pseudo: PseudoConsole,
    /// Kept open: who drops its own end of the input types nothing any more, and that does not end the process.
    _input: OwnedHandle,
}

impl Console {
    /// A new one that reads `input` and draws to `output`; `writer` is the other end of the input.
    pub(super) fn new(
        size: ConsoleSize,
        input: impl AsHandle,
        output: impl AsHandle,
        writer: impl AsHandle,
    ) -> Result<Self> {
        let operation = "make a console";
        let size = lines_and_columns(operation, size)?;
        let failed = |error| failed(Phase::Start, operation, error);
        let pseudo = PseudoConsole::new(size, input.as_handle(), output.as_handle());
        Ok(Self {
            pseudo: pseudo.map_err(failed)?,
            _input: writer.as_handle().try_clone_to_owned().map_err(failed)?,
        })
    }

    pub(super) fn pseudo(&self) -> &PseudoConsole {
        &self.pseudo
    }
}

/// Where a process's console is while it runs; empty where it never had one.
#[derive(Debug, Default)]
pub(super) struct Place(Mutex<Option<Console>>);

impl Place {
    pub(super) fn of(console: Option<Console>) -> Self {
        Self(Mutex::new(console))
    }

    /// Closes it, which waits until what was drawn is taken.
    pub(super) fn close(&self) {
        let console = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(console);
    }

    pub(super) fn resize(&self, what: &str, size: ConsoleSize) -> Result<()> {
        let operation = format!("resize the console of {what}");
        let console = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(console) = &*console else {
            return Err(invalid_state(operation, "it has none"));
        };
        let size = lines_and_columns(&operation, size)?;
        let resized = console.pseudo.resize(size);
        resized.map_err(|error| failed(Phase::Operate, &operation, error))
    }
}

fn lines_and_columns(operation: &str, size: ConsoleSize) -> Result<[i16; 2]> {
    let one = |extent: u16| i16::try_from(extent).ok().filter(|extent| *extent > 0);
    match (one(size.height), one(size.width)) {
        (Some(height), Some(width)) => Ok([height, width]),
        _ => Err(Error::new(
            ErrorKind::InvalidSpec,
            Phase::Plan,
            format!(
                "{operation}: {} lines of {} columns",
                size.height, size.width
            ),
        )
        .remedy("a console of Windows has from 1 to 32767 of each")),
    }
}

fn failed(phase: Phase, operation: &str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::Unsupported {
        return Error::new(ErrorKind::Unsupported, phase, operation)
            .because(error)
            .remedy("Windows has such consoles from version 1809 of Windows 10 and Server 2019");
    }
    system(phase, operation, error)
}
