//! On Windows: handles, and waits for several of them.

mod console;
mod events;
mod wait;

use std::{
    fs::File,
    io,
    os::windows::io::{AsHandle, AsRawHandle},
};

use hoist_compute::{Error, ErrorKind, ExitStatus, OsCode, Phase, Process, Result, Stdio, Stream};

use super::{
    Descriptor,
    signals::{self, SignalSource},
};

pub use console::terminal_size;
pub(super) use console::{Ends, attach};
pub use events::ConsoleEvents;

/// A stream's handle.
pub fn descriptor(stream: &impl AsHandle) -> Descriptor<'_> {
    stream.as_handle()
}

/// The caller's own streams as a process's, which are copied from and to; without `interactive` its input is the null device. A stream that the
/// caller does not have is the null device, too.
pub fn own_streams(interactive: bool) -> Result<Stdio> {
    let given = |handle: Descriptor<'_>| {
        if handle.as_raw_handle().is_null() {
            return Ok(Stream::Null);
        }
        handle
            .try_clone_to_owned()
            .map(|owned| Stream::Given(File::from(owned)))
            .map_err(|error| failed("duplicate a standard stream", "DuplicateHandle", error))
    };
    Ok(Stdio::Streams {
        stdin: if interactive {
            given(io::stdin().as_handle())?
        } else {
            Stream::Null
        },
        stdout: given(io::stdout().as_handle())?,
        stderr: given(io::stderr().as_handle())?,
    })
}

/// Waits for the end and passes signals on.
pub(super) fn watch(
    process: &dyn Process,
    mut signals: Option<&mut dyn SignalSource>,
    failures: &mut Vec<Error>,
) -> Result<ExitStatus> {
    loop {
        let ready = {
            let signalled = signals.as_ref().map(|signals| signals.readiness());
            wait::any(process.readiness(), signalled, None)
                .map_err(|error| failed("wait for the process", "WaitForMultipleObjects", error))?
        };
        pass_on(process, signals.as_deref_mut(), failures)?;
        if ready == Some(wait::Which::First) {
            return process.wait(None);
        }
    }
}

/// Passes on the signals that have come.
fn pass_on(
    process: &dyn Process,
    signals: Option<&mut (dyn SignalSource + '_)>,
    failures: &mut Vec<Error>,
) -> Result<()> {
    if let Some(signals) = signals {
        while let Some(caught) = signals.next()? {
            signals::forward(process, caught, failures);
        }
    }
    Ok(())
}

fn failed(operation: &str, call: &'static str, error: io::Error) -> Error {
    let failure = Error::new(ErrorKind::System, Phase::Operate, operation).call(call);
    match error.raw_os_error() {
        Some(code) => failure.code(OsCode::Hresult(hresult(code))).because(error),
        None => failure.because(error),
    }
}

/// A Windows error as an `HRESULT` (`HRESULT_FROM_WIN32`).
fn hresult(code: i32) -> u32 {
    0x8007_0000 | (code.cast_unsigned() & 0xFFFF)
}
