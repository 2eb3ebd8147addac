//! Signals by pidfd: never to another process that has come to bear the same id.
#![allow(
    unsafe_code,
    reason = "pidfd_send_signal(2) of signals that have no name in rustix"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null;

/// `SIGSTOP`.
pub const STOP: i32 = libc::SIGSTOP;
/// `SIGCONT`.
pub const CONTINUE: i32 = libc::SIGCONT;
/// `SIGTERM`.
pub const TERMINATE: i32 = libc::SIGTERM;
/// `SIGKILL`.
pub const KILL: i32 = libc::SIGKILL;

/// Sends a signal by its number, a real-time one too (pidfd_send_signal(2)). `ESRCH` where the process has ended.
pub fn send(pidfd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open; a null `siginfo_t` asks for the usual one.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            number,
            null::<u8>(),
            0,
        )
    };
    match sent {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
