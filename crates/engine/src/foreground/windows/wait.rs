//! Waiting for one of several handles.
#![allow(unsafe_code, reason = "the waits of Windows have no safe interface")]

use std::{io, os::windows::io::AsRawHandle, time::Duration};

use windows_sys::Win32::{
    Foundation::{HANDLE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT},
    System::Threading::{INFINITE, WaitForMultipleObjects},
};

use crate::foreground::Descriptor;

/// What is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    First,
    Second,
}

/// Waits until one of them is ready, the first where both are; `None` where the time runs out.
pub(super) fn any(
    first: Descriptor<'_>,
    second: Option<Descriptor<'_>>,
    limit: Option<Duration>,
) -> io::Result<Option<Which>> {
    let handles: [HANDLE; 2] = [
        first.as_raw_handle(),
        second.map_or(std::ptr::null_mut(), |second| second.as_raw_handle()),
    ];
    let count = if second.is_some() { 2 } else { 1 };
    let milliseconds = limit.map_or(INFINITE, |limit| {
        u32::try_from(limit.as_millis()).unwrap_or(INFINITE - 1)
    });
    // SAFETY: the first `count` handles are borrowed for the whole call.
    let result = unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, milliseconds) };
    match result {
        WAIT_OBJECT_0 => Ok(Some(Which::First)),
        WAIT_TIMEOUT => Ok(None),
        WAIT_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(Some(Which::Second)),
    }
}
