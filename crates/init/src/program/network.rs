//! The one thing a network namespace needs before anybody else configures it.

use hoist_init::wire::Call;
use rustix::fd::AsFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::fault::{At, Result};
use super::sys;

/// Brings `lo` up; the kernel gives it 127.0.0.1 and ::1.
pub(crate) fn loopback_up() -> Result<()> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .at(Call::Socket)?;
    sys::bring_loopback_up(socket.as_fd()).at(Call::Ioctl)
}
