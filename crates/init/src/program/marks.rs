//! The marks by which a layer hides what is below it (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
//! directories"), of the kernel's overlayfs and of fuse-overlayfs.

use core::ffi::CStr;

use hoist_init::wire::Call;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Stat, getxattr};
use rustix::io::Errno;

use super::fault::{Fault, Result};
use super::mounts::Text;

pub(crate) fn is_whiteout(entry: &OwnedFd, found: &Stat) -> Result<bool> {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::CharacterDevice => Ok(found.st_rdev == 0),
        FileType::RegularFile if found.st_size == 0 => {
            const NAMES: [&CStr; 2] = [c"trusted.overlay.whiteout", c"user.overlay.whiteout"];
            Ok(first_byte(entry, &NAMES)?.is_some())
        }
        _ => Ok(false),
    }
}

pub(crate) fn is_opaque(entry: &OwnedFd) -> Result<bool> {
    const NAMES: [&CStr; 3] = [
        c"trusted.overlay.opaque",
        c"user.overlay.opaque",
        c"user.fuseoverlayfs.opaque",
    ];
    Ok(first_byte(entry, &NAMES)? == Some(b'y'))
}

/// Whether an extended attribute is an overlay's own, which it does not show.
pub(crate) fn is_mark(name: &CStr) -> bool {
    const PREFIXES: [&[u8]; 3] = [
        b"trusted.overlay.",
        b"user.overlay.",
        b"user.fuseoverlayfs.",
    ];
    let name = name.to_bytes();
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The first byte of the first attribute that there is. A value longer than one byte is no mark that says `y`.
fn first_byte(entry: &OwnedFd, names: &[&CStr]) -> Result<Option<u8>> {
    // A handle has no fgetxattr(2); its name in procfs has.
    let mut path = Text::<32>::new();
    path.push_descriptor(entry.as_fd())?;
    for name in names {
        let mut value = [0_u8; 1];
        match getxattr(path.as_c_str()?, *name, &mut value) {
            Ok(_) => return Ok(Some(value[0])),
            Err(Errno::RANGE) => return Ok(Some(0)),
            // There is none, the file system has none, or they are not this user's to see: an overlay could not see it either.
            Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            Err(errno) => return Err(Fault::new(Call::Getxattr, errno)),
        }
    }
    Ok(None)
}
