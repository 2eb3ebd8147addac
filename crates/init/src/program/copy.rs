//! Copying trees: the one that a new file system or an empty volume covers into it (mount option `tmpcopyup`), and, where no
//! overlay can be had, layers one over the other.
//!
//! The tree is the attacker's: every entry is reached from its directory's handle, never through a link, and nothing but a
//! regular file is ever opened for reading.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use hoist_init::wire::{Call, Covered};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, RawMode, Stat, fchmod, fstat, mkdirat, mknodat,
    openat, readlinkat_raw, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::fault::{At, Fault, Result};
use super::marks;
use super::mounts::Text;

mod attributes;
mod content;
mod links;

use links::Links;

/// How deep a tree may be: each level takes some of the stack.
pub(crate) const DEEPEST: usize = 128;
const PERMISSIONS: RawMode = 0o7777;

/// Gives the root of `mount` what it takes of the directory `place`.
pub(crate) fn cover(mount: BorrowedFd<'_>, place: BorrowedFd<'_>, covered: Covered) -> Result<()> {
    if covered == Covered::Ignored {
        return Ok(());
    }
    let found = fstat(place).at(Call::Fstat)?;
    let to = directory(mount, c".")?;
    fchmod(&to, mode_of(&found)).at(Call::Fchmod)?;
    match covered {
        Covered::Content => whole(&directory(place, c".")?, &to, Over::Nothing),
        _ => Ok(()),
    }
}

/// What is in the place that a tree is copied to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Nothing,
    /// The layers below, which the tree covers as it would in an overlay.
    Layers,
}

/// Copies a layer over those below it, which are in `to` already (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
/// directories").
pub(crate) fn layer(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    whole(&directory(from, c".")?, &directory(to, c".")?, Over::Layers)
}

fn whole(from: &OwnedFd, to: &OwnedFd, over: Over) -> Result<()> {
    let found = fstat(from).at(Call::Fstat)?;
    let mut walk = Walk {
        over,
        links: Links::of(to.as_fd()),
    };
    let copied = walk.tree(from, to, DEEPEST);
    // They are nobody's to see, whatever became of the copy.
    let removed = walk.links.remove();
    copied.and(removed)?;
    attributes::give(to, from, &found)
}

/// Whether nothing is in a directory.
pub(crate) fn is_empty(at: BorrowedFd<'_>) -> Result<bool> {
    let listed = directory(at, c".")?;
    let mut buffer = [MaybeUninit::uninit(); 512];
    let mut entries = RawDir::new(&listed, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.at(Call::Getdents)?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            return Ok(false);
        }
    }
    Ok(true)
}

fn directory(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty()).at(Call::Openat)
}

fn mode_of(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & PERMISSIONS)
}

/// A copy that is being made.
struct Walk<'a> {
    over: Over,
    links: Links<'a>,
}

impl Walk<'_> {
    fn tree(&mut self, from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<()> {
        if depth == 0 {
            return Err(Fault::new(Call::Openat, Errno::NAMETOOLONG));
        }
        let mut buffer = [MaybeUninit::uninit(); 2048];
        let mut entries = RawDir::new(from, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.at(Call::Getdents)?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                self.one(from, to, name, depth)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> Result<()> {
        let entry = handle(from, name)?;
        let found = fstat(&entry).at(Call::Fstat)?;
        if self.over == Over::Layers {
            if marks::is_whiteout(&entry, &found)? {
                return remove(to.as_fd(), name, DEEPEST);
            }
            if !shows_what_is_below(&entry, &found, to, name)? {
                remove(to.as_fd(), name, DEEPEST)?;
            }
        }
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            match mkdirat(to, name, Mode::RWXU) {
                Err(Errno::EXIST) if self.over == Over::Layers => {}
                made => made.at(Call::Mkdirat)?,
            }
            let made = directory(to.as_fd(), name)?;
            self.tree(&directory(entry.as_fd(), c".")?, &made, depth - 1)?;
            return attributes::give(&made, &entry, &found);
        }
        if self.links.made(&found, to, name)? {
            return Ok(());
        }
        match self.single(&entry, &found, to, name)? {
            true => self.links.keep(&found, to, name),
            false => Ok(()),
        }
    }

    /// Copies what is no directory; false where it is left out.
    fn single(&self, entry: &OwnedFd, found: &Stat, to: &OwnedFd, name: &CStr) -> Result<bool> {
        let kind = FileType::from_raw_mode(found.st_mode);
        match kind {
            FileType::RegularFile => {
                let copy = content::copy(entry, found, to, name)?;
                return attributes::give(&copy, entry, found).map(|()| true);
            }
            FileType::Symlink => link(entry, to, name)?,
            // Nothing is at the other end of it: who listens has the one that this is a copy of.
            FileType::Socket => return Ok(false),
            kind => match mknodat(to, name, kind, mode_of(found), found.st_rdev) {
                // In a user namespace nobody could open it either.
                Err(Errno::PERM) if self.over == Over::Layers => return Ok(false),
                made => made.at(Call::Mknodat)?,
            },
        }
        let made = handle(to, name)?;
        // Others may write where this is copied to.
        let now = fstat(&made).at(Call::Fstat)?;
        if FileType::from_raw_mode(now.st_mode) != kind {
            return Err(Fault::mismatch());
        }
        attributes::give(&made, entry, found).map(|()| true)
    }
}

/// A handle of the entry itself, whatever it is: what is looked at is what is copied.
fn handle(at: &OwnedFd, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty()).at(Call::Openat)
}

// Its buffers are not for the stack of every level.
#[inline(never)]
fn link(entry: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<()> {
    let mut content = [MaybeUninit::uninit(); 4096];
    let (content, _) = readlinkat_raw(entry, c"", &mut content).at(Call::Readlinkat)?;
    let mut text = Text::<4097>::new();
    text.push(content)?;
    symlinkat(text.as_c_str()?, to, name).at(Call::Symlinkat)
}

/// Whether an entry of a layer is a directory that shows what one below it in `to` has, too.
fn shows_what_is_below(entry: &OwnedFd, found: &Stat, to: &OwnedFd, name: &CStr) -> Result<bool> {
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory || marks::is_opaque(entry)? {
        return Ok(false);
    }
    match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        below => Ok(FileType::from_raw_mode(below.at(Call::Fstat)?.st_mode) == FileType::Directory),
    }
}

/// Removes an entry with all that is in it, where there is one.
pub(crate) fn remove(at: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<()> {
    if depth == 0 {
        return Err(Fault::new(Call::Unlinkat, Errno::NAMETOOLONG));
    }
    match unlinkat(at, name, AtFlags::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        removed => return removed.at(Call::Unlinkat),
    }
    let emptied = directory(at, name)?;
    // What a listing shows may be half of what is there, when what it has shown is removed meanwhile.
    while !is_empty(emptied.as_fd())? {
        let listed = directory(emptied.as_fd(), c".")?;
        let mut buffer = [MaybeUninit::uninit(); 2048];
        let mut entries = RawDir::new(&listed, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.at(Call::Getdents)?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                remove(emptied.as_fd(), name, depth - 1)?;
            }
        }
    }
    unlinkat(at, name, AtFlags::REMOVEDIR).at(Call::Unlinkat)
}
