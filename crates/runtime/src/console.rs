//! Handing a console to whoever attends to it: its controlling side goes over a socket that the caller listens at.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with,
};

use crate::failure::Failure;

/// What is sent beside the descriptor: the receiver wants a name, and does nothing with it.
const NAME: &[u8] = b"/dev/ptmx";

/// The caller's socket, connected before anything is made, so that a wrong path changes nothing.
pub(crate) struct ConsoleSocket {
    socket: OwnedFd,
    path: String,
}

impl ConsoleSocket {
    /// Connects to `path`.
    pub(crate) fn connect(path: &str) -> Result<Self, Failure> {
        let failed = |errno: rustix::io::Errno| {
            Failure::new(format!("connect to console socket {path}: {errno}"))
        };
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed)?;
        connect(&socket, &address).map_err(failed)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// Sends the console.
    pub(crate) fn send(&self, console: &File) -> Result<(), Failure> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [console.as_fd()];
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(
            &self.socket,
            &[IoSlice::new(NAME)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )
        .map_err(|errno| Failure::new(format!("send the console to {}: {errno}", self.path)))?;
        Ok(())
    }
}
