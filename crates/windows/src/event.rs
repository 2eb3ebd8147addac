//! Events: not ready, then ready for ever.
#![allow(unsafe_code, reason = "events have no safe interface")]

use std::{
    io,
    os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle},
};

use windows_sys::Win32::System::Threading::{CreateEventW, SetEvent};

/// An event that stays signalled once it is.
#[derive(Debug)]
pub struct Event(OwnedHandle);

impl Event {
    /// One that is not signalled.
    ///
    /// # Errors
    /// The system has no more handles.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no attributes and no name are given.
        let handle = unsafe { CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is new, and nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Signals it.
    pub fn set(&self) {
        // SAFETY: the handle is an event's and owned. It fails for no event that may be modified.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// It, to be waited for.
    pub fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
