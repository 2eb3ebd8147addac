//! Opening what its owner cannot: mounts of another mount namespace; and files of a container, for a FUSE file system lets in those of its user namespace alone, and an ordinary user
//! who has made that is outside of it.

use core::ffi::CStr;

use hoist_init::wire::{Call, List, Message, MessageKind};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat};
use rustix::io::Errno;

use super::control;
use super::fault::{At, Fault, Result};
use super::mounts::Text;
use super::root;

/// Hands over each of the files at `paths` in `tree`, or why there is none.
pub(crate) fn files(tree: BorrowedFd<'_>, paths: List<'_>) -> Result<()> {
    for path in paths.iter::<&CStr>() {
        let told = Message::of(MessageKind::Lent);
        match file(tree, path) {
            Ok(file) => control::send_with(told, file.as_fd())?,
            Err(Fault { errno, .. }) => control::send(Message {
                errno: errno.raw_os_error(),
                ..told
            })?,
        }
    }
    Ok(())
}

/// Hands over a tree, or that there is none.
pub(crate) fn tree(tree: Option<BorrowedFd<'_>>) -> Result<()> {
    let told = Message::of(MessageKind::Lent);
    match tree {
        Some(tree) => control::send_with(told, tree),
        None => control::send(Message {
            errno: Errno::NOENT.raw_os_error(),
            ..told
        }),
    }
}

fn file(tree: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let path = root::relative(path);
    let handle = root::open(tree, path, OFlags::PATH, ResolveFlags::empty())?;
    // A device or a fifo is never opened: that could block, or have an effect.
    let found = fstat(&handle).at(Call::Fstat)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(Fault::new(Call::Openat2, Errno::INVAL));
    }
    let mut name = Text::<32>::new();
    name.push_descriptor(handle.as_fd())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(name.as_c_str()?, flags, Mode::empty()).at(Call::Openat)
}
