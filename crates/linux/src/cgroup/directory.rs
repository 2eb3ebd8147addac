//! One directory of a cgroup file system: its files, and the directories below it.

use std::{
    ffi::CStr,
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, fstat, open, openat, unlinkat},
    io::{Errno, retry_on_intr},
    path::Arg,
};

use super::{
    layout::Version,
    record::{DirectoryRecord, Identity},
};
use crate::whole_file::read_text_at;

/// A cgroup in one hierarchy, held open: what is done through it reaches this very cgroup, and fails once it is gone.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) handle: OwnedFd,
    pub(crate) version: Version,
    pub(crate) controllers: Vec<String>,
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    /// Who may look into it, as that was when it was opened.
    pub(crate) mode: Mode,
    /// There were cgroups below it when it was opened.
    pub(crate) has_children: bool,
}

impl Directory {
    /// Opens the directory at `record.path`. `None` where there is none, or another than the one recorded.
    pub(crate) fn open(record: &DirectoryRecord) -> io::Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match open(&record.path, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&handle)?;
        let identity = Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        };
        if record.identity.is_some_and(|made| made != identity) {
            return Ok(None);
        }
        Ok(Some(Self {
            handle,
            version: record.version,
            controllers: record.controllers.clone(),
            path: record.path.clone(),
            identity,
            mode: Mode::from_raw_mode(stat.st_mode),
            has_children: stat.st_nlink > 2,
        }))
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    pub(crate) fn read(&self, file: &str) -> io::Result<String> {
        read_text_at(&self.handle, file)
    }

    pub(crate) fn write(&self, file: &str, value: &str) -> io::Result<()> {
        write_at(&self.handle, file, value)
    }

    /// A number that is the whole of a file; `None` for `max`.
    pub(crate) fn number(&self, file: &str) -> io::Result<Option<u64>> {
        Ok(self.read(file)?.trim().parse().ok())
    }

    /// The number after `key` in a file of keys and numbers.
    pub(crate) fn keyed(&self, file: &str, key: &str) -> io::Result<Option<u64>> {
        Ok(value_of(&self.read(file)?, key))
    }

    /// The number of directories below, as the file system counts them: no need to read a directory of fifty files.
    pub(crate) fn is_leaf(&self) -> bool {
        fstat(&self.handle).is_ok_and(|stat| stat.st_nlink == 2)
    }

    /// Calls `visit` with this directory and every one below it.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(&OwnedFd) -> io::Result<()>) -> io::Result<()> {
        if self.is_leaf() {
            visit(&self.handle)
        } else {
            walk(&self.handle, visit)
        }
    }
}

/// The number after `key` in a text of lines `key number`.
pub(crate) fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .and_then(|number| number.trim().parse().ok())
}

pub(crate) fn write_at(directory: impl AsFd, file: impl Arg, value: &str) -> io::Result<()> {
    let handle = openat(
        directory,
        file,
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    retry_on_intr(|| rustix::io::write(&handle, value.as_bytes()))?;
    Ok(())
}

fn walk(directory: &OwnedFd, visit: &mut dyn FnMut(&OwnedFd) -> io::Result<()>) -> io::Result<()> {
    visit(directory)?;
    for_each_below(directory, &mut |below, _| walk(&below, visit))
}

/// Removes the cgroups below an open directory, the deepest first. One that cannot be removed stays: removing its
/// parent then says so.
pub(crate) fn remove_below(directory: &OwnedFd) -> io::Result<()> {
    for_each_below(directory, &mut |below, name| {
        remove_below(&below)?;
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::BUSY) => Ok(()),
            Err(error) => Err(error.into()),
        }
    })
}

fn for_each_below(
    directory: &OwnedFd,
    act: &mut dyn FnMut(OwnedFd, &CStr) -> io::Result<()>,
) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // The handle is a path only; and the position in a directory belongs to whoever opened it.
    let list = match openat(directory, ".", flags | OFlags::RDONLY, Mode::empty()) {
        Ok(list) => list,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut names = Vec::new();
    let mut entries = RawDir::new(&list, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    for name in names {
        match openat(directory, &name, flags | OFlags::PATH, Mode::empty()) {
            Ok(below) => act(below, &name)?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether an error says that the cgroup itself was removed meanwhile.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

/// Which directory is at `path`.
pub(crate) fn identity_at(path: &Path) -> io::Result<Option<Identity>> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        })),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::{fs::Cgroup, record::CgroupRecord};
    use super::*;

    /// A cgroup that is a directory of ordinary files: what the kernel would tell stands in them.
    pub(crate) fn fake(version: Version, files: &[(&str, &str)]) -> (TempDir, Cgroup) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let record = CgroupRecord {
            directories: vec![DirectoryRecord {
                controllers: ["memory", "freezer", "blkio"].map(str::to_owned).to_vec(),
                version,
                path: folder.path().to_owned(),
                identity: None,
            }],
        };
        let cgroup = Cgroup::open(&record).unwrap();
        (folder, cgroup)
    }

    #[test]
    fn a_long_file_is_read_whole() {
        let text = "123456\n".repeat(3000);
        let (_folder, cgroup) = fake(Version::V2, &[("cgroup.procs", &text)]);
        assert_eq!(cgroup.directories[0].read("cgroup.procs").unwrap(), text);
        assert_eq!(cgroup.pids().unwrap().len(), 3000);
    }

    #[test]
    fn a_key_is_matched_whole() {
        assert_eq!(value_of("oom 3\noom_kill 7\n", "oom_kill"), Some(7));
        assert_eq!(value_of("oom_kill_disable 1\n", "oom_kill"), None);
    }

    #[test]
    fn processes_of_nested_cgroups_are_counted_and_those_of_other_namespaces_not() {
        let (_folder, cgroup) = fake(
            Version::V2,
            &[
                ("cgroup.procs", "5\n0\n"),
                ("a/b/cgroup.procs", "6\n"),
                ("a/cgroup.procs", ""),
            ],
        );
        assert_eq!(cgroup.pids().unwrap(), [5, 6]);
    }
}
