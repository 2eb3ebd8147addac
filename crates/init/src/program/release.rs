//! The last looks before a program is executed, and the wait of a container that is created and not yet started.

#![allow(
    unsafe_code,
    reason = "standard streams, which are inherited by number"
)]

use core::ffi::CStr;

use hoist_init::wire::{Call, List, Slot};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, AtFlags, CWD, FileType, Uid, accessat, fchown, fstat, stat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{SocketFlags, accept_with};

use super::fault::{At, Fault, Result};
use super::slots::Slots;
use super::{control, execute};

/// Looks whether the program can be found and executed, as execve(2) would with the ids that the process has by now.
pub(crate) fn find_program(candidates: List<'_>) -> Result<()> {
    let mut reason = Errno::NOENT;
    for candidate in candidates.iter::<&CStr>() {
        match is_executable(candidate) {
            Ok(()) => return Ok(()),
            Err(errno) => reason = execute::combine(reason, errno),
        }
        if !execute::goes_on(reason) {
            break;
        }
    }
    Err(Fault::new(Call::Execve, reason))
}

fn is_executable(path: &CStr) -> rustix::io::Result<()> {
    let kind = FileType::from_raw_mode(stat(path)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    // By the real ids, that is: without the capabilities that are kept for what is still to be set up.
    accessat(CWD, path, Access::EXEC_OK, AtFlags::empty())
}

/// Lets go of the owner and waits for the one that starts the program. One that comes and goes again is as if it had not
/// come.
pub(crate) fn await_start(listener: BorrowedFd<'_>) -> Result<()> {
    control::hang_up();
    loop {
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => control::take_over(socket),
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            Err(errno) => return Err(Fault::new(Call::Accept, errno)),
        }
        match control::await_go() {
            Ok(_) => return Ok(()),
            Err(_) => control::hang_up(),
        }
    }
}

/// Gives pipes and sockets among the standard streams to `uid`. Where that is not possible, the program can still use them,
/// if not open them again.
pub(crate) fn own_streams(uid: u32) {
    for number in 0..FIRST {
        // SAFETY: a descriptor that is not open makes the calls fail, which is all that may happen to it here.
        let stream = unsafe { super::sys::descriptor(number) };
        let Ok(found) = fstat(stream) else { continue };
        let kind = FileType::from_raw_mode(found.st_mode);
        if matches!(kind, FileType::Fifo | FileType::Socket) && found.st_uid != uid {
            let _ = fchown(stream, Some(Uid::from_raw(uid)), None);
        }
    }
}

/// The most descriptors that can be placed.
const MOST_PLACED: usize = Slot::COUNT;
/// The first descriptor behind the standard streams.
const FIRST: i32 = 3;

/// Puts the descriptors of `count` slots at the numbers from 3 on, where whoever uses them looks for them (sd_listen_fds(3)).
pub(crate) fn place_descriptors(slots: &Slots, first: Slot, count: u32) -> Result<()> {
    let behind = FIRST + count as i32;
    control::move_to(behind)?;
    // First out of the way of one another, then into place.
    let mut copies = [const { None::<OwnedFd> }; MOST_PLACED];
    for (index, place) in (0..count).zip(&mut copies) {
        let slot = Slot(first.0.wrapping_add(index as u8));
        *place = Some(fcntl_dupfd_cloexec(slots.get(slot)?, behind).at(Call::Fcntl)?);
    }
    for (number, copy) in (FIRST..behind).zip(copies.iter().flatten()) {
        super::sys::duplicate(copy.as_fd(), number).at(Call::Dup2)?;
    }
    Ok(())
}
