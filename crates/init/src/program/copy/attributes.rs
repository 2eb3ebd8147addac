//! What a copy has of its original besides the content: owner, mode, extended attributes, times.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use hoist_init::wire::Call;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat,
    getxattr, listxattr, setxattr, utimensat,
};
use rustix::io::Errno;

use super::mode_of;
use crate::program::fault::{At, Fault, Result};
use crate::program::marks;
use crate::program::mounts::Text;

/// The most that the kernel has of the names of a file's attributes, and of the value of one (linux/limits.h).
const MOST: usize = 64 << 10;

/// Gives a copy what its original has, which was found to be `like`.
pub(super) fn give(copy: &OwnedFd, original: &OwnedFd, like: &Stat) -> Result<()> {
    // Neither has a handle all of the calls that work on descriptors; its name in procfs has.
    let (mut to, mut from) = (Text::<32>::new(), Text::<32>::new());
    to.push_descriptor(copy.as_fd())?;
    from.push_descriptor(original.as_fd())?;
    let (to, from) = (to.as_c_str()?, from.as_c_str()?);
    let is_link = FileType::from_raw_mode(like.st_mode) == FileType::Symlink;
    let mut mode = mode_of(like);
    if !own(copy, like)? {
        // It lends nobody the copier's identity.
        mode -= Mode::SUID | Mode::SGID;
    }
    if !is_link {
        chmod(to, mode).at(Call::Fchmod)?;
    }
    // After the owner: a change of that takes capabilities away.
    if !extended(from, to)? && !is_link {
        // What stood for the mask of an access list would be the group's own permissions without it.
        chmod(to, mode - Mode::RWXG).at(Call::Fchmod)?;
    }
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: like.st_atime as _,
            tv_nsec: like.st_atime_nsec as _,
        },
        last_modification: Timespec {
            tv_sec: like.st_mtime as _,
            tv_nsec: like.st_mtime_nsec as _,
        },
    };
    utimensat(copy, c"", &times, AtFlags::EMPTY_PATH).at(Call::Utimensat)
}

/// Who has no number in this user namespace cannot be an owner in it: what belongs to such is seen as nobody's, and its copy is
/// the copier's. Whether the owner was given.
fn own(copy: &OwnedFd, like: &Stat) -> Result<bool> {
    let (uid, gid) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
    match chownat(copy, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH) {
        Err(Errno::INVAL) => Ok(false),
        result => result.at(Call::Fchown).map(|()| true),
    }
}

/// Copies the extended attributes, as far as they can be read and mean anything here: not so an overlay's own, those
/// that the copy's file system does not have, and those that this user may not set. Capabilities of a program are in a user namespace
/// for the root of that, as the kernel sees to.
/// False where an access list is among what was not copied.
// Its buffers are not for the stack of every level.
#[inline(never)]
fn extended(from: &CStr, to: &CStr) -> Result<bool> {
    const ACCESS_LIST: &CStr = c"system.posix_acl_access";
    let mut names = [MaybeUninit::<u8>::uninit(); MOST];
    let names: &[u8] = match listxattr(from, &mut names) {
        Ok((names, _)) => names,
        Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => return Ok(true),
        Err(errno) => return Err(Fault::new(Call::Listxattr, errno)),
    };
    let mut whole = true;
    for name in names.split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if !marks::is_mark(name) && !one(from, to, name)? {
            whole &= name != ACCESS_LIST;
        }
    }
    Ok(whole)
}

fn one(from: &CStr, to: &CStr, name: &CStr) -> Result<bool> {
    let mut value = [MaybeUninit::<u8>::uninit(); MOST];
    let value: &[u8] = match getxattr(from, name, &mut value) {
        Ok((value, _)) => value,
        Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::OVERFLOW) => {
            return Ok(false);
        }
        Err(errno) => return Err(Fault::new(Call::Getxattr, errno)),
    };
    match setxattr(to, name, value, XattrFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::INVAL) => Ok(false),
        Err(errno) => Err(Fault::new(Call::Setxattr, errno)),
    }
}
