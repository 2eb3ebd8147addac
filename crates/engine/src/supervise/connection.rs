//! One end of a connection between a supervisor and a client.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
    process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{
    socket,
    wire::{LONGEST, Packet},
};

/// A connection whose calls wait.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// How much of the buffer the last packet takes.
    length: usize,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            buffer: Vec::new(),
            length: 0,
        }
    }

    /// Connects to the supervisor whose folder this is. Without one, `NotFound` or `ConnectionRefused`.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self::new(socket::connect_in(folder)?))
    }

    /// Ends the supervisor at the other end by force, and with it by the kernel what it owns.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        let pidfd = match pidfd_open(socket::peer(&self.socket)?, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(()),
            opened => opened?,
        };
        // While the connection is open it is there, and the process is that which was opened.
        if self.wait(Some(Duration::ZERO))? && self.receive()?.is_none() {
            return Ok(());
        }
        match pidfd_send_signal(&pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sends a packet; waits for room.
    pub(crate) fn send(&self, packet: &Packet<'_>) -> io::Result<()> {
        let bytes = packet.to_bytes();
        rustix::io::retry_on_intr(|| send(&self.socket, &bytes, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Sends a packet where there is room for it; false where there is none.
    pub(crate) fn try_send(&self, packet: &Packet<'_>) -> io::Result<bool> {
        let bytes = packet.to_bytes();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match rustix::io::retry_on_intr(|| send(&self.socket, &bytes, flags)) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The next packet; `None` where the other end is closed.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Packet<'_>>> {
        self.buffer.resize(LONGEST, 0);
        let count = loop {
            match recv(&self.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((count, _)) => break count,
                // A reset is told once, of an end that closed with packets unread by it; behind it comes what that end had
                // sent before.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(errno) => return Err(errno.into()),
            }
        };
        self.length = count;
        match count {
            0 => Ok(None),
            _ => self.last().map(Some),
        }
    }

    /// The packet that was received last.
    pub(crate) fn last(&self) -> io::Result<Packet<'_>> {
        Packet::from_bytes(&self.buffer[..self.length])
    }

    /// Waits until there is a packet, or the end; false where `timeout` (none: for ever) runs out first.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let limit = left.and_then(|left| Timespec::try_from(left).ok());
            let mut descriptors = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut descriptors, limit.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether an error means that there is no supervisor.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn what_was_sent_before_the_end_arrives_though_that_end_has_left_packets_unread() {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let (mut ours, theirs) = (Connection::new(ours), Connection::new(theirs));
        ours.send(&Packet::Hold).unwrap();
        theirs.send(&Packet::Started(1)).unwrap();
        theirs.send(&Packet::Started(2)).unwrap();
        drop(theirs);
        for pid in [1, 2] {
            assert!(
                matches!(ours.receive().unwrap(), Some(Packet::Started(found)) if found == pid)
            );
        }
        assert!(ours.receive().unwrap().is_none());
    }
}
