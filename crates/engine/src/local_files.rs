//! This machine's own files, to be copied to and from a container's.

use std::io::{Read, Write};
use std::path::Path;

use hoist_compute::{
    Error, ErrorKind, FileKind, FileStat, Files, OsCode, Ownership, Phase, Result,
};
use hoist_linux::root::pack::{CopyError, Ids, Mounts, look, pack};
use hoist_linux::root::unpack::{Owner, Unpack};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// This machine's files, under the caller's rights. The paths are the caller's own words; what an archive from a container
/// says is trusted no further than the directory it is unpacked in, and makes no devices there.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFiles;

fn find(path: &Path, follow: bool) -> Result<Option<OwnedFd>> {
    let last = match follow {
        true => OFlags::empty(),
        false => OFlags::NOFOLLOW,
    };
    match open(path, OFlags::PATH | OFlags::CLOEXEC | last, Mode::empty()) {
        Ok(handle) => Ok(Some(handle)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(failed(path, errno)),
    }
}

fn must_find(path: &Path, follow: bool) -> Result<OwnedFd> {
    find(path, follow)?.ok_or_else(|| failed(path, Errno::NOENT))
}

fn failed(path: &Path, errno: Errno) -> Error {
    let kind = match errno {
        Errno::NOENT => ErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM => ErrorKind::PermissionDenied,
        _ => ErrorKind::System,
    };
    Error::new(kind, Phase::Operate, format!("open {}", path.display()))
        .code(OsCode::Errno(errno.raw_os_error()))
}

impl Files for LocalFiles {
    fn stat(&self, path: &Path, follow: bool) -> Result<Option<FileStat>> {
        let Some(handle) = find(path, follow)? else {
            return Ok(None);
        };
        look(&handle).map(Some).map_err(|errno| failed(path, errno))
    }

    fn pack(&self, path: &Path, follow: bool, name: &Path, archive: &mut dyn Write) -> Result<()> {
        let handle = must_find(path, follow)?;
        Ok(pack(
            &handle,
            name,
            Ids::default(),
            Mounts::Kept { but: None },
            archive,
        )?)
    }

    fn unpack(&self, directory: &Path, owner: Ownership, archive: &mut dyn Read) -> Result<()> {
        let handle = must_find(directory, true)?;
        let found = look(&handle).map_err(|errno| failed(directory, errno))?;
        if found.kind != FileKind::Directory {
            return Err(CopyError::Refused {
                operation: "unpack in",
                path: directory.to_owned(),
                reason: "it is no directory".to_owned(),
            }
            .into());
        }
        let is_root = rustix::process::geteuid().is_root();
        let manner = Unpack {
            // Only root can give files away.
            owner: match owner {
                Ownership::Archive if is_root => Owner::Archive,
                _ => Owner::Caller,
            },
            ids: Ids::default(),
            keeps_rights: owner == Ownership::Archive && is_root,
            makes_devices: false,
        };
        Ok(manner.unpack(&handle, archive)?)
    }
}
