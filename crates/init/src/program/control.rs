//! The socket to the owner, descriptor 3: messages of a fixed length, with or without descriptors.
#![allow(unsafe_code, reason = "descriptors that are inherited by number")]

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use hoist_init::wire::{Call, Message, MessageKind, Slot};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::fault::{At, Fault, Result};
use super::slots::Slots;

/// The number at which the owner puts the socket.
pub(crate) const CONTROL: u32 = 3;

/// The number that it has now.
static NUMBER: AtomicI32 = AtomicI32::new(CONTROL as i32);

/// What the owner says first: how many descriptors come with it, and whether times are wanted.
const GREETING_LENGTH: usize = 2;

pub(crate) fn socket() -> BorrowedFd<'static> {
    // SAFETY: the owner puts the socket there before it executes this program; after [`hang_up`] nothing uses it until
    // [`take_over`] has put another there.
    unsafe { super::sys::descriptor(NUMBER.load(Relaxed)) }
}

/// Closes the socket: the owner hears no more of this process.
pub(crate) fn hang_up() {
    // SAFETY: the number is the socket's, and nobody else holds it as his own.
    unsafe { rustix::io::close(NUMBER.load(Relaxed)) };
}

/// Makes `socket` the way to a new owner.
pub(crate) fn take_over(socket: OwnedFd) {
    NUMBER.store(socket.into_raw_fd(), Relaxed);
}

/// Moves the socket to a number from `first` on, to be closed by execve(2).
pub(crate) fn move_to(first: i32) -> Result<()> {
    let moved = rustix::io::fcntl_dupfd_cloexec(socket(), first).at(Call::Fcntl)?;
    hang_up();
    take_over(moved);
    Ok(())
}

/// What came with descriptors.
pub(crate) struct Greeting {
    /// The index of the next descriptor to come.
    pub(crate) next: u8,
    /// The owner wants times.
    pub(crate) wants_times: bool,
}

/// Receives descriptors from the owner, the first of them into the slot of `index`.
pub(crate) fn receive_descriptors(slots: &mut Slots, first: u8) -> Result<Greeting> {
    let mut greeting = [0_u8; GREETING_LENGTH];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(Slot::COUNT))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket(),
        &mut [IoSliceMut::new(&mut greeting)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .at(Call::Recvmsg)?;
    let mut index = first;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            for descriptor in descriptors {
                slots.put(Slot::received(index), descriptor);
                index = index.wrapping_add(1);
            }
        }
    }
    if received.bytes != GREETING_LENGTH || index.wrapping_sub(first) != greeting[0] {
        // An owner that has given up closes the socket.
        let errno = if received.bytes == 0 {
            Errno::PIPE
        } else {
            Errno::BADMSG
        };
        return Err(Fault::new(Call::Recvmsg, errno));
    }
    Ok(Greeting {
        next: index,
        wants_times: greeting[1] != 0,
    })
}

/// Sends a message. It uses write(2), which is all that a seccomp filter must let through.
pub(crate) fn send(message: Message) -> Result<()> {
    rustix::io::write(socket(), &message.to_bytes()).at(Call::Write)?;
    Ok(())
}

/// Sends a message with a descriptor.
pub(crate) fn send_with(message: Message, descriptor: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        socket(),
        &[IoSlice::new(&message.to_bytes())],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )
    .at(Call::Sendmsg)?;
    Ok(())
}

/// Waits for the owner's [`MessageKind::Go`], and returns its value. An owner that is gone is a fault.
pub(crate) fn await_go() -> Result<u64> {
    let mut bytes = [0_u8; Message::LENGTH];
    let length =
        rustix::io::retry_on_intr(|| rustix::io::read(socket(), &mut bytes)).at(Call::Recvmsg)?;
    match Message::from_bytes(&bytes[..length]) {
        Some(message) if message.kind == MessageKind::Go => Ok(message.value),
        _ => Err(Fault::new(Call::Recvmsg, Errno::PIPE)),
    }
}

/// Has the kernel end this process when its owner ends (prctl(2), `PR_SET_PDEATHSIG`). An owner that ended just before is a
/// fault.
pub(crate) fn die_with_owner() -> Result<()> {
    use super::sys;
    sys::prctl(sys::PR_SET_PDEATHSIG, sys::SIGKILL, 0).at(Call::Prctl)?;
    let mut byte = [0_u8; 1];
    match rustix::net::recv(socket(), &mut byte, RecvFlags::DONTWAIT | RecvFlags::PEEK) {
        // It holds its end open until this process has executed its program.
        Err(Errno::AGAIN) => Ok(()),
        _ => Err(Fault::new(Call::Recvmsg, Errno::PIPE)),
    }
}

/// Waits until the owner is gone, and leaves unread what it has sent.
pub(crate) fn await_hangup() -> Result<()> {
    let socket = socket();
    // A hang-up is told whether or not it is asked for; nothing else is.
    let mut waited = [PollFd::new(&socket, PollFlags::empty())];
    rustix::io::retry_on_intr(|| poll(&mut waited, None)).at(Call::Recvmsg)?;
    Ok(())
}
