//! Jobs, processes, consoles and waits of Windows, as owned types; nothing here decides anything.

#![allow(
    unsafe_code,
    reason = "jobs, suspended processes, consoles and registered waits have no safe interface"
)]

mod job;
mod process;
mod pseudo_console;
mod snapshot;
mod start;
mod watch;

pub(crate) use job::{Job, KILLED};
pub(crate) use process::{Process, Times};
pub(crate) use pseudo_console::{PseudoConsole, has_pseudo_consoles};
pub(crate) use snapshot::listed;
pub(crate) use start::{Start, Streams, start};
pub(crate) use watch::{Watch, Woken};

use std::{
    io,
    os::windows::io::{FromRawHandle, OwnedHandle},
    time::Duration,
};

use hoist_windows::text::wide;
use windows_sys::Win32::{Foundation::HANDLE, System::Threading::INFINITE};

/// What a call has answered that gives 0 where it fails.
fn done(answer: i32) -> io::Result<()> {
    match answer {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A handle that a call has just given; null where it failed.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new, and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// A time to wait, rounded up so that no wait is shorter than was asked for.
fn milliseconds(limit: Option<Duration>) -> u32 {
    limit.map_or(INFINITE, |limit| {
        let rounded = limit.as_nanos().div_ceil(1_000_000);
        u32::try_from(rounded)
            .unwrap_or(INFINITE - 1)
            .min(INFINITE - 1)
    })
}
