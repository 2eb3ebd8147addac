//! Mounts that are added to a running container, and taken away again.

use core::ffi::CStr;

use hoist_init::wire::Call;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, OFlags, ResolveFlags, StatxFlags, fstat, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::fault::{At, Fault, Result};
use super::mounts::{self, Text};
use super::root::{self, Target};

/// Mounts a detached file system on the target in the root; the result is what the kernel calls it.
pub(crate) fn add(root: BorrowedFd<'_>, mount: BorrowedFd<'_>, target: &CStr) -> Result<u64> {
    let kind = FileType::from_raw_mode(fstat(mount).at(Call::Fstat)?.st_mode);
    let kind = match kind {
        FileType::Directory => Target::Directory,
        _ => Target::File,
    };
    // What is mounted on a file is found again by its name alone, which must be the one that was asked for.
    let place = mounts::place_for(root, target, kind, kind == Target::File)?;
    mounts::mount_on(mount, place.as_fd())?;
    id_of(mount)
}

/// Takes away the mount on the target in the root, where it is `id`.
pub(crate) fn remove(root: BorrowedFd<'_>, target: &CStr, id: u64) -> Result<()> {
    let target = root::relative(target);
    let mount = root::open(root, target, OFlags::PATH, ResolveFlags::empty())?;
    if id_of(mount.as_fd())? != id {
        return Err(Fault::new(Call::Statx, Errno::STALE));
    }
    let kind = FileType::from_raw_mode(fstat(&mount).at(Call::Fstat)?.st_mode);
    if kind == FileType::Directory {
        rustix::process::fchdir(&mount).at(Call::Fchdir)?;
        return unmount(c".", UnmountFlags::DETACH).at(Call::Umount2);
    }
    // A file is named in its directory, which is held: what is mounted there cannot be renamed.
    let bytes = target.to_bytes();
    let slash = bytes.iter().rposition(|byte| *byte == b'/');
    let (parent, name) = match slash {
        Some(slash) => bytes.split_at(slash),
        None => (&b"."[..], bytes),
    };
    let (mut above, mut last) = (Text::<4096>::new(), Text::<256>::new());
    above.push(parent)?;
    last.push(name.strip_prefix(b"/").unwrap_or(name))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let parent = root::open(root, above.as_c_str()?, flags, ResolveFlags::NO_SYMLINKS)?;
    rustix::process::fchdir(&parent).at(Call::Fchdir)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let mount = root::open(
        parent.as_fd(),
        last.as_c_str()?,
        flags,
        ResolveFlags::NO_SYMLINKS,
    )?;
    if id_of(mount.as_fd())? != id {
        return Err(Fault::new(Call::Statx, Errno::STALE));
    }
    unmount(
        last.as_c_str()?,
        UnmountFlags::DETACH | UnmountFlags::NOFOLLOW,
    )
    .at(Call::Umount2)
}

fn id_of(mount: BorrowedFd<'_>) -> Result<u64> {
    let found = statx(mount, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).at(Call::Statx)?;
    Ok(found.stx_mnt_id)
}
