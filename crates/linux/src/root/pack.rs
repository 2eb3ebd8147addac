//! Writing a tree as a tar archive.
//!
//! Every file is opened by its name in the directory that was opened before it, following no link, and looked at by the
//! handle: so what others do to the tree meanwhile changes what is packed, and never leads out of it. Nothing but regular
//! files is opened for reading.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use hoist_compute::{Error, ErrorKind, FileKind, FileStat, OsCode, Phase};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Statx, StatxFlags, fstatfs, openat, readlinkat, statx,
};
use rustix::io::Errno;

use super::by_handle;
use crate::plan::{IdMapping, IdMaps};

/// The attribute of a file that holds its capabilities (capabilities(7)), and its name in a pax header.
pub(super) const CAPABILITY: &str = "security.capability";
pub(super) const CAPABILITY_IN_PAX: &str = "SCHILY.xattr.security.capability";

/// The id of what has none in a user namespace (user_namespaces(7), "overflow").
const NOBODY: u32 = 65534;

/// Why a tree cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A system call failed.
    #[error("{operation} {}", path.display())]
    System {
        /// What was tried.
        operation: &'static str,
        /// The file, as the archive names it.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What is asked for is not done.
    #[error("{operation} {}: {reason}", path.display())]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// The file, as the archive names it.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The archive cannot be read or written.
    #[error("{operation} the archive")]
    Archive {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<CopyError> for Error {
    fn from(error: CopyError) -> Self {
        let words = error.to_string();
        let source = match error {
            CopyError::Refused { .. } => {
                return Self::new(ErrorKind::InvalidSpec, Phase::Operate, words);
            }
            CopyError::System { source, .. } | CopyError::Archive { source, .. } => source,
        };
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::System,
        };
        let made = Self::new(kind, Phase::Operate, words);
        match source.raw_os_error() {
            Some(errno) => made.code(OsCode::Errno(errno)),
            None => made.because(source),
        }
    }
}

pub(super) fn failed<'a>(
    operation: &'static str,
    path: &'a Path,
) -> impl FnOnce(Errno) -> CopyError + 'a {
    move |errno| CopyError::System {
        operation,
        path: path.to_owned(),
        source: errno.into(),
    }
}

/// How ids in an archive, which are the container's, and ids of this machine correspond.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids<'a>(Option<&'a IdMaps>);

impl<'a> Ids<'a> {
    /// Those of a container with such a user namespace; without one they are the same.
    pub(crate) fn of(maps: Option<&'a IdMaps>) -> Self {
        Self(maps)
    }

    fn inside(self, uid: u32, gid: u32) -> (u32, u32) {
        let inside = |mappings: &[IdMapping], id: u32| {
            let found = mappings.iter().find_map(|mapping| {
                let offset = id.checked_sub(mapping.outside)?;
                (offset < mapping.count).then(|| mapping.inside + offset)
            });
            found.unwrap_or(NOBODY)
        };
        self.0.map_or((uid, gid), |maps| {
            (inside(&maps.users, uid), inside(&maps.groups, gid))
        })
    }

    /// None where there is no such id on this machine.
    pub(super) fn outside(self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        let outside = |mappings: &[IdMapping], id: u32| {
            mappings.iter().find_map(|mapping| {
                let offset = id.checked_sub(mapping.inside)?;
                (offset < mapping.count).then(|| mapping.outside + offset)
            })
        };
        match self.0 {
            None => Some((uid, gid)),
            Some(maps) => Some((outside(&maps.users, uid)?, outside(&maps.groups, gid)?)),
        }
    }
}

/// Which mounts within a tree belong to it.
#[derive(Clone, Copy, Debug)]
pub enum Mounts<'a> {
    /// All but those of the kernel's own file systems.
    Kept {
        /// And but the one of this name in the archive.
        but: Option<&'a Path>,
    },
    /// Those at these paths of the tree, without a leading slash.
    Named(&'a [PathBuf]),
}

/// File systems whose files are made by the kernel when they are read (statfs(2), `f_type`).
const OF_THE_KERNEL: [u32; 14] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0x1980_0202, // mqueue
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0x4249_4e4d, // binfmt_misc
    0x6e73_6673, // nsfs
    0xf97c_ff8c, // selinuxfs
    0x6165_676c, // pstore
];

/// Whether a file is in one of the kernel's own file systems.
pub(crate) fn is_of_the_kernel(handle: &OwnedFd) -> Result<bool, Errno> {
    let kind = fstatfs(handle)?.f_type as u32;
    Ok(OF_THE_KERNEL.contains(&kind))
}

/// What is known of the file that `handle` holds.
pub fn look(handle: &OwnedFd) -> Result<FileStat, Errno> {
    let found = status(handle)?;
    let file_type = FileType::from_raw_mode(u32::from(found.stx_mode));
    let kind = match file_type {
        FileType::Directory => FileKind::Directory,
        FileType::RegularFile => FileKind::Regular,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Other,
    };
    let target = match kind {
        FileKind::Link => Some(target(handle)?),
        _ => None,
    };
    Ok(FileStat {
        kind,
        mode: u32::from(found.stx_mode) & 0o7777,
        size: found.stx_size,
        target,
    })
}

pub(super) fn status(handle: &OwnedFd) -> Result<Statx, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    statx(handle, c"", AtFlags::EMPTY_PATH, wanted)
}

fn target(handle: &OwnedFd) -> Result<PathBuf, Errno> {
    let content = readlinkat(handle, c"", Vec::new())?.into_bytes();
    Ok(PathBuf::from(std::ffi::OsString::from_vec(content)))
}

/// The names in a directory, sorted: the same tree gives the same archive.
pub(super) fn names(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let listed = openat(
        directory,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&listed)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A handle of a name in a directory, whatever it is; a link itself.
pub(super) fn entry(directory: impl AsFd, name: &CString) -> Result<OwnedFd, Errno> {
    openat(
        directory,
        name.as_c_str(),
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Writes the file that `top` holds, with all below it, as entries whose names begin with `name`.
///
/// # Errors
///
/// What cannot be read, by its name in the archive, which is unfinished then.
pub fn pack(
    top: &OwnedFd,
    name: &Path,
    ids: Ids<'_>,
    mounts: Mounts<'_>,
    archive: &mut dyn Write,
) -> Result<(), CopyError> {
    let mut packer = Packer {
        builder: tar::Builder::new(archive),
        ids,
        mounts,
        links: HashMap::new(),
    };
    packer.tree(top, name)?;
    packer.builder.finish().map_err(writing)
}

fn writing(source: io::Error) -> CopyError {
    CopyError::Archive {
        operation: "write",
        source,
    }
}

struct Packer<'a> {
    builder: tar::Builder<&'a mut dyn Write>,
    ids: Ids<'a>,
    mounts: Mounts<'a>,
    /// The first name of each file that has several, by device and inode.
    links: HashMap<(u32, u32, u64), PathBuf>,
}

/// A directory that is being packed.
struct Level {
    directory: OwnedFd,
    mount: u64,
    path: PathBuf,
    names: std::vec::IntoIter<CString>,
}

impl Packer<'_> {
    /// Level by level on the heap: how deep a tree is, its maker decides.
    fn tree(&mut self, top: &OwnedFd, name: &Path) -> Result<(), CopyError> {
        let found = status(top).map_err(failed("look at", name))?;
        let mut levels = Vec::new();
        if !name.as_os_str().is_empty() {
            self.add(top, &found, name)?;
        }
        levels.extend(level(top, &found, name.to_owned())?);
        while let Some(here) = levels.last_mut() {
            let Some(name) = here.names.next() else {
                levels.pop();
                continue;
            };
            let path = here.path.join(OsStr::from_bytes(name.to_bytes()));
            let handle = match entry(&here.directory, &name) {
                // Removed meanwhile.
                Err(Errno::NOENT) => continue,
                result => result.map_err(failed("open", &path))?,
            };
            let mut found = status(&handle).map_err(failed("look at", &path))?;
            if found.stx_mnt_id != here.mount && !self.keeps(&handle, &path)? {
                // The place that something is mounted on belongs to the tree.
                let is_directory = file_type(&found) == FileType::Directory;
                found.stx_size = 0;
                let kind = match is_directory {
                    true => tar::EntryType::Directory,
                    false => tar::EntryType::Regular,
                };
                let mut header = self.header(&found, kind);
                let path = if is_directory { slashed(&path) } else { path };
                self.builder
                    .append_data(&mut header, &path, io::empty())
                    .map_err(writing)?;
                continue;
            }
            self.add(&handle, &found, &path)?;
            levels.extend(level(&handle, &found, path)?);
        }
        Ok(())
    }

    fn keeps(&self, handle: &OwnedFd, path: &Path) -> Result<bool, CopyError> {
        match self.mounts {
            Mounts::Kept { but: Some(but) } if but == path => Ok(false),
            Mounts::Kept { .. } => is_of_the_kernel(handle)
                .map(|is| !is)
                .map_err(failed("look at", path)),
            Mounts::Named(named) => Ok(named.iter().any(|named| named == path)),
        }
    }

    fn header(&self, found: &Statx, kind: tar::EntryType) -> tar::Header {
        let (uid, gid) = self.ids.inside(found.stx_uid, found.stx_gid);
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(u32::from(found.stx_mode) & 0o7777);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_mtime(u64::try_from(found.stx_mtime.tv_sec).unwrap_or(0));
        header.set_size(0);
        header
    }

    fn add(&mut self, handle: &OwnedFd, found: &Statx, path: &Path) -> Result<(), CopyError> {
        let inode = (found.stx_dev_major, found.stx_dev_minor, found.stx_ino);
        let kind = file_type(found);
        // A socket means nothing without its process.
        if kind == FileType::Socket {
            return Ok(());
        }
        if kind != FileType::Directory && found.stx_nlink > 1 {
            if let Some(first) = self.links.get(&inode) {
                let mut header = self.header(found, tar::EntryType::Link);
                return link(&mut self.builder, &mut header, path, first);
            }
            self.links.insert(inode, path.to_owned());
        }
        let special = match kind {
            FileType::Directory => {
                let mut header = self.header(found, tar::EntryType::Directory);
                return self
                    .builder
                    .append_data(&mut header, slashed(path), io::empty())
                    .map_err(writing);
            }
            FileType::RegularFile => return self.regular(handle, found, path),
            FileType::Symlink => {
                let target = target(handle).map_err(failed("read link", path))?;
                let mut header = self.header(found, tar::EntryType::Symlink);
                return link(&mut self.builder, &mut header, path, &target);
            }
            FileType::CharacterDevice => tar::EntryType::Char,
            FileType::BlockDevice => tar::EntryType::Block,
            FileType::Fifo => tar::EntryType::Fifo,
            _ => return Ok(()),
        };
        let mut header = self.header(found, special);
        header
            .set_device_major(found.stx_rdev_major)
            .and_then(|()| header.set_device_minor(found.stx_rdev_minor))
            .map_err(writing)?;
        self.builder
            .append_data(&mut header, path, io::empty())
            .map_err(writing)
    }

    fn regular(&mut self, handle: &OwnedFd, found: &Statx, path: &Path) -> Result<(), CopyError> {
        let file = super::reopen(handle).map_err(failed("open", path))?;
        let mut capability = [0; 64];
        if let Ok(length) = rustix::fs::getxattr(by_handle(handle), CAPABILITY, &mut capability) {
            let value = capability.get(..length).unwrap_or_default();
            self.builder
                .append_pax_extensions([(CAPABILITY_IN_PAX, value)])
                .map_err(writing)?;
        }
        let mut header = self.header(found, tar::EntryType::Regular);
        header.set_size(found.stx_size);
        let content = Content {
            file,
            left: found.stx_size,
        };
        self.builder
            .append_data(&mut header, path, content)
            .map_err(|source| CopyError::System {
                operation: "pack",
                path: path.to_owned(),
                source,
            })
    }
}

fn file_type(found: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(found.stx_mode))
}

fn level(handle: &OwnedFd, found: &Statx, path: PathBuf) -> Result<Option<Level>, CopyError> {
    if file_type(found) != FileType::Directory {
        return Ok(None);
    }
    let names = names(handle).map_err(failed("list", &path))?;
    let directory = handle.try_clone().map_err(|source| CopyError::System {
        operation: "open",
        path: path.clone(),
        source,
    })?;
    Ok(Some(Level {
        directory,
        mount: found.stx_mnt_id,
        path,
        names: names.into_iter(),
    }))
}

/// A directory's name as archives have it.
fn slashed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("/");
    PathBuf::from(name)
}

fn link(
    builder: &mut tar::Builder<&mut dyn Write>,
    header: &mut tar::Header,
    path: &Path,
    target: &Path,
) -> Result<(), CopyError> {
    // As it stands, where it fits: the longer way takes a path apart and loses what is doubled in it.
    let literal = header.set_link_name_literal(target.as_os_str().as_bytes());
    match literal {
        Ok(()) => builder.append_data(header, path, io::empty()),
        Err(_) => builder.append_link(header, path, target),
    }
    .map_err(writing)
}

/// A file's content, of the length that its header tells: what was cut off meanwhile reads as zeros, as with other
/// archivers, and what was added is left out.
struct Content {
    file: File,
    left: u64,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let length = buffer.len().min(most);
        let Some(buffer) = buffer.get_mut(..length).filter(|part| !part.is_empty()) else {
            return Ok(0);
        };
        let read = match self.file.read(buffer)? {
            0 => {
                buffer.fill(0);
                length
            }
            read => read,
        };
        self.left -= read as u64;
        Ok(read)
    }
}
