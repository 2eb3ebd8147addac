//! The owner's only access to a container's root file system.
//!
//! Whatever lies in a root was put there by an image or by the container itself, and may change while it is
//! looked at. So a path is never given to the kernel as text from `/`: it is resolved from a directory
//! handle, by openat2(2) with in-root resolution and without magic links, or step by step (`walk`), and
//! nothing but a regular file is ever opened for reading. Mounting in the root is the child's work, not this
//! module's; what is written there for people who copy files goes through [`unpack`], into directories held by handle.

mod changes;
mod detached;
mod error;
mod facts;
#[cfg(test)]
mod model;
pub mod pack;
mod targets;
#[cfg(test)]
mod tests;
pub mod unpack;
mod walk;

pub(crate) use changes::Compared;
pub(crate) use detached::overlay;

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hoist_spec::{RootSource, WritableLayer};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2},
    io::Errno,
};

pub(crate) use crate::plan::{COPY, UPPER};
use walk::Found;

/// The most that is ever read of one file of a root, in bytes (CVE-2026-47262).
pub const LARGEST_FILE: u64 = 10 << 20;

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
    /// Files that somebody else has opened, where the root is not the caller's to look into: the only ones that are read then.
    lent: Vec<(&'static str, io::Result<OwnedFd>)>,
}

impl Root {
    /// The root that is this directory. For a running container that is `/proc/PID/root`, opened while its
    /// pidfd shows it alive.
    pub fn directory(directory: OwnedFd) -> Self {
        Self {
            layers: vec![directory],
            overlay: false,
            lent: Vec::new(),
        }
    }

    /// The root that overlayfs would make of these directories, the top-most first. Redirected directories
    /// (`overlay.redirect`) are not followed: they come only from a layer that was written with
    /// `redirect_dir=on`, which Hoist's never are.
    pub fn layers(layers: Vec<OwnedFd>) -> Self {
        Self {
            layers,
            overlay: true,
            lent: Vec::new(),
        }
    }

    /// The same, of which these files are read and no others.
    pub(crate) fn with_lent(self, lent: Vec<(&'static str, io::Result<OwnedFd>)>) -> Self {
        Self { lent, ..self }
    }

    /// Opens the directories that `source` names. A folder for writes that has never been used is passed over.
    pub fn open(source: &RootSource) -> Result<Self, RootError> {
        match source {
            RootSource::Directory(path) => directory(path).map(Self::directory),
            RootSource::Host | RootSource::Unisolated => {
                directory(Path::new("/")).map(Self::directory)
            }
            RootSource::Layers { layers, writable } => {
                let mut opened = Vec::with_capacity(layers.len() + 1);
                if let WritableLayer::Folder(folder) = writable {
                    if let Ok(copy) = directory(&folder.join(COPY)) {
                        return Ok(Self::directory(copy));
                    }
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
        if let Some((_, lent)) = self.lent.iter().find(|(lent, _)| *lent == path) {
            return read_lent(lent, path, limit);
        }
        let Some((handle, stat)) = self.find(path)? else {
            return Ok(None);
        };
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type != FileType::RegularFile {
            return Err(not_regular(path, file_type));
        }
        if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > limit {
            return Err(too_large(path, limit));
        }
        let file = reopen(&handle).map_err(|errno| system("open", path, errno))?;
        read_bounded(file, path, limit).map(Some)
    }

    /// A handle (`O_PATH`) of what is at `path` in a root that is one directory; none where there is nothing. A symbolic
    /// link at the end is followed with `follow`.
    pub(crate) fn handle(&self, path: &Path, follow: bool) -> Result<Option<OwnedFd>, RootError> {
        let shown = path.display().to_string();
        let [root] = self.layers.as_slice() else {
            return Err(system("resolve", &shown, Errno::OPNOTSUPP));
        };
        let last = match follow {
            true => OFlags::empty(),
            false => OFlags::NOFOLLOW,
        };
        let path = path.strip_prefix("/").unwrap_or(path);
        let path = match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        };
        open_resolved(root, path, OFlags::PATH | last, IN_ROOT)
            .map(Some)
            .or_else(|errno| match errno {
                Errno::NOENT | Errno::NOTDIR => Ok(None),
                Errno::LOOP => Err(RootError::TooManyLinks { path: shown }),
                Errno::AGAIN => Err(RootError::Unsteady { path: shown }),
                errno => Err(system("resolve", &shown, errno)),
            })
    }

    /// A root of one directory itself; of several, the top-most layer.
    pub(crate) fn top(&self) -> Option<&OwnedFd> {
        self.layers.first()
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

/// Reads a file that is known to be regular.
fn read_bounded(file: File, path: &str, limit: u64) -> Result<Vec<u8>, RootError> {
    let mut content = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(|source| RootError::System {
            operation: "read",
            path: path.to_owned(),
            source,
        })?;
    match content.len() as u64 > limit {
        true => Err(too_large(path, limit)),
        false => Ok(content),
    }
}

fn read_lent(
    lent: &io::Result<OwnedFd>,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, RootError> {
    let failed = |source| RootError::System {
        operation: "open",
        path: path.to_owned(),
        source,
    };
    match lent {
        Ok(file) => {
            let file = file.try_clone().map_err(failed)?;
            read_bounded(file.into(), path, limit).map(Some)
        }
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Some(errno) => Err(failed(errno.into())),
            None => Err(failed(error.kind().into())),
        },
    }
}

fn too_large(path: &str, limit: u64) -> RootError {
    RootError::TooLarge {
        path: path.to_owned(),
        limit,
    }
}

/// Every symbolic link is followed as if the directory were `/`.
pub(crate) const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// No symbolic link is followed, and nothing leads above the directory.
pub(crate) const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// Opens `path` below a directory, again and again for a second where the tree changes meanwhile (`EAGAIN`).
pub(crate) fn open_resolved(
    directory: impl AsFd,
    path: impl rustix::path::Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let deadline = Instant::now() + RETRY_FOR;
    loop {
        match openat2(
            directory.as_fd(),
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        ) {
            Err(Errno::AGAIN) if Instant::now() < deadline => std::thread::yield_now(),
            result => return result,
        }
    }
}

/// Opens the regular file that `handle` is known to hold for reading. The owner's own procfs leads to that very inode, so
/// nothing can be put in its place between look and open.
pub(crate) fn reopen(handle: &OwnedFd) -> Result<File, Errno> {
    open(
        by_handle(handle),
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    )
    .map(File::from)
}

/// Resolves `path` as if `root` were `/`.
fn in_root(root: &OwnedFd, path: &str) -> Result<Option<(OwnedFd, Stat)>, RootError> {
    match open_resolved(root, relative(path), OFlags::PATH, IN_ROOT) {
        Ok(handle) => {
            let stat = fstat(&handle).map_err(|errno| system("look at", path, errno))?;
            Ok(Some((handle, stat)))
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(Errno::LOOP) => Err(RootError::TooManyLinks {
            path: path.to_owned(),
        }),
        Err(Errno::AGAIN) => Err(RootError::Unsteady {
            path: path.to_owned(),
        }),
        Err(errno) => Err(system("resolve", path, errno)),
    }
}

/// Opens a directory that the caller named: policy, not content, so links in its path are followed.
pub(crate) fn directory(path: &Path) -> Result<OwnedFd, RootError> {
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
