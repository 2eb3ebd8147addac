//! Moving network devices of the host into a container's network namespace (OCI runtime spec, "Network Devices").
//!
//! A device keeps its index where it can, and the addresses that somebody gave it; it is up afterwards. The kernel gives a
//! physical one back when the namespace ends.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::plan::NetDevice;
use crate::rtnetlink::{Address, Change, Socket};

/// Moves `devices` into the network namespace of process `pid`.
pub(crate) fn move_into(devices: &[NetDevice], pid: u32) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let first = &devices[0].host;
    let namespace = File::open(format!("/proc/{pid}/ns/net")).map_err(failed(first))?;
    let mut host = Socket::open().map_err(failed(first))?;
    let mut container = socket_in(&namespace).map_err(failed(first))?;
    for NetDevice { host: name, inside } in devices {
        let failed = failed(name);
        let (index, was_up) = host.look_up(name).map_err(&failed)?;
        let kept: Vec<Address> = host
            .addresses_of(index)
            .map_err(&failed)?
            .into_iter()
            .filter(Address::is_kept)
            .collect();
        // A device that is up can be neither renamed nor, some of them, moved.
        host.change(index, &Change::Down).map_err(&failed)?;
        let moving = Change::Move {
            namespace: namespace.as_raw_fd(),
            name: inside,
        };
        let moved = host.change(index, &moving);
        if moved.is_err() && was_up {
            // It stays what it was; why it cannot be moved matters more than that it cannot be brought up again.
            let _ = host.change(index, &Change::Up);
        }
        moved.map_err(&failed)?;
        let index = container.index_of(inside).map_err(&failed)?;
        for address in &kept {
            container.add_address(index, address).map_err(&failed)?;
        }
        container.change(index, &Change::Up).map_err(&failed)?;
    }
    Ok(())
}

/// A socket belongs for ever to the namespace that it was made in; a thread can enter one without the others.
fn socket_in(namespace: &File) -> io::Result<Socket> {
    let make = || {
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), kind)?;
        Socket::open()
    };
    thread::scope(|scope| {
        let made = thread::Builder::new().spawn_scoped(scope, make)?;
        made.join()
            .unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))
    })
}

fn failed(device: &str) -> impl Fn(io::Error) -> Error + use<'_> {
    move |error| {
        let operation = format!("move network device {device} into the container");
        let kind = match error.raw_os_error() {
            Some(libc::ENODEV) => ErrorKind::NotFound,
            _ => ErrorKind::System,
        };
        let made = Error::new(kind, Phase::Start, operation).about(device);
        match error.raw_os_error() {
            Some(errno) => made.code(OsCode::Errno(errno)),
            None => made.because(error),
        }
    }
}
