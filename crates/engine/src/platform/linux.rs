//! Linux: the kernel's own containers, recorded below `/run/hoist` or in the user's own place.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use hoist_compute::{
    ComputeService, Error, ErrorKind, OsCode, Phase, Result, StreamTransport, Timeline,
};
use hoist_host::{HostOptions, HostService};
use hoist_linux::{LinuxOptions, LinuxService};
use rustix::{
    process::geteuid,
    rand::{GetRandomFlags, getrandom},
};

use super::{Ownership, backends::Backends};

/// `/run/hoist` for root; `$XDG_RUNTIME_DIR/hoist` or else `/tmp/hoist-UID` for a user.
///
/// A runtime directory that is not the user's own is passed over: `su` and `sudo -E` leave another user's behind.
pub(crate) fn default_state_root() -> Result<PathBuf> {
    let uid = geteuid();
    if uid.is_root() {
        return Ok("/run/hoist".into());
    }
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .filter(|dir| fs::metadata(dir).is_ok_and(|found| found.uid() == uid.as_raw()));
    Ok(match runtime_dir {
        Some(dir) => dir.join("hoist"),
        None => format!("/tmp/hoist-{}", uid.as_raw()).into(),
    })
}

/// `/var/lib/hoist` for root; `$XDG_DATA_HOME/hoist` or else `~/.local/share/hoist` for a user, or what the state root of one
/// without a home is.
pub(crate) fn default_data_root() -> Result<PathBuf> {
    if geteuid().is_root() {
        return Ok("/var/lib/hoist".into());
    }
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
    };
    match absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
    {
        Some(dir) => Ok(dir.join("hoist")),
        None => default_state_root(),
    }
}

/// The containers recorded below `state_root`, which is made where it is not there yet.
pub(crate) fn service(
    state_root: &Path,
    timeline: Option<Arc<Timeline>>,
    ownership: Ownership,
    transport: StreamTransport,
) -> Result<Arc<dyn ComputeService>> {
    if transport != StreamTransport::Direct {
        return Err(Error::new(
            ErrorKind::Unsupported,
            Phase::Plan,
            "carry the streams of processes by named pipes",
        )
        .because("Windows alone has them")
        .remedy("choose the direct transport, by which processes inherit what they are given"));
    }
    private_directory(state_root)?;
    let options = LinuxOptions {
        timeline,
        waits_for_each: ownership.waits_for_each,
        takes_containers_along: ownership.takes_containers_along,
        ..LinuxOptions::default()
    };
    let isolated = LinuxService::with_options(state_root.to_path_buf(), options)?;
    let options = HostOptions {
        takes_containers_along: ownership.takes_containers_along,
        ..HostOptions::default()
    };
    let unisolated = HostService::with_options(state_root.to_path_buf(), options);
    Ok(Arc::new(Backends {
        isolated,
        unisolated,
    }))
}

/// Fills `buffer` with random bytes of the kernel.
pub(crate) fn random(buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(
                    Error::new(ErrorKind::System, Phase::Plan, "read random bytes")
                        .call("getrandom")
                        .code(OsCode::Errno(errno.raw_os_error())),
                );
            }
        }
    }
    Ok(())
}

/// Whether an open file still has a name in a directory.
pub(crate) fn is_linked(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() > 0)
}

/// Makes sure of a directory that is ours and that nobody else can look into, whatever the umask.
pub(crate) fn private_directory(path: &Path) -> Result<()> {
    // Not followed: in /tmp another user may have put a link in our name's place.
    let look = || fs::symlink_metadata(path);
    let found = match look() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(path)
                .map_err(|error| failed("mkdir", path, error))?;
            look()
        }
        found => found,
    };
    let found = found.map_err(|error| failed("lstat", path, error))?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            Phase::Plan,
            format!("use {} as the state directory", path.display()),
        )
        .because("it is not a directory of the calling user")
        .remedy("remove it, or choose another state directory"));
    }
    if found.mode() & 0o7777 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(|error| failed("chmod", path, error))?;
    }
    Ok(())
}

fn failed(call: &'static str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::System,
    };
    let failure = Error::new(
        kind,
        Phase::Plan,
        format!("make the state directory {}", path.display()),
    )
    .call(call);
    match error.raw_os_error() {
        Some(errno) => failure.code(OsCode::Errno(errno)),
        None => failure.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_private_and_made_with_its_parents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        private_directory(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        private_directory(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_link_in_place_of_the_state_directory_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("hoist");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let error = private_directory(&link).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
}
