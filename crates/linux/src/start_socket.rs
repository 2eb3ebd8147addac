//! The socket of a container that is created and not yet started: its process waits there, and whoever starts it connects.
//!
//! It lies in the container's folder, which only its owner may enter. Its name is there for as long as the program was not
//! started: that is what tells a created container from a running one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use hoist_compute::Result;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, open, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use crate::service::system;

const NAME: &str = "start";

/// Makes the socket in `folder`.
pub(crate) fn make(folder: &Path) -> Result<OwnedFd> {
    at(folder, |socket, address| {
        // The mode that the name will have, whatever the caller's umask.
        fchmod(socket, Mode::RUSR | Mode::WUSR)?;
        bind(socket, address)?;
        listen(socket, 1)
    })
    .map_err(|error| system("make the socket that the container is started by", error))
}

/// Connects to whoever waits at the socket in `folder`; none where nobody does.
pub(crate) fn connect_to(folder: &Path) -> Result<Option<OwnedFd>> {
    match at(folder, |socket, address| connect(socket, address)) {
        Ok(socket) => Ok(Some(socket)),
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ECONNREFUSED | libc::ENOENT)
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(system("connect to the container's process", error)),
    }
}

/// Whether the program was not started yet.
pub(crate) fn is_there(folder: &Path) -> bool {
    statat(
        rustix::fs::CWD,
        folder.join(NAME),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .is_ok()
}

/// Removes the name: the program was started. One that is gone is success.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match unlinkat(rustix::fs::CWD, folder.join(NAME), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(system("note that the container was started", errno.into())),
    }
}

/// A socket, and its address by way of the folder's descriptor: an address holds only 107 bytes.
fn at(
    folder: &Path,
    act: impl FnOnce(&OwnedFd, &SocketAddrUnix) -> rustix::io::Result<()>,
) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(folder, flags, Mode::empty())?;
    let number = folder.as_fd().as_raw_fd();
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{number}/{NAME}"))?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    act(&socket, &address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_there_until_it_is_removed_and_its_name_may_be_deep() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a".repeat(120));
        std::fs::create_dir(&folder).unwrap();
        assert!(connect_to(&folder).unwrap().is_none());
        let listener = make(&folder).unwrap();
        assert!(is_there(&folder));
        assert!(connect_to(&folder).unwrap().is_some());
        drop(listener);
        assert!(connect_to(&folder).unwrap().is_none());
        remove(&folder).unwrap();
        remove(&folder).unwrap();
        assert!(!is_there(&folder));
    }
}
