//! Waiting for a child by its pidfd, whatever its exit signal; and how somebody else's child has ended.
#![allow(
    unsafe_code,
    reason = "waitid(2) with __WALL and ioctl_pidfd(2), which rustix does not offer"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How a child ended: `si_code` and `si_status` (waitid(2)).
pub fn waitid(pidfd: impl AsFd) -> io::Result<(i32, i32)> {
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
pub fn reap(pidfd: impl AsFd) -> io::Result<()> {
    waitid(pidfd).map(|_| ())
}

/// What `PIDFD_GET_INFO` tells (include/uapi/linux/pidfd.h, `struct pidfd_info` in its first version).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)` for those 64 bytes.
const PIDFD_GET_INFO: libc::Ioctl = 0xC040_FF0B_u32 as libc::Ioctl;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// How a process ended that somebody else has reaped, as the kernel still knows it for those who held a pidfd before: the
/// status of wait(2). `None` where this kernel (before 6.15) does not say, or the process was not reaped yet.
pub fn exit_info(pidfd: impl AsFd) -> Option<i32> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the call fills at most the 64 bytes of the structure, whose size is part of its number.
    let done = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (done == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}
