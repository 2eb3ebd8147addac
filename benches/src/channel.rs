//! Messages between the owner, the helper and the container's process.

use core::ptr::null_mut;

use crate::sys::{self, Fd};

/// As long as Hoist's messages.
const LENGTH: usize = 24;

/// A control message with one descriptor, as `cmsghdr` and its data lie in memory.
#[repr(C, align(8))]
struct Rights {
    header: libc::cmsghdr,
    fd: Fd,
    padding: u32,
}

/// Sends a message with a process id, and with a descriptor where there is one.
pub(crate) fn send(socket: Fd, pid: i32, fd: Option<Fd>) {
    let Some(fd) = fd else {
        sys::write(socket, &message(pid)).must();
        return;
    };
    let mut bytes = message(pid);
    let mut rights = Rights {
        header: libc::cmsghdr {
            cmsg_len: size_of::<libc::cmsghdr>() + size_of::<Fd>(),
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        fd,
        padding: 0,
    };
    exchange(&mut bytes, &mut rights, |message| {
        sys::sendmsg(socket, message).must();
    });
}

/// Receives a message: its process id and the descriptor that came with it. Ends the program where the other side is gone.
pub(crate) fn receive(socket: Fd) -> (i32, Fd) {
    let mut bytes = [0u8; LENGTH];
    let mut rights = Rights {
        header: libc::cmsghdr {
            cmsg_len: 0,
            cmsg_level: 0,
            cmsg_type: 0,
        },
        fd: -1,
        padding: 0,
    };
    let mut got = 0;
    exchange(&mut bytes, &mut rights, |message| {
        got = sys::recvmsg(socket, message).must();
    });
    if got == 0 {
        sys::exit(125);
    }
    let [a, b, c, d, ..] = bytes;
    (i32::from_ne_bytes([a, b, c, d]), rights.fd)
}

/// Receives both the helper's message, which brings the process, and the process's own word that it is ready: whichever of
/// the two runs first speaks first.
pub(crate) fn receive_process(socket: Fd) -> (i32, Fd) {
    let first = receive(socket);
    let second = receive(socket);
    if first.1 < 0 { second } else { first }
}

/// Waits until the other side's last descriptor is closed, which `execve` does.
pub(crate) fn wait_for_end(socket: Fd) {
    if sys::read(socket, &mut [0; LENGTH]).must() != 0 {
        sys::exit(125);
    }
}

fn message(pid: i32) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..4].copy_from_slice(&pid.to_ne_bytes());
    bytes
}

fn exchange(bytes: &mut [u8; LENGTH], rights: &mut Rights, call: impl FnOnce(&mut libc::msghdr)) {
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: LENGTH,
    };
    let mut message = libc::msghdr {
        msg_name: null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut part,
        msg_iovlen: 1,
        msg_control: core::ptr::from_mut(rights).cast(),
        msg_controllen: size_of::<Rights>(),
        msg_flags: 0,
    };
    call(&mut message);
}
