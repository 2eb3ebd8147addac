//! Pipes without a name.
#![allow(unsafe_code, reason = "the size of a pipe has no safe interface")]

use std::{
    io,
    os::windows::io::{FromRawHandle, OwnedHandle},
    ptr::{null, null_mut},
};

use windows_sys::Win32::System::Pipes::CreatePipe;

/// What a pipe holds before its writer waits, in bytes: as much as on Linux.
const ROOM: u32 = 64 << 10;

/// The reading and the writing end of a new pipe; nobody inherits them.
///
/// # Errors
/// The system has no more pipes.
pub fn pipe() -> io::Result<(OwnedHandle, OwnedHandle)> {
    let (mut reader, mut writer) = (null_mut(), null_mut());
    // SAFETY: the places outlive the call; no attributes are given.
    if unsafe { CreatePipe(&raw mut reader, &raw mut writer, null(), ROOM) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handles are new, and nobody else's.
    let owned = |handle| unsafe { OwnedHandle::from_raw_handle(handle) };
    Ok((owned(reader), owned(writer)))
}
