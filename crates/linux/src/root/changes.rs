//! What a container has changed: the tree that it sees beside the layers below it.
//!
//! Where the layer that receives its writes is a folder, that is read as overlayfs does (Documentation/filesystems/
//! overlayfs.rst): a whiteout is a deletion, an opaque directory hides what is below. A layer in memory cannot be reached
//! from outside; then the merged tree is compared with the layers, by what is known of each file.

use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use hoist_compute::{Change, ChangeKind};
use rustix::fs::{FileType, Statx, fstat};
use rustix::io::Errno;

use super::pack::{CopyError, entry, failed, names, status};
use super::walk::{Found, is_opaque, is_whiteout, look_up};

/// A tree that is compared with the layers below it.
#[derive(Debug)]
pub(crate) struct Compared {
    changes: Vec<Change>,
}

/// The directories of the layers that make one directory, the top-most first.
type Below = Vec<OwnedFd>;

/// By what fuse-overlayfs says a second time, in a way of its own, that a directory is opaque.
const OPAQUE_FILES: [&[u8]; 2] = [b".wh..wh..opq", b".wh..opq"];

/// One name in a directory: what the container has there, and what the layers have.
struct Pair<'a> {
    handle: &'a OwnedFd,
    below: Found,
    path: &'a Path,
}

impl Compared {
    /// What a layer that receives writes holds, over `below`.
    pub(crate) fn upper(upper: &OwnedFd, below: &Below) -> Result<Vec<Change>, CopyError> {
        let mut compared = Self {
            changes: Vec::new(),
        };
        compared.upper_directory(upper, below, Path::new("/"))?;
        Ok(compared.sorted())
    }

    /// What differs in a merged tree from `below`.
    pub(crate) fn merged(tree: &OwnedFd, below: &Below) -> Result<Vec<Change>, CopyError> {
        let path = Path::new("/");
        let mut compared = Self {
            changes: Vec::new(),
        };
        let mount = status(tree).map_err(failed("look at", path))?.stx_mnt_id;
        compared.merged_directory(tree, below, path, mount)?;
        Ok(compared.sorted())
    }

    fn sorted(mut self) -> Vec<Change> {
        self.changes.sort_unstable();
        self.changes.dedup();
        self.changes
    }

    /// The trees are the container's making, and are walked by recursion.
    fn refuse_depth(path: &Path) -> Result<(), CopyError> {
        const MOST_LEVELS: usize = 256;
        let slashes = path
            .as_os_str()
            .as_bytes()
            .iter()
            .filter(|byte| **byte == b'/');
        match slashes.count() > MOST_LEVELS {
            false => Ok(()),
            true => Err(CopyError::Refused {
                operation: "look for changes in",
                path: path.to_owned(),
                reason: format!("it is more than {MOST_LEVELS} levels deep"),
            }),
        }
    }

    fn note(&mut self, path: &Path, kind: ChangeKind) {
        self.changes.push(Change {
            path: path.to_owned(),
            kind,
        });
    }

    fn upper_directory(
        &mut self,
        upper: &OwnedFd,
        below: &Below,
        path: &Path,
    ) -> Result<(), CopyError> {
        Self::refuse_depth(path)?;
        for name in names(upper).map_err(failed("list", path))? {
            let path = &path.join(OsStr::from_bytes(name.to_bytes()));
            let handle = &match entry(upper, &name) {
                Err(Errno::NOENT) => continue,
                result => result.map_err(failed("open", path))?,
            };
            if OPAQUE_FILES.contains(&name.to_bytes()) {
                continue;
            }
            let stat = fstat(handle).map_err(failed("look at", path))?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            let found = look_up(below, true, name.to_bytes()).map_err(failed("look at", path))?;
            let was_there = !matches!(found, Found::Missing);
            if is_whiteout(handle, &stat, kind) {
                if was_there {
                    self.note(path, ChangeKind::Deleted);
                }
                continue;
            }
            self.note(path, appeared(was_there));
            if kind != FileType::Directory {
                continue;
            }
            match found {
                Found::Directory(below) if is_opaque(handle) => {
                    self.missing(handle, &below, path)?;
                    // What is there is compared with what was, though nothing of that shines through.
                    self.upper_directory(handle, &below, path)?;
                }
                Found::Directory(below) => self.upper_directory(handle, &below, path)?,
                _ => self.upper_directory(handle, &Vec::new(), path)?,
            }
        }
        Ok(())
    }

    /// Notes what the layers have in a directory, and `tree` has not. Whether there is any.
    fn missing(&mut self, tree: &OwnedFd, below: &Below, path: &Path) -> Result<bool, CopyError> {
        let mut any = false;
        for name in names_below(below).map_err(failed("list", path))? {
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            let is_shown = !matches!(
                look_up(below, true, name.to_bytes()).map_err(failed("look at", &path))?,
                Found::Missing
            );
            if is_shown && matches!(entry(tree, &name), Err(Errno::NOENT)) {
                self.note(&path, ChangeKind::Deleted);
                any = true;
            }
        }
        Ok(any)
    }

    /// Whether anything in the directory differs.
    fn merged_directory(
        &mut self,
        tree: &OwnedFd,
        below: &Below,
        path: &Path,
        mount: u64,
    ) -> Result<bool, CopyError> {
        Self::refuse_depth(path)?;
        let mut any = self.missing(tree, below, path)?;
        for name in names(tree).map_err(failed("list", path))? {
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            let handle = match entry(tree, &name) {
                Err(Errno::NOENT) => continue,
                result => result.map_err(failed("open", &path))?,
            };
            let below = look_up(below, true, name.to_bytes()).map_err(failed("look at", &path))?;
            any |= self.merged_entry(
                Pair {
                    handle: &handle,
                    below,
                    path: &path,
                },
                mount,
            )?;
        }
        Ok(any)
    }

    fn merged_entry(&mut self, pair: Pair<'_>, mount: u64) -> Result<bool, CopyError> {
        let Pair {
            handle,
            below,
            path,
        } = pair;
        let found = status(handle).map_err(failed("look at", path))?;
        let is_directory = kind(&found) == FileType::Directory;
        if matches!(below, Found::Missing) {
            self.note(path, ChangeKind::Added);
            if is_directory && found.stx_mnt_id == mount {
                self.merged_directory(handle, &Vec::new(), path, mount)?;
            }
            return Ok(true);
        }
        // What is mounted there is none of the tree's; what it covers is not seen.
        if found.stx_mnt_id != mount {
            return Ok(false);
        }
        let differs = match below {
            Found::Directory(below) if is_directory => {
                let own = match below.first() {
                    Some(first) => {
                        let first = status(first).map_err(failed("look at", path))?;
                        first.stx_mode != found.stx_mode || owner(&first) != owner(&found)
                    }
                    None => false,
                };
                self.merged_directory(handle, &below, path, mount)? || own
            }
            Found::Other(below, _) => {
                let below = status(&below).map_err(failed("look at", path))?;
                below.stx_mode != found.stx_mode
                    || owner(&below) != owner(&found)
                    || below.stx_size != found.stx_size
                    || (below.stx_rdev_major, below.stx_rdev_minor)
                        != (found.stx_rdev_major, found.stx_rdev_minor)
                    || (below.stx_mtime.tv_sec, below.stx_mtime.tv_nsec)
                        != (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec)
            }
            Found::Link(content) => rustix::fs::readlinkat(handle, c"", Vec::new())
                .map_or(true, |target| target.to_bytes() != content),
            _ => {
                if is_directory {
                    self.merged_directory(handle, &Vec::new(), path, mount)?;
                }
                true
            }
        };
        if differs {
            self.note(path, ChangeKind::Changed);
        }
        Ok(differs)
    }
}

fn appeared(was_there: bool) -> ChangeKind {
    match was_there {
        true => ChangeKind::Changed,
        false => ChangeKind::Added,
    }
}

fn kind(found: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(found.stx_mode))
}

fn owner(found: &Statx) -> (u32, u32) {
    (found.stx_uid, found.stx_gid)
}

fn names_below(below: &Below) -> Result<Vec<CString>, Errno> {
    let mut all = Vec::new();
    for layer in below {
        all.extend(names(layer)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
