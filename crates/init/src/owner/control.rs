//! The owner's end of the control socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::wire::{Message, MessageKind, Slot};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// A connected pair: the owner's end, and the helper's.
pub fn pair() -> io::Result<(Control, OwnedFd)> {
    let (owner, helper) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((Control(owner), helper))
}

/// The owner's end.
pub struct Control(OwnedFd);

impl From<OwnedFd> for Control {
    /// A socket at whose other end a container's process waits.
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl Control {
    /// Hands over descriptors, and says whether times are to be noted.
    pub fn hand_over(&self, descriptors: &[BorrowedFd<'_>], wants_times: bool) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(Slot::COUNT))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let count = u8::try_from(descriptors.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let greeting = [count, u8::from(wants_times)];
        sendmsg(
            &self.0,
            &[IoSlice::new(&greeting)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// Says that nothing more will come: whoever waits at the other end gives up.
    pub fn hang_up(&self) {
        // It fails only where the other end is gone already.
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Write);
    }

    /// Lets the process go on.
    pub fn go(&self) -> io::Result<()> {
        self.send_go(0)
    }

    /// Releases the process; with `dies_with_owner` the kernel ends it when the calling thread ends.
    pub fn release(&self, dies_with_owner: bool) -> io::Result<()> {
        self.send_go(match dies_with_owner {
            true => Message::DIES_WITH_OWNER,
            false => 0,
        })
    }

    fn send_go(&self, value: u64) -> io::Result<()> {
        let message = Message {
            value,
            ..Message::of(MessageKind::Go)
        };
        let bytes = message.to_bytes();
        rustix::net::send(&self.0, &bytes, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next message with the descriptor that may come with it; none when the other end is closed for good.
    pub fn receive(&self) -> io::Result<Option<(Message, Option<OwnedFd>)>> {
        let mut bytes = [0; Message::LENGTH];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            match recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            ) {
                // A reset is told once, of an end that closed with messages unread by it; behind it comes what that end
                // had said before.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                result => break result?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let descriptor = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        match Message::from_bytes(&bytes[..received.bytes]) {
            Some(message) => Ok(Some((message, descriptor))),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
