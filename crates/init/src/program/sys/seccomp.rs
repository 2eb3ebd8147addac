//! Filters of system calls.
#![allow(unsafe_code, reason = "raw system calls")]

use rustix::io::Errno;

use super::call::{Result, syscall};
use super::number;

/// `struct sock_fprog` (seccomp(2)).
#[repr(C)]
struct FilterProgram {
    length: u16,
    instructions: *const u8,
}

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` (seccomp(2)).
pub(crate) const NEW_LISTENER: u32 = 1 << 3;

/// seccomp(2): loads a filter, `struct sock_filter` after `struct sock_filter`. With [`NEW_LISTENER`] the result is the number
/// of the listener's descriptor.
pub(crate) fn load_seccomp(filter: &[u8], flags: u32) -> Result<usize> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    const INSTRUCTION_SIZE: usize = 8;
    let program = FilterProgram {
        length: u16::try_from(filter.len() / INSTRUCTION_SIZE).map_err(|_| Errno::INVAL)?,
        instructions: filter.as_ptr(),
    };
    // SAFETY: the kernel copies `length` instructions of eight bytes each, which `filter` holds, from any alignment.
    unsafe {
        syscall(
            number::SECCOMP,
            [
                SECCOMP_SET_MODE_FILTER,
                flags as usize,
                &raw const program as usize,
                0,
                0,
                0,
            ],
        )
    }
}
