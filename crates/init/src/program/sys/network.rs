//! Network interfaces.
#![allow(unsafe_code, reason = "raw system calls")]

use core::mem::{offset_of, size_of};

use rustix::fd::{AsRawFd, BorrowedFd};

use super::call::{Result, syscall};
use super::number;

/// `struct ifreq` with flags (netdevice(7)).
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Brings the interface `lo` up (`SIOCSIFFLAGS`, netdevice(7)).
pub(crate) fn bring_loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u16 = 1;
    const _: () =
        assert!(offset_of!(InterfaceRequest, flags) == 16 && size_of::<InterfaceRequest>() == 40);
    let mut request = InterfaceRequest {
        name: [0; 16],
        flags: IFF_UP,
        rest: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: the kernel reads one `struct ifreq`.
    unsafe {
        syscall(
            number::IOCTL,
            [
                socket.as_raw_fd() as usize,
                SIOCSIFFLAGS,
                &raw const request as usize,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(())
}
