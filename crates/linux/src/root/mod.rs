//! The owner's only access to a container's root file system.
//!
//! Whatever lies in a root was put there by an image or by the container itself, and may change while it is
//! looked at. So a path is never given to the kernel as text from `/`: it is resolved from a directory
//! handle, by openat2(2) with in-root resolution and without magic links, or step by step (`walk`), and
//! nothing but a regular file is ever opened for reading. Writing and mounting in the root is the child's
//! work, not this module's.

mod error;
mod facts;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hoist_spec::{RootSource, WritableLayer};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2},
    io::Errno,
};

use walk::Found;

/// The most that is ever read of one file of a root, in bytes (CVE-2026-47262).
pub const LARGEST_FILE: u64 = 10 << 20;

/// The folder in a [`WritableLayer::Folder`] that holds what the container wrote: overlayfs' `upperdir`.
pub const UPPER: &str = "upper";

/// How long a resolution is tried again that the kernel gave up because of a rename or mount next to it.
const RETRY_FOR: Duration = Duration::from_secs(1);

/// What cannot be learnt of a root.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The root or a layer of it cannot be opened.
    #[error("open root directory {}", path.display())]
    Open {
        /// The directory on this machine.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file to be read is none.
    #[error("{path} in the container's root is a {kind}, not a regular file")]
    NotRegular {
        /// Its path in the container.
        path: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// A file to be read is too large.
    #[error("{path} in the container's root is larger than {limit} bytes")]
    TooLarge {
        /// Its path in the container.
        path: String,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// The path leads through a magic link, or more than 40 symbolic links (path_resolution(7)).
    #[error("{path} in the container's root leads through too many symbolic links")]
    TooManyLinks {
        /// The path in the container.
        path: String,
    },
    /// Renames or mounts disturbed the resolution for a whole second.
    #[error("{path} in the container's root changes all the time")]
    Unsteady {
        /// The path in the container.
        path: String,
    },
    /// A system call failed.
    #[error("{operation} {path} in the container's root")]
    System {
        /// What was tried.
        operation: &'static str,
        /// The path in the container.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// This machine's own directories cannot be looked at.
    #[error("{operation} {}", path.display())]
    Host {
        /// What was tried.
        operation: &'static str,
        /// The path on this machine.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// A container's root file system, held by handles: one directory, or the layers of an overlay.
#[derive(Debug)]
pub struct Root {
    /// The top-most first; the only one where the root is a directory.
    layers: Vec<OwnedFd>,
    overlay: bool,
}

impl Root {
    /// The root that is this directory. For a running container that is `/proc/PID/root`, opened while its
    /// pidfd shows it alive.
    pub fn directory(directory: OwnedFd) -> Self {
        Self {
            layers: vec![directory],
            overlay: false,
        }
    }

    /// The root that overlayfs would make of these directories, the top-most first. Redirected directories
    /// (`overlay.redirect`) are not followed: they come only from a layer that was written with
    /// `redirect_dir=on`, which Hoist's never are.
    pub fn layers(layers: Vec<OwnedFd>) -> Self {
        Self {
            layers,
            overlay: true,
        }
    }

    /// Opens the directories that `source` names. A folder for writes that has never been used is passed over.
    pub fn open(source: &RootSource) -> Result<Self, RootError> {
        match source {
            RootSource::Directory(path) => directory(path).map(Self::directory),
            RootSource::Host => directory(Path::new("/")).map(Self::directory),
            RootSource::Layers { layers, writable } => {
                let mut opened = Vec::with_capacity(layers.len() + 1);
                if let WritableLayer::Folder(folder) = writable {
                    match directory(&folder.join(UPPER)) {
                        Ok(upper) => opened.push(upper),
                        Err(RootError::Open { source, .. })
                            if source.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                for layer in layers {
                    opened.push(directory(layer)?);
                }
                Ok(Self::layers(opened))
            }
        }
    }

    /// Reads the regular file at `path` (absolute, as the container sees it) whole; `None` where there is
    /// none. More than `limit` bytes, or than [`LARGEST_FILE`], are refused before one of them is read.
    ///
    /// A device, fifo or socket in its place is never opened: opening could block, or have an effect.
    pub fn read_file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, RootError> {
        let limit = limit.min(LARGEST_FILE);
        let Some((handle, stat)) = self.find(path)? else {
            return Ok(None);
        };
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type != FileType::RegularFile {
            return Err(not_regular(path, file_type));
        }
        let too_large = || RootError::TooLarge {
            path: path.to_owned(),
            limit,
        };
        if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > limit {
            return Err(too_large());
        }
        // The handle is known to be a regular file; the owner's own procfs leads to that very inode, so
        // nothing can be put in its place between look and open.
        let file = open(
            by_handle(&handle),
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
            Mode::empty(),
        )
        .map_err(|errno| system("open", path, errno))?;
        let mut content = Vec::new();
        File::from(file)
            .take(limit + 1)
            .read_to_end(&mut content)
            .map_err(|source| RootError::System {
                operation: "read",
                path: path.to_owned(),
                source,
            })?;
        if content.len() as u64 > limit {
            return Err(too_large());
        }
        Ok(Some(content))
    }

    /// Whether the way to `path` (absolute, as the container sees it) goes above the root by a `..`, its own or
    /// a symbolic link's. Absolute links start again at the root and are fine (`/var/run -> /run`); the way
    /// ends at the first name that is missing, or that the caller may not look into.
    pub fn climbs_out(&self, path: &str) -> Result<bool, RootError> {
        // A way without any symbolic link and `..` cannot climb, and most are such. With `..`, one layer would not
        // do: it may lack the directory that another has.
        let straight = |layer: &OwnedFd| {
            matches!(
                openat2(
                    layer,
                    relative(path),
                    OFlags::PATH | OFlags::CLOEXEC,
                    Mode::empty(),
                    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
                ),
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)
            )
        };
        if !path.split('/').any(|part| part == "..") && self.layers.iter().all(straight) {
            return Ok(false);
        }
        Ok(walk::resolve(&self.layers, self.overlay, path)?.climbs)
    }

    /// Whether `name` in the root directory is there and something other than a real directory.
    pub fn is_other_than_directory(&self, name: &str) -> Result<bool, RootError> {
        let found = walk::look_up(&self.layers, self.overlay, name.as_bytes())
            .map_err(|errno| system("look at", name, errno))?;
        Ok(matches!(found, Found::Link(_) | Found::Other(..)))
    }

    fn find(&self, path: &str) -> Result<Option<(OwnedFd, Stat)>, RootError> {
        if !self.overlay
            && let [root] = self.layers.as_slice()
        {
            return in_root(root, path);
        }
        Ok(
            match walk::resolve(&self.layers, self.overlay, path)?.found {
                Found::Other(handle, stat) => Some((handle, stat)),
                Found::Directory(_) => return Err(not_regular(path, FileType::Directory)),
                Found::Missing | Found::Link(_) => None,
                Found::Refused(errno) => return Err(system("resolve", path, errno)),
            },
        )
    }
}

/// Resolves `path` as if `root` were `/`.
fn in_root(root: &OwnedFd, path: &str) -> Result<Option<(OwnedFd, Stat)>, RootError> {
    let deadline = Instant::now() + RETRY_FOR;
    loop {
        match openat2(
            root,
            relative(path),
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        ) {
            Ok(handle) => {
                let stat = fstat(&handle).map_err(|errno| system("look at", path, errno))?;
                return Ok(Some((handle, stat)));
            }
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(Errno::LOOP) => {
                return Err(RootError::TooManyLinks {
                    path: path.to_owned(),
                });
            }
            Err(Errno::AGAIN) if Instant::now() < deadline => std::thread::yield_now(),
            Err(Errno::AGAIN) => {
                return Err(RootError::Unsteady {
                    path: path.to_owned(),
                });
            }
            Err(errno) => return Err(system("resolve", path, errno)),
        }
    }
}

/// Opens a directory that the caller named: policy, not content, so links in its path are followed.
fn directory(path: &Path) -> Result<OwnedFd, RootError> {
    open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| RootError::Open {
        path: path.to_owned(),
        source: errno.into(),
    })
}

/// The owner's own name for what `handle` holds.
fn by_handle(handle: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn relative(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        relative => relative,
    }
}

fn system(operation: &'static str, path: &str, errno: Errno) -> RootError {
    RootError::System {
        operation,
        path: path.to_owned(),
        source: errno.into(),
    }
}

fn not_regular(path: &str, file_type: FileType) -> RootError {
    let kind = match file_type {
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::RegularFile => "regular file",
        FileType::Unknown => "file of unknown type",
    };
    RootError::NotRegular {
        path: path.to_owned(),
        kind,
    }
}
