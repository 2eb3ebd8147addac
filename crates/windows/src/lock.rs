//! Locks on single bytes of a file, which need not be there: one file holds the locks of any number of things.
#![allow(
    unsafe_code,
    reason = "LockFileEx has no safe interface for parts of a file"
)]

use std::{fs::File, io, os::windows::io::AsRawHandle};

use windows_sys::Win32::{
    Storage::FileSystem::{LOCKFILE_EXCLUSIVE_LOCK, LockFileEx},
    System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0},
};

/// Waits until no other handle has byte `at` locked, and locks it until the file is closed.
pub(crate) fn lock_byte(file: &File, at: u64) -> io::Result<()> {
    let mut place = OVERLAPPED {
        Internal: 0,
        InternalHigh: 0,
        Anonymous: OVERLAPPED_0 {
            Anonymous: OVERLAPPED_0_0 {
                Offset: at as u32,
                OffsetHigh: (at >> 32) as u32,
            },
        },
        hEvent: std::ptr::null_mut(),
    };
    // SAFETY: the handle is open for synchronous use, so that the place is not used after the call.
    let locked = unsafe {
        LockFileEx(
            file.as_raw_handle(),
            LOCKFILE_EXCLUSIVE_LOCK,
            0,
            1,
            0,
            &mut place,
        )
    };
    if locked == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
