//! On Windows: handles, and waits for several of them.

mod console;
mod events;
mod wait;

use std::{
    fs::File,
    io,
    os::windows::io::{AsHandle, AsRawHandle},
};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, Stream};

use super::Descriptor;

pub use console::terminal_size;
pub(super) use console::{Ends, attach};
pub use events::ConsoleEvents;

/// A stream's handle.
pub fn descriptor(stream: &impl AsHandle) -> Descriptor<'_> {
    stream.as_handle()
}

/// One of the caller's own streams, as a process's; one that the caller does not have is the null device.
pub(super) fn given(stream: Descriptor<'_>) -> Result<Stream> {
    if stream.as_raw_handle().is_null() {
        return Ok(Stream::Null);
    }
    stream
        .try_clone_to_owned()
        .map(|owned| Stream::Given(File::from(owned)))
        .map_err(|error| failed("duplicate a standard stream", "DuplicateHandle", error))
}

/// Waits until a process has ended, or there may be a signal: whether each is so.
pub(super) fn ended_or_signalled(
    process: Descriptor<'_>,
    signals: Option<Descriptor<'_>>,
) -> Result<(bool, bool)> {
    let ready = wait::any(process, signals, None)
        .map_err(|error| failed("wait for the process", "WaitForMultipleObjects", error))?;
    // What came just before the end is passed on, too.
    Ok((ready == Some(wait::Which::First), true))
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
