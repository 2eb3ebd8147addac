//! Waiting for a child by its pidfd, whatever its exit signal.
#![allow(
    unsafe_code,
    reason = "waitid(2) with __WALL, which rustix does not offer"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How a child ended: `si_code` and `si_status` (waitid(2)).
pub(crate) fn waitid(pidfd: impl AsFd) -> io::Result<(i32, i32)> {
    // SAFETY: zeroes are a valid `siginfo_t`; the call fills it; `si_status` is there after a wait that succeeded.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let id = pidfd.as_fd().as_raw_fd() as libc::id_t;
        while libc::waitid(
            libc::P_PIDFD,
            id,
            &raw mut info,
            libc::WEXITED | libc::__WALL,
        ) < 0
        {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok((info.si_code, info.si_status()))
    }
}

/// Waits for a child's end and forgets how it was.
pub(crate) fn reap(pidfd: impl AsFd) -> io::Result<()> {
    waitid(pidfd).map(|_| ())
}
