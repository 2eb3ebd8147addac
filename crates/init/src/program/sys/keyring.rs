//! The session keyring of this process.
#![allow(unsafe_code, reason = "raw system calls")]

use core::ffi::CStr;

use super::call::{Result, syscall};
use super::number;

/// keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`: joins a new session keyring.
pub(crate) fn join_new_keyring(name: &CStr) -> Result<()> {
    const JOIN_SESSION_KEYRING: usize = 1;
    // SAFETY: the kernel reads a string that ends with NUL.
    unsafe {
        syscall(
            number::KEYCTL,
            [JOIN_SESSION_KEYRING, name.as_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// keyctl(2), `KEYCTL_GET_KEYRING_ID`: the session keyring of this process.
pub(crate) fn session_keyring() -> Result<i32> {
    const GET_KEYRING_ID: usize = 0;
    /// `KEY_SPEC_SESSION_KEYRING` of `linux/keyctl.h`.
    const SESSION_KEYRING: isize = -3;
    // SAFETY: takes no pointer.
    let id = unsafe {
        syscall(
            number::KEYCTL,
            [GET_KEYRING_ID, SESSION_KEYRING.cast_unsigned(), 0, 0, 0, 0],
        )
    }?;
    Ok(id as i32)
}
