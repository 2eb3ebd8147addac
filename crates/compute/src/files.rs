//! The files of a container: what can be copied in and out, and what the container has changed.
//!
//! Whole trees travel as tar archives (POSIX ustar with GNU and pax extensions), as in the API of Docker's engine.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Result;

/// What sort of file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    Regular,
    /// A symbolic link.
    Link,
    /// A device, a fifo or a socket.
    Other,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// What sort of file it is.
    pub kind: FileKind,
    /// Its permissions (`07777`).
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
    /// What a symbolic link points at.
    pub target: Option<PathBuf>,
}

/// Whose the files of an archive become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The container's root's, or on this machine whoever's unpacks. Set-id bits and capabilities of files are dropped.
    Root,
    /// Whoever's the archive says, by number, as the container counts.
    Archive,
}

/// A file that differs from the image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Change {
    /// Its absolute path in the container.
    pub path: PathBuf,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a file differs from the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Its content, or what is known of it, is another; a directory's, where something in it has changed.
    Changed,
    /// The image does not have it.
    Added,
    /// The image has it, and the container does not.
    Deleted,
}

/// Files that can be copied: a container's, or this machine's.
pub trait Files: Send + Sync {
    /// Looks at a file; none where there is none. A symbolic link at the end is followed with `follow`.
    fn stat(&self, path: &Path, follow: bool) -> Result<Option<FileStat>>;

    /// Writes what is at `path`, with all below it, as an archive whose entries begin with `name`; with an empty `name`
    /// those of a directory stand alone. File systems that are the kernel's (proc(5), sysfs(5), …) are left out.
    fn pack(&self, path: &Path, follow: bool, name: &Path, archive: &mut dyn Write) -> Result<()>;

    /// Unpacks an archive in a directory. What is there is replaced, but no directory by something else, and nothing else by
    /// a directory; no symbolic link below `directory` is followed. An entry that would lie outside is an error.
    fn unpack(&self, directory: &Path, owner: Ownership, archive: &mut dyn Read) -> Result<()>;
}

/// A container's root file system, opened for copying.
///
/// Paths are the container's: absolute, and every symbolic link on the way, however it changes meanwhile, is followed
/// within its root. While it is open, a container that does not run cannot be started or removed.
pub trait RootFiles: Files {
    /// Writes the whole root as an archive, without what is mounted in it.
    fn export(&self, archive: &mut dyn Write) -> Result<()>;
}
