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
    AtFlags, FileType, Gid, Mode, OFlags, RawDir, RawMode, Stat, Timespec, Timestamps, Uid,
    chownat, fchmod, fchown, fstat, futimens, mkdirat, mknodat, openat, readlinkat_raw, sendfile,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::fault::{At, Fault, Result};
use super::marks;
use super::mounts::Text;

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
    if covered == Covered::Content {
        let from = directory(place, c".")?;
        own(&to, &found)?;
        return tree(&from, &to, Over::Nothing, DEEPEST);
    }
    Ok(())
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
    let (from, to) = (directory(from, c".")?, directory(to, c".")?);
    let found = fstat(&from).at(Call::Fstat)?;
    tree(&from, &to, Over::Layers, DEEPEST)?;
    own(&to, &found)
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

/// Gives the copy the owner and the mode of what it is a copy of. One that nobody can own here is the copier's, and lends
/// nobody the copier's identity.
fn own(copy: &OwnedFd, like: &Stat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
    let mode = match unless_unmapped(fchown(copy, Some(uid), Some(gid)))? {
        true => mode_of(like),
        false => mode_of(like) - (Mode::SUID | Mode::SGID),
    };
    fchmod(copy, mode).at(Call::Fchmod)
}

fn tree(from: &OwnedFd, to: &OwnedFd, over: Over, depth: usize) -> Result<()> {
    if depth == 0 {
        return Err(Fault::new(Call::Openat, Errno::NAMETOOLONG));
    }
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(from, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.at(Call::Getdents)?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            one(from, to, name, over, depth)?;
        }
    }
    Ok(())
}

fn one(from: &OwnedFd, to: &OwnedFd, name: &CStr, over: Over, depth: usize) -> Result<()> {
    // A handle of the entry itself, whatever it is: what is looked at is what is copied.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = openat(from, name, flags, Mode::empty()).at(Call::Openat)?;
    let found = fstat(&entry).at(Call::Fstat)?;
    if over == Over::Layers {
        if marks::is_whiteout(&entry, &found)? {
            return remove(to.as_fd(), name, DEEPEST);
        }
        if !shows_what_is_below(&entry, &found, to, name)? {
            remove(to.as_fd(), name, DEEPEST)?;
        }
    }
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => {
            match mkdirat(to, name, Mode::RWXU) {
                Err(Errno::EXIST) if over == Over::Layers => {}
                made => made.at(Call::Mkdirat)?,
            }
            let made = directory(to.as_fd(), name)?;
            tree(&directory(entry.as_fd(), c".")?, &made, over, depth - 1)?;
            own(&made, &found)
        }
        FileType::RegularFile => file(&entry, to, name, &found),
        FileType::Symlink => {
            let mut content = [MaybeUninit::uninit(); 4096];
            let (content, _) = readlinkat_raw(&entry, c"", &mut content).at(Call::Readlinkat)?;
            let mut text = Text::<4097>::new();
            text.push(content)?;
            symlinkat(text.as_c_str()?, to, name).at(Call::Symlinkat)?;
            own_by_name(to, name, &found)
        }
        // A socket means nothing without whoever listens at it.
        FileType::Socket => Ok(()),
        kind => match mknodat(to, name, kind, mode_of(&found), found.st_rdev) {
            // In a user namespace nobody could open it either.
            Err(Errno::PERM) if over == Over::Layers => Ok(()),
            made => {
                made.at(Call::Mknodat)?;
                own_by_name(to, name, &found)
            }
        },
    }
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

/// Who has no number in this user namespace cannot be an owner in it: what belongs to such is seen as nobody's, and its copy is
/// the copier's. Whether the owner was given.
fn unless_unmapped(given: core::result::Result<(), Errno>) -> Result<bool> {
    match given {
        Err(Errno::INVAL) => Ok(false),
        result => result.at(Call::Fchown).map(|()| true),
    }
}

fn own_by_name(to: &OwnedFd, name: &CStr, like: &Stat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
    unless_unmapped(chownat(
        to,
        name,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    ))
    .map(drop)
}

fn file(entry: &OwnedFd, to: &OwnedFd, name: &CStr, found: &Stat) -> Result<()> {
    const CHUNK: usize = 1 << 20;
    let mut path = Text::<32>::new();
    path.push_descriptor(entry.as_fd())?;
    // By the handle, which is known to be of a regular file.
    let source = rustix::fs::open(
        path.as_c_str()?,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Call::Openat)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let copy = openat(to, name, flags, Mode::RUSR | Mode::WUSR).at(Call::Openat)?;
    while sendfile(&copy, &source, None, CHUNK).at(Call::Sendfile)? > 0 {}
    own(&copy, found)?;
    // Who compares the copy with what it is a copy of looks at it.
    let changed = Timespec {
        tv_sec: found.st_mtime as _,
        tv_nsec: found.st_mtime_nsec as _,
    };
    let times = Timestamps {
        last_access: changed,
        last_modification: changed,
    };
    futimens(&copy, &times).at(Call::Utimensat)
}
