//! Mounts, and where the working directory is among them.
#![allow(unsafe_code, reason = "raw system calls")]

use core::mem::size_of;

use rustix::fd::{AsRawFd, BorrowedFd};

use super::call::{Result, syscall};
use super::number;

/// `struct mount_attr` (mount_setattr(2)).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// mount_setattr(2) on what `mount` refers to, with everything below it where `recursive`.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    set: u32,
    clear: u32,
    propagation: u32,
    recursive: bool,
) -> Result<()> {
    const AT_EMPTY_PATH: usize = 0x1000;
    const AT_RECURSIVE: usize = 0x8000;
    let attributes = MountAttributes {
        set: set.into(),
        clear: clear.into(),
        propagation: propagation.into(),
        user_namespace: 0,
    };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, the structure is of the size given; both outlive the call.
    unsafe {
        syscall(
            number::MOUNT_SETATTR,
            [
                mount.as_raw_fd() as usize,
                c"".as_ptr() as usize,
                flags,
                &raw const attributes as usize,
                size_of::<MountAttributes>(),
                0,
            ],
        )
    }?;
    Ok(())
}

/// Whether the working directory can be named from the root (getcwd(2)).
pub(crate) fn working_directory_is_below_root() -> Result<bool> {
    let mut path = [0_u8; 4096];
    // SAFETY: the buffer is as long as is said.
    unsafe {
        syscall(
            number::GETCWD,
            [path.as_mut_ptr() as usize, path.len(), 0, 0, 0, 0],
        )
    }?;
    // The kernel writes `(unreachable)` before the path of a directory that lies elsewhere.
    Ok(path[0] == b'/')
}
