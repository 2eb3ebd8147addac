//! Descriptors by their numbers.
#![allow(unsafe_code, reason = "raw system calls")]

use rustix::fd::{AsRawFd, BorrowedFd};

use super::call::{Result, syscall};
use super::number;

/// The descriptor with this number.
///
/// # Safety
/// It must be open, and stay so for as long as the result is used.
pub(crate) unsafe fn descriptor<'a>(number: i32) -> BorrowedFd<'a> {
    // SAFETY: handed on.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// dup2(2): makes `number` a copy of `descriptor`, whatever it was.
pub(crate) fn duplicate(descriptor: BorrowedFd<'_>, number: i32) -> Result<()> {
    // SAFETY: takes no pointer; the plan places descriptors when nothing else refers to these numbers any more.
    unsafe {
        syscall(
            number::DUP2,
            [descriptor.as_raw_fd() as usize, number as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// close_range(2) from `first` up: marks every descriptor close-on-exec.
pub(crate) fn close_on_exec_from(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    // SAFETY: takes no pointer; no descriptor is closed before the execve that ends this program.
    unsafe {
        syscall(
            number::CLOSE_RANGE,
            [
                first as usize,
                u32::MAX as usize,
                CLOSE_RANGE_CLOEXEC,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(())
}
