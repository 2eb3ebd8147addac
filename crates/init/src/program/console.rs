//! The container's terminal: a pseudo-terminal of the container's own devpts.
#![allow(
    unsafe_code,
    reason = "standard streams, which are inherited by number"
)]

use hoist_init::wire::{Call, Message, MessageKind, Slot};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use super::fault::{At, Fault, Result};
use super::root::{self, Target};
use super::slots::Slots;
use super::{control, sys};

/// `DEVPTS_SUPER_MAGIC` (statfs(2)).
const DEVPTS_MAGIC: u64 = 0x1cd1;

/// Opens a pseudo-terminal, sends its controlling side to the owner and makes the other the standard streams and the
/// controlling terminal.
pub(crate) fn open(uid: u32, bind_console: bool, slots: &Slots) -> Result<()> {
    let devpts = match slots.find(Slot::DEVPTS) {
        Some(devpts) => devpts.try_clone_to_owned().at(Call::Fcntl)?,
        None => devpts_of_root()?,
    };
    if rustix::fs::fstatfs(&devpts).at(Call::Fstatfs)?.f_type as u64 != DEVPTS_MAGIC {
        return Err(Fault::new(Call::Fstatfs, Errno::NODEV));
    }
    let controller = rustix::fs::openat(
        &devpts,
        c"ptmx",
        OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Call::Openat)?;
    unlockpt(&controller).at(Call::Ioctl)?;
    // The peer comes from the controlling side itself, not from a path that somebody could change.
    let terminal = ioctl_tiocgptpeer(
        &controller,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )
    .at(Call::Ioctl)?;
    rustix::fs::fchown(&terminal, Some(rustix::fs::Uid::from_raw(uid)), None).at(Call::Fchown)?;
    if bind_console {
        bind_over_dev_console(&terminal, slots)?;
    }
    control::send_with(Message::of(MessageKind::Console), controller.as_fd())?;
    rustix::process::ioctl_tiocsctty(&terminal).at(Call::Ioctl)?;
    become_standard_streams(&terminal)
}

/// The devpts at `/dev/pts` of the container just entered.
fn devpts_of_root() -> Result<OwnedFd> {
    let top = rustix::fs::open(
        c"/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Call::Openat)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    root::open(top.as_fd(), c"dev/pts", flags, ResolveFlags::NO_SYMLINKS)
}

fn bind_over_dev_console(terminal: &OwnedFd, slots: &Slots) -> Result<()> {
    let place = root::open_or_make(
        slots.get(Slot::DEV)?,
        c"console",
        Target::File,
        Mode::from_raw_mode(0o600),
        ResolveFlags::NO_SYMLINKS,
    )?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let copy = open_tree(terminal, c"", flags).at(Call::OpenTree)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(copy.as_fd(), c"", place.as_fd(), c"", flags).at(Call::MoveMount)
}

/// Makes standard input, a terminal, the controlling one of this session.
pub(crate) fn take(uid: u32) -> Result<()> {
    // SAFETY: the owner puts the standard streams there before it executes this program.
    let terminal = unsafe { sys::descriptor(0) };
    match rustix::fs::fchown(terminal, Some(rustix::fs::Uid::from_raw(uid)), None) {
        // Nobody but root gives files away; then it is the caller's, and so is the process.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(Fault::new(Call::Fchown, errno)),
    }
    rustix::process::ioctl_tiocsctty(terminal).at(Call::Ioctl)
}

fn become_standard_streams(terminal: &OwnedFd) -> Result<()> {
    rustix::stdio::dup2_stdin(terminal).at(Call::Dup2)?;
    rustix::stdio::dup2_stdout(terminal).at(Call::Dup2)?;
    rustix::stdio::dup2_stderr(terminal).at(Call::Dup2)
}

/// Changes the working directory, and proves that it can be named from the root: a directory of the host, reached
/// through a descriptor that somebody left open, cannot.
pub(crate) fn change_directory(path: &core::ffi::CStr) -> Result<()> {
    rustix::process::chdir(path).at(Call::Chdir)?;
    if sys::working_directory_is_below_root().at(Call::Getcwd)? {
        Ok(())
    } else {
        Err(Fault::new(Call::Getcwd, Errno::XDEV))
    }
}
