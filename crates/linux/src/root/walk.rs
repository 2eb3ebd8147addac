//! Resolution step by step: what openat2(2) cannot do, for it neither knows a union of layers nor says
//! whether a `..` was stopped at the root.
//!
//! Each step opens one name in a directory held by handle, never following a link; `..` goes back to the
//! handle that the walk came from. So no change of the tree can lead it out of a layer. What a union shows is
//! decided as overlayfs does (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").

use std::os::fd::OwnedFd;

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, getxattr, openat, readlinkat, statat},
    io::Errno,
};

use super::{RootError, by_handle};

/// As many symbolic links as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What a name or path leads to.
#[derive(Debug)]
pub(super) enum Found {
    Missing,
    /// The directories that are shown as one, the top-most first.
    Directory(Vec<OwnedFd>),
    /// The content of a symbolic link; only [`look_up`] gives it.
    Link(Vec<u8>),
    Other(OwnedFd, Stat),
    /// The kernel did not let the caller look; only [`resolve`] gives it.
    Refused(Errno),
}

/// The end of a walk.
#[derive(Debug)]
pub(super) struct Walked {
    /// Whether a `..` at the root was met on the way.
    pub(super) climbs: bool,
    pub(super) found: Found,
}

/// Walks `path` from the root that `layers` make, following links as if it were `/`.
pub(super) fn resolve(layers: &[OwnedFd], overlay: bool, path: &str) -> Result<Walked, RootError> {
    let mut way: Vec<Vec<OwnedFd>> = Vec::new();
    let mut links = 0;
    let mut climbs = false;
    // Names still to go, the next one last.
    let mut ahead = Vec::new();
    push(&mut ahead, path.as_bytes());
    while let Some(name) = ahead.pop() {
        match name.as_slice() {
            b"" | b"." => {}
            b".." => climbs |= way.pop().is_none(),
            name => {
                let here = way.last().map_or(layers, Vec::as_slice);
                match look_up(here, overlay, name) {
                    Ok(Found::Directory(found)) => way.push(found),
                    Ok(Found::Link(content)) => {
                        links += 1;
                        if links > MOST_LINKS {
                            return Err(RootError::TooManyLinks {
                                path: path.to_owned(),
                            });
                        }
                        if content.starts_with(b"/") {
                            way.clear();
                        }
                        push(&mut ahead, &content);
                    }
                    Ok(found @ Found::Other(..)) if ahead.is_empty() => {
                        return Ok(Walked { climbs, found });
                    }
                    // Nothing is below a file.
                    Ok(_) => {
                        let found = Found::Missing;
                        return Ok(Walked { climbs, found });
                    }
                    Err(errno) => {
                        let found = Found::Refused(errno);
                        return Ok(Walked { climbs, found });
                    }
                }
            }
        }
    }
    let found = Found::Directory(way.pop().unwrap_or_default());
    Ok(Walked { climbs, found })
}

fn push(ahead: &mut Vec<Vec<u8>>, path: &[u8]) {
    ahead.extend(path.rsplit(|byte| *byte == b'/').map(<[u8]>::to_vec));
}

/// Looks one name up in the directories that are shown as one.
pub(super) fn look_up(here: &[OwnedFd], overlay: bool, name: &[u8]) -> Result<Found, Errno> {
    let mut merged = Vec::new();
    for (index, layer) in here.iter().enumerate() {
        // Of many layers most lack the name, and to learn that without asking for a handle takes half the time.
        if here.len() > 1
            && let Err(Errno::NOENT) = statat(layer, name, AtFlags::SYMLINK_NOFOLLOW)
        {
            continue;
        }
        let handle = match openat(
            layer,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        let stat = fstat(&handle)?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if overlay && is_whiteout(&handle, &stat, file_type) {
            break;
        }
        if file_type == FileType::Directory {
            let last = index + 1 == here.len() || is_opaque(&handle);
            merged.push(handle);
            if last {
                break;
            }
        } else if !merged.is_empty() {
            break;
        } else if file_type == FileType::Symlink {
            return Ok(Found::Link(
                readlinkat(&handle, c"", Vec::new())?.into_bytes(),
            ));
        } else {
            return Ok(Found::Other(handle, stat));
        }
    }
    Ok(if merged.is_empty() {
        Found::Missing
    } else {
        Found::Directory(merged)
    })
}

pub(super) fn is_whiteout(handle: &OwnedFd, stat: &Stat, file_type: FileType) -> bool {
    match file_type {
        FileType::CharacterDevice => stat.st_rdev == 0,
        FileType::RegularFile => stat.st_size == 0 && mark(handle, "whiteout").is_some(),
        _ => false,
    }
}

pub(super) fn is_opaque(handle: &OwnedFd) -> bool {
    mark(handle, "opaque") == Some(b'y')
}

/// The first byte of an overlayfs mark, of the privileged or the unprivileged kind, or of fuse-overlayfs; which of them a mount obeys
/// depends on its `userxattr` option, and a layer is made for one of them. A one-byte buffer says enough: a
/// longer value is no mark of overlayfs, save that a whiteout's value does not matter.
fn mark(handle: &OwnedFd, name: &str) -> Option<u8> {
    ["trusted.overlay", "user.overlay", "user.fuseoverlayfs"]
        .into_iter()
        .find_map(|space| {
            let mut value = [0; 1];
            // An O_PATH handle has no fgetxattr(2); its name in the owner's procfs has.
            match getxattr(by_handle(handle), format!("{space}.{name}"), &mut value) {
                Ok(_) => Some(value[0]),
                Err(Errno::RANGE) => Some(0),
                Err(_) => None,
            }
        })
}
