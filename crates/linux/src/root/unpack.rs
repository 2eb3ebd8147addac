//! Unpacking a tar archive in a directory that is held by handle.
//!
//! Archive and directory may both be an attacker's, and the directory may change meanwhile. Every entry's parent is resolved
//! below the handle, following no link; the entry is made there under a name of its own that must not exist, and takes the
//! place of what is there by a rename: nothing that exists is ever opened, written to or followed.

use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmod, fchmod,
    fsetxattr, linkat, makedev, mkdirat, mknodat, openat, renameat, statat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::Errno;

use super::pack::{CAPABILITY, CAPABILITY_IN_PAX, CopyError, Ids, failed};
use super::{BENEATH, by_handle, open_resolved};

/// Bits of a mode that lend rights.
const SET_ID: u32 = 0o6000;

/// Whose the unpacked files become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Whoever's unpacks.
    Caller,
    /// This user and group of the archive's ids.
    Of(u32, u32),
    /// Those that the archive tells.
    Archive,
}

/// How an archive is unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Unpack<'a> {
    /// Whose the files become.
    pub owner: Owner,
    /// What the archive's ids mean here.
    pub ids: Ids<'a>,
    /// Set-id bits and capabilities of files are kept.
    pub keeps_rights: bool,
    /// Devices are made; otherwise one is an error.
    pub makes_devices: bool,
}

impl Unpack<'_> {
    /// Unpacks `archive` in `directory`.
    ///
    /// # Errors
    ///
    /// The first entry that cannot be made, by its name; what came before it is there.
    pub fn unpack(self, directory: &OwnedFd, archive: &mut dyn Read) -> Result<(), CopyError> {
        let mut unpacker = Unpacker {
            manner: self,
            top: directory,
            parent: None,
            directories: Vec::new(),
            count: 0,
        };
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(reading)? {
            unpacker.entry(&mut entry.map_err(reading)?)?;
        }
        unpacker.finish();
        // What follows the end of the archive is its writer's to get rid of.
        io::copy(&mut archive.into_inner(), &mut io::sink())
            .map(drop)
            .map_err(reading)
    }
}

fn reading(source: io::Error) -> CopyError {
    CopyError::Archive {
        operation: "read",
        source,
    }
}

/// Fills a file; what is nothing but zeros becomes a hole. A sparse file's are in no archive: one of a few bytes tells of gibibytes.
fn fill_sparse(from: &mut impl Read, file: &mut std::fs::File) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return file.set_len(length),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        length += count as u64;
        match buffer[..count].iter().all(|byte| *byte == 0) {
            true => drop(file.seek(SeekFrom::Start(length))?),
            false => file.write_all(&buffer[..count])?,
        }
    }
}

fn refused(path: &Path, reason: impl Into<String>) -> CopyError {
    CopyError::Refused {
        operation: "unpack",
        path: path.to_owned(),
        reason: reason.into(),
    }
}

struct Unpacker<'a> {
    manner: Unpack<'a>,
    top: &'a OwnedFd,
    /// The last entry's parent: the next is mostly there, too.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Directories that were made, whose times are set when nothing more is put in them.
    directories: Vec<(PathBuf, i64)>,
    count: u64,
}

/// What an entry says of its file.
struct Attributes {
    mode: u32,
    owner: Option<(u32, u32)>,
    modified: i64,
}

impl Unpacker<'_> {
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), CopyError> {
        use tar::EntryType;
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let path = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
        let Some((parent, name)) = place(&path)? else {
            // The directory itself, which is there and stays as it is.
            return Ok(());
        };
        let attributes = self.attributes(entry, &path)?;
        let parent = self.parent(&parent)?;
        let parent = parent.as_fd();
        match kind {
            EntryType::Directory => {
                self.directory(parent, &name, &path, &attributes)?;
                return Ok(());
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.regular(parent, &name, &path, entry, &attributes)?;
                return Ok(());
            }
            _ => {}
        }
        let made = self.draft();
        let target = entry.link_name_bytes();
        let target = || {
            let target = target.as_deref().map(OsStr::from_bytes);
            target.ok_or_else(|| refused(&path, "the link has no target"))
        };
        match kind {
            EntryType::Symlink => {
                symlinkat(target()?, parent, &made).map_err(failed("make link", &path))?;
            }
            EntryType::Link => {
                let target = target()?;
                self.hard_link(Path::new(target), parent, &made, &path)?;
                return self.place(parent, &made, &name, &path);
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                self.node(kind, parent, &made, &path, entry.header(), &attributes)?;
            }
            _ => {
                return Err(refused(
                    &path,
                    format!("an entry of type {kind:?} is unknown"),
                ));
            }
        }
        self.finish_node(parent, &made, &path, &attributes)
            .and_then(|()| self.place(parent, &made, &name, &path))
            .inspect_err(|_| discard(parent, &made))
    }

    /// A name that nothing else has.
    fn draft(&mut self) -> PathBuf {
        self.count += 1;
        PathBuf::from(format!(".hoist-copy-{}-{}", std::process::id(), self.count))
    }

    fn attributes<R: Read>(
        &self,
        entry: &tar::Entry<'_, R>,
        path: &Path,
    ) -> Result<Attributes, CopyError> {
        let header = entry.header();
        let number =
            |value: u64| u32::try_from(value).map_err(|_| refused(path, "its owner is no id"));
        let owner = match self.manner.owner {
            Owner::Caller => None,
            Owner::Of(uid, gid) => Some((uid, gid)),
            Owner::Archive => Some((
                number(header.uid().map_err(reading)?)?,
                number(header.gid().map_err(reading)?)?,
            )),
        };
        let owner = owner.map(|(uid, gid)| {
            self.manner
                .ids
                .outside(uid, gid)
                .ok_or_else(|| refused(path, format!("its owner {uid}:{gid} is not mapped")))
        });
        let mut mode = header.mode().map_err(reading)? & 0o7777;
        if !self.manner.keeps_rights {
            mode &= !SET_ID;
        }
        Ok(Attributes {
            mode,
            owner: owner.transpose()?,
            modified: i64::try_from(header.mtime().map_err(reading)?).unwrap_or(0),
        })
    }

    /// The directory that `path` names below the top, made where it is missing.
    fn parent(&mut self, path: &Path) -> Result<OwnedFd, CopyError> {
        let copy = |handle: &OwnedFd| {
            handle.try_clone().map_err(|source| CopyError::System {
                operation: "open",
                path: path.to_owned(),
                source,
            })
        };
        if path.as_os_str().is_empty() {
            return copy(self.top);
        }
        if let Some((known, handle)) = &self.parent
            && known == path
        {
            return copy(handle);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let handle = match open_resolved(self.top, path, flags, BENEATH) {
            Err(Errno::NOENT) => self.make_parent(path)?,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(refused(
                    path,
                    "it is a symbolic link or no directory, and nothing is put below such",
                ));
            }
            result => result.map_err(failed("open", path))?,
        };
        let result = copy(&handle);
        self.parent = Some((path.to_owned(), handle));
        result
    }

    fn make_parent(&mut self, path: &Path) -> Result<OwnedFd, CopyError> {
        let above = self.parent(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or_default();
        match mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("make directory", path)(errno)),
        }
        let made = open_directory(above.as_fd(), name).map_err(failed("open", path))?;
        let owner = match self.manner.owner {
            Owner::Caller => None,
            Owner::Of(uid, gid) => self.manner.ids.outside(uid, gid),
            Owner::Archive => self.manner.ids.outside(0, 0),
        };
        own(&made, owner).map_err(failed("give", path))?;
        Ok(made)
    }

    fn directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: &Path,
        attributes: &Attributes,
    ) -> Result<(), CopyError> {
        match mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                // One that is there keeps its owner and mode.
                return match file_type(parent, name).map_err(failed("look at", path))? {
                    Some(FileType::Directory) => Ok(()),
                    _ => Err(refused(
                        path,
                        "cannot overwrite what is no directory with a directory",
                    )),
                };
            }
            Err(errno) => return Err(failed("make directory", path)(errno)),
        }
        let made = open_directory(parent, name).map_err(failed("open", path))?;
        own(&made, attributes.owner).map_err(failed("give", path))?;
        fchmod(&made, Mode::from_raw_mode(attributes.mode)).map_err(failed("set mode of", path))?;
        self.directories
            .push((path.to_owned(), attributes.modified));
        Ok(())
    }

    fn regular<R: Read>(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: &Path,
        entry: &mut tar::Entry<'_, R>,
        attributes: &Attributes,
    ) -> Result<(), CopyError> {
        let draft = self.draft();
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let file = openat(parent, &draft, flags, Mode::from_raw_mode(0o600))
            .map_err(failed("make", path))?;
        let fill = || {
            let mut file = std::fs::File::from(file);
            let filled = match entry.header().entry_type().is_gnu_sparse() {
                true => fill_sparse(entry, &mut file),
                false => io::copy(entry, &mut file).map(drop),
            };
            filled.map_err(|source| CopyError::System {
                operation: "write",
                path: path.to_owned(),
                source,
            })?;
            own(&file, attributes.owner).map_err(failed("give", path))?;
            fchmod(&file, Mode::from_raw_mode(attributes.mode))
                .map_err(failed("set mode of", path))?;
            if self.manner.keeps_rights
                && let Some(value) = capability(entry)?
            {
                fsetxattr(&file, CAPABILITY, &value, XattrFlags::empty())
                    .map_err(failed("set capabilities of", path))?;
            }
            rustix::fs::futimens(&file, &times(attributes.modified))
                .map_err(failed("set times of", path))
        };
        fill()
            .and_then(|()| self.place(parent, &draft, name, path))
            .inspect_err(|_| discard(parent, &draft))
    }

    /// Another name of a file that the archive has brought: looked for below the top, as the archive names it.
    fn hard_link(
        &mut self,
        target: &Path,
        parent: BorrowedFd<'_>,
        draft: &Path,
        path: &Path,
    ) -> Result<(), CopyError> {
        let Some((above, name)) = place(target)? else {
            return Err(refused(path, "a directory can have no second name"));
        };
        let above = self.parent(&above)?;
        if file_type(above.as_fd(), &name).map_err(failed("look at", path))?
            == Some(FileType::Directory)
        {
            return Err(refused(path, "a directory can have no second name"));
        }
        linkat(&above, &name, parent, draft, AtFlags::empty()).map_err(failed("link", path))
    }

    fn node(
        &self,
        kind: tar::EntryType,
        parent: BorrowedFd<'_>,
        draft: &Path,
        path: &Path,
        header: &tar::Header,
        attributes: &Attributes,
    ) -> Result<(), CopyError> {
        let file_type = match kind {
            tar::EntryType::Fifo => FileType::Fifo,
            tar::EntryType::Char => FileType::CharacterDevice,
            _ => FileType::BlockDevice,
        };
        if file_type != FileType::Fifo && !self.manner.makes_devices {
            return Err(refused(
                path,
                "it is a device, and none is made on this machine: write the archive to a file with \"-\" instead",
            ));
        }
        let number = |number: io::Result<Option<u32>>| number.map_err(reading);
        let (major, minor) = match file_type {
            FileType::Fifo => (0, 0),
            _ => (
                number(header.device_major())?.unwrap_or(0),
                number(header.device_minor())?.unwrap_or(0),
            ),
        };
        let mode = Mode::from_raw_mode(attributes.mode & 0o777);
        mknodat(parent, draft, file_type, mode, makedev(major, minor))
            .map_err(failed("make", path))?;
        // Whatever the umask is. Not by name: a link could have come in its place.
        let finish = || {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = openat(parent, draft, flags, Mode::empty()).map_err(failed("open", path))?;
            match rustix::fs::fstat(&made) {
                Ok(found) if FileType::from_raw_mode(found.st_mode) == file_type => {
                    chmod(by_handle(&made), mode).map_err(failed("set mode of", path))
                }
                _ => Err(refused(path, "something else has taken its place")),
            }
        };
        finish().inspect_err(|_| discard(parent, draft))
    }

    /// Sets what is known of a file that cannot be opened.
    fn finish_node(
        &self,
        parent: BorrowedFd<'_>,
        draft: &Path,
        path: &Path,
        attributes: &Attributes,
    ) -> Result<(), CopyError> {
        if let Some((uid, gid)) = attributes.owner {
            rustix::fs::chownat(
                parent,
                draft,
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(gid)),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .map_err(failed("give", path))?;
        }
        utimensat(
            parent,
            draft,
            &times(attributes.modified),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(failed("set times of", path))
    }

    /// Gives a finished file its name.
    fn place(
        &self,
        parent: BorrowedFd<'_>,
        draft: &Path,
        name: &OsStr,
        path: &Path,
    ) -> Result<(), CopyError> {
        match renameat(parent, draft, parent, name) {
            Ok(()) => {
                // A second name of the same file is left where it was (rename(2)).
                discard(parent, draft);
                Ok(())
            }
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                discard(parent, draft);
                Err(refused(
                    path,
                    "cannot overwrite a directory with what is none",
                ))
            }
            Err(errno) => {
                discard(parent, draft);
                Err(failed("replace", path)(errno))
            }
        }
    }

    fn finish(&mut self) {
        for (path, modified) in self.directories.drain(..).rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            // It was there a moment ago; whoever has taken it away since does not care for its time.
            if let Ok(directory) = open_resolved(self.top, &path, flags, BENEATH) {
                let _ = rustix::fs::futimens(&directory, &times(modified));
            }
        }
    }
}

/// An entry's directory and its name there; none where it names the top itself.
fn place(path: &Path) -> Result<Option<(PathBuf, std::ffi::OsString)>, CopyError> {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(refused(path, "its name leads out of the archive"));
            }
        }
    }
    let Some(name) = parts.file_name().map(OsStr::to_owned) else {
        return Ok(None);
    };
    parts.pop();
    Ok(Some((parts, name)))
}

fn open_directory(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    openat(
        parent,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn file_type(parent: BorrowedFd<'_>, name: &OsStr) -> Result<Option<FileType>, Errno> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Gives away a file. To whom it belongs already, nothing need be given: only root may give at all.
fn own(file: impl AsFd, owner: Option<(u32, u32)>) -> Result<(), Errno> {
    let Some((uid, gid)) = owner else {
        return Ok(());
    };
    let found = rustix::fs::fstat(&file)?;
    if (found.st_uid, found.st_gid) == (uid, gid) {
        return Ok(());
    }
    rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

/// The capabilities that an entry tells of its file.
fn capability<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Option<Vec<u8>>, CopyError> {
    let Some(extensions) = entry.pax_extensions().map_err(reading)? else {
        return Ok(None);
    };
    for extension in extensions {
        let extension = extension.map_err(reading)?;
        if extension.key_bytes() == CAPABILITY_IN_PAX.as_bytes() {
            return Ok(Some(extension.value_bytes().to_vec()));
        }
    }
    Ok(None)
}

/// Best effort: what cannot be removed is the container's to keep.
fn discard(parent: BorrowedFd<'_>, draft: &Path) {
    let _ = unlinkat(parent, draft, AtFlags::empty());
}

fn times(modified: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: modified,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::root::directory;

    /// An archive of entries that no honest archiver writes: name, type, target of a link.
    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, target) in entries {
            let mut header = tar::Header::new_gnu();
            // Past the checks of the one who writes.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(if *kind == tar::EntryType::Regular {
                3
            } else {
                0
            });
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            if !target.is_empty() {
                header.set_link_name_literal(target).unwrap();
            }
            header.set_cksum();
            let content: &[u8] = match *kind {
                tar::EntryType::Regular => b"new",
                _ => b"",
            };
            builder.append(&header, content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpack(into: &Path, entries: &[(&str, tar::EntryType, &str)]) -> Result<(), CopyError> {
        let manner = Unpack {
            owner: Owner::Caller,
            ids: Ids::default(),
            keeps_rights: false,
            makes_devices: false,
        };
        manner.unpack(&directory(into).unwrap(), &mut archive(entries).as_slice())
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;
    const SYMLINK: tar::EntryType = tar::EntryType::Symlink;
    const LINK: tar::EntryType = tar::EntryType::Link;

    // security.md 2a, the docker cp rows: an archive is the attacker's, too.
    #[test]
    fn the_holes_of_a_sparse_file_take_no_room() {
        let mut header = tar::Header::new_gnu();
        header.set_path("holes").unwrap();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_size(512);
        header.set_mode(0o644);
        header.set_mtime(0);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size((1 << 30) + 512);
        gnu.sparse[0].set_offset(1 << 30);
        gnu.sparse[0].set_length(512);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, &[b'x'; 512][..]).unwrap();
        let archive = builder.into_inner().unwrap();

        let folder = tempfile::tempdir().unwrap();
        let manner = Unpack {
            owner: Owner::Caller,
            ids: Ids::default(),
            keeps_rights: false,
            makes_devices: false,
        };
        manner
            .unpack(&directory(folder.path()).unwrap(), &mut &archive[..])
            .unwrap();
        let made = fs::metadata(folder.path().join("holes")).unwrap();
        assert_eq!(made.len(), (1 << 30) + 512);
        assert!(made.blocks() < 1000, "{} blocks", made.blocks());
    }

    #[test]
    fn an_archive_that_leads_out_of_its_directory_is_refused_and_nothing_outside_is_touched() {
        for entries in [
            &[("../bait/secret", FILE, "")][..],
            &[("a/../../bait/secret", FILE, "")],
            &[("out", SYMLINK, "../bait"), ("out/secret", FILE, "")],
            &[("out", SYMLINK, "../bait"), ("out/new/deep", FILE, "")],
            &[("out", SYMLINK, ".."), ("again", LINK, "out/bait/secret")],
            &[("again", LINK, "../bait/secret")],
            &[("again", LINK, "../bait/secret"), ("again", FILE, "")],
            &[("node", tar::EntryType::Char, "")],
        ] {
            let top = tempfile::tempdir().unwrap();
            let (into, bait) = (top.path().join("into"), top.path().join("bait"));
            fs::create_dir(&into).unwrap();
            fs::create_dir(&bait).unwrap();
            fs::write(bait.join("secret"), "secret").unwrap();
            assert!(unpack(&into, entries).is_err(), "{entries:?}");
            assert_eq!(names(&bait), ["secret"], "{entries:?}");
            assert_eq!(fs::read_to_string(bait.join("secret")).unwrap(), "secret");
            assert!(
                names(&into).iter().all(|name| !name.starts_with('.')),
                "{entries:?} left {:?}",
                names(&into)
            );
        }
    }

    #[test]
    fn an_absolute_name_is_one_below_the_directory() {
        let into = tempfile::tempdir().unwrap();
        unpack(into.path(), &[("/etc/passwd", FILE, "")]).unwrap();
        assert_eq!(names(into.path()), ["etc"]);
    }

    #[test]
    fn what_is_there_is_replaced_and_never_opened_or_written_through() {
        let top = tempfile::tempdir().unwrap();
        let into = top.path().join("into");
        fs::create_dir(&into).unwrap();
        let bait = top.path().join("bait");
        fs::write(&bait, "secret").unwrap();
        symlink(&bait, into.join("link")).unwrap();
        // Opening it for writing would wait for a reader.
        rustix::fs::mknodat(
            rustix::fs::CWD,
            into.join("fifo"),
            FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        fs::hard_link(&bait, into.join("second")).unwrap();
        let all = [("link", FILE, ""), ("fifo", FILE, ""), ("second", FILE, "")];
        unpack(&into, &all).unwrap();
        assert_eq!(fs::read_to_string(&bait).unwrap(), "secret");
        for (name, ..) in all {
            assert_eq!(fs::read_to_string(into.join(name)).unwrap(), "new");
        }
        assert_eq!(names(&into), ["fifo", "link", "second"]);
    }

    #[test]
    fn links_of_an_archive_are_links_to_what_it_brought() {
        let into = tempfile::tempdir().unwrap();
        let all = [
            ("d/f", FILE, ""),
            ("d/again", LINK, "d/f"),
            ("l", SYMLINK, "d/f"),
        ];
        unpack(into.path(), &all).unwrap();
        // Once more over itself: two names of one file are no reason to leave anything behind.
        unpack(into.path(), &all).unwrap();
        assert_eq!(names(&into.path().join("d")), ["again", "f"]);
        assert_eq!(fs::read_to_string(into.path().join("l")).unwrap(), "new");
    }
}
