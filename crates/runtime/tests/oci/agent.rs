//! An agent that answers the calls which a seccomp filter leaves to it (seccomp_unotify(2)).
#![allow(unsafe_code, reason = "ioctls of the listener")]

use std::{
    io::{self, IoSliceMut, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::Value;

/// It listens at its socket.
pub(crate) struct Agent {
    listener: UnixListener,
}

impl Agent {
    pub(crate) fn at(path: PathBuf) -> Self {
        let _ = std::fs::remove_file(&path);
        Self {
            listener: UnixListener::bind(path).unwrap(),
        }
    }

    /// The state of a process, and the listener of its filter.
    pub(crate) fn accept(&self) -> (Value, OwnedFd) {
        let (mut connection, _) = self.listener.accept().unwrap();
        let (first, listener) = receive(&connection);
        let mut text = first;
        // Exactly one state comes by each connection.
        connection.read_to_end(&mut text).unwrap();
        (serde_json::from_slice(&text).unwrap(), listener)
    }
}

fn receive(connection: &UnixStream) -> (Vec<u8>, OwnedFd) {
    let mut bytes = vec![0; 1 << 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        connection,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    bytes.truncate(received.bytes);
    let mut descriptors: Vec<OwnedFd> = ancillary
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(descriptors.len(), 1);
    (bytes, descriptors.pop().unwrap())
}

/// `struct seccomp_notif`.
#[repr(C)]
#[derive(Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    architecture: u32,
    instruction: u64,
    arguments: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// Waits for one call and lets it fail with `errno`; its number.
pub(crate) fn refuse(listener: &OwnedFd, errno: i32) -> io::Result<i32> {
    const RECEIVE: libc::c_ulong = 0xc050_2100;
    const SEND: libc::c_ulong = 0xc018_2101;
    let check = |result: i32| match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    };
    let mut notification = Notification::default();
    // SAFETY: the structure is the one of the kernel's interface and outlives the call.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut notification) })?;
    let response = Response {
        id: notification.id,
        value: 0,
        error: -errno,
        flags: 0,
    };
    // SAFETY: as above.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw const response) })?;
    Ok(notification.number)
}
