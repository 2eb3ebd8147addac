//! Pipes.

use std::{
    io,
    os::windows::io::OwnedHandle,
    ptr::{null, null_mut},
};

use windows_sys::Win32::System::Pipes::CreatePipe;

use super::{done, owned};

/// What a pipe holds before its writer waits, in bytes: as much as on Linux.
const ROOM: u32 = 64 << 10;

/// The reading and the writing end of a new pipe; nobody inherits them.
pub(crate) fn pipe() -> io::Result<(OwnedHandle, OwnedHandle)> {
    let (mut reader, mut writer) = (null_mut(), null_mut());
    // SAFETY: the places outlive the call; no attributes are given.
    done(unsafe { CreatePipe(&raw mut reader, &raw mut writer, null(), ROOM) })?;
    Ok((owned(reader)?, owned(writer)?))
}
