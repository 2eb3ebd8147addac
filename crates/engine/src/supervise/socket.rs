//! The supervisor's socket: listening, and connecting to one.
//!
//! Both go through a handle of the folder, so that the length of its path does not matter (unix(7): 108 bytes).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
        socket_with, socketpair, sockopt::socket_peercred,
    },
    process::{Pid, geteuid},
};

const NAME: &str = "control";
const BACKLOG: i32 = 64;

/// Makes the socket in `folder` and listens. Whoever may enter the folder can connect; who does is looked at once more
/// by [`accept`].
pub(super) fn listen_in(folder: &Path) -> io::Result<OwnedFd> {
    match std::fs::remove_file(folder.join(NAME)) {
        // What a supervisor that was killed has left.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let handle = open(folder)?;
    let socket = new(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    bind(&socket, &address(&handle)?)?;
    std::fs::set_permissions(
        folder.join(NAME),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// The next connection, where it comes from a process of the same user or of root; `None` where there is none.
pub(super) fn accept(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    loop {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match accept_with(listener, flags) {
            Ok(socket) => socket,
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let peer = socket_peercred(&socket)?.uid;
        if peer == geteuid() || peer.is_root() {
            return Ok(Some(socket));
        }
    }
}

/// Connects to the socket in `folder`.
pub(super) fn connect_in(folder: &Path) -> io::Result<OwnedFd> {
    let handle = open(folder)?;
    let socket = new(SocketFlags::CLOEXEC)?;
    rustix::io::retry_on_intr(|| connect(&socket, &address(&handle)?))?;
    Ok(socket)
}

/// The process that listens at the other end.
pub(super) fn peer(socket: &OwnedFd) -> io::Result<Pid> {
    Ok(socket_peercred(socket)?.pid)
}

/// A connected pair.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

fn new(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

fn open(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::empty())?)
}

fn address(folder: &OwnedFd) -> rustix::io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()))
}
