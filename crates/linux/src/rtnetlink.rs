//! The few requests to the kernel's routing netlink that moving a device takes (rtnetlink(7), netlink(7)).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFF_UP: u32 = 1;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_FLAGS: u16 = 8;
/// Attributes of an address that are given again: `IFA_ADDRESS`, `IFA_LOCAL`, `IFA_BROADCAST`.
const KEPT_ATTRIBUTES: [u16; 3] = [1, 2, 4];
const RT_SCOPE_UNIVERSE: u8 = 0;

const HEADER: usize = 16;
/// `struct ifinfomsg` and `struct ifaddrmsg`.
const LINK: usize = 16;
const ADDRESS: usize = 8;
/// Above every message that the kernel sends.
const BUFFER: usize = 1 << 16;

/// What becomes of a device.
pub(crate) enum Change<'a> {
    Up,
    Down,
    Move { namespace: i32, name: &'a str },
}

/// An address of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    family: u8,
    prefix: u8,
    flags: u32,
    scope: u8,
    /// By number, with their values.
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// Whether somebody gave it to the device, for use beyond this machine: others the kernel makes by itself.
    pub(crate) fn is_kept(&self) -> bool {
        self.scope == RT_SCOPE_UNIVERSE && self.flags & IFA_F_PERMANENT != 0
    }
}

/// A socket of one network namespace.
pub(crate) struct Socket(OwnedFd);

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // `NETLINK_ROUTE`, which is 0.
            None,
        )?;
        Ok(Self(socket))
    }

    /// The index of the device of this name.
    pub(crate) fn index_of(&mut self, name: &str) -> io::Result<i32> {
        self.look_up(name).map(|(index, _)| index)
    }

    /// The number of the device of this name, and whether it is up.
    pub(crate) fn look_up(&mut self, name: &str) -> io::Result<(i32, bool)> {
        let mut request = Request::new(RTM_GETLINK, NLM_F_ACK);
        request
            .link(0, 0, 0)
            .attribute(IFLA_IFNAME, &terminated(name));
        // struct ifinfomsg: family, padding, type, index, flags, change.
        let word =
            |body: &[u8], at| Some(i32::from_ne_bytes(body.get(at..at + 4)?.try_into().ok()?));
        let mut found = None;
        self.ask(request, |kind, body| {
            if kind == RTM_NEWLINK {
                found = word(body, 4).zip(word(body, 8));
            }
        })?;
        found
            .map(|(index, flags)| (index, flags & libc::IFF_UP != 0))
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }

    /// The addresses of a device.
    pub(crate) fn addresses_of(&mut self, index: i32) -> io::Result<Vec<Address>> {
        let mut request = Request::new(RTM_GETADDR, NLM_F_DUMP);
        request.bytes.extend_from_slice(&[0; ADDRESS]);
        let mut found = Vec::new();
        self.ask(request, |kind, body| {
            if kind == RTM_NEWADDR
                && let Some((of, address)) = read_address(body)
                && of == index
            {
                found.push(address);
            }
        })?;
        Ok(found)
    }

    /// Gives a device an address.
    pub(crate) fn add_address(&mut self, index: i32, address: &Address) -> io::Result<()> {
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let mut request = Request::new(RTM_NEWADDR, flags);
        let head = [address.family, address.prefix, 0, address.scope];
        request.bytes.extend_from_slice(&head);
        request.bytes.extend_from_slice(&index.to_ne_bytes());
        for (kind, value) in &address.attributes {
            request.attribute(*kind, value);
        }
        self.ask(request, |_, _| ())
    }

    /// Changes a device.
    pub(crate) fn change(&mut self, index: i32, change: &Change<'_>) -> io::Result<()> {
        let mut request = Request::new(RTM_NEWLINK, NLM_F_ACK);
        match change {
            Change::Up => drop(request.link(index, IFF_UP, IFF_UP)),
            Change::Down => drop(request.link(index, 0, IFF_UP)),
            Change::Move { namespace, name } => {
                request
                    .link(index, 0, 0)
                    .attribute(IFLA_NET_NS_FD, &namespace.to_ne_bytes())
                    .attribute(IFLA_IFNAME, &terminated(name));
            }
        }
        self.ask(request, |_, _| ())
    }

    /// Sends a request, and reads until it is answered to the end.
    fn ask(&mut self, request: Request, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        send(self.0.as_fd(), &request.finish(), SendFlags::empty())?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let (count, _) = recv(self.0.as_fd(), &mut buffer[..], RecvFlags::empty())?;
            for (kind, body) in messages(&buffer[..count]) {
                match kind {
                    NLMSG_ERROR => {
                        let code = body.get(..4).and_then(|bytes| bytes.try_into().ok());
                        return match code.map(i32::from_ne_bytes) {
                            Some(0) => Ok(()),
                            Some(code) => Err(io::Error::from_raw_os_error(-code)),
                            None => Err(io::ErrorKind::InvalidData.into()),
                        };
                    }
                    NLMSG_DONE => return Ok(()),
                    kind => each(kind, body),
                }
            }
        }
    }
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// A message to the kernel.
struct Request {
    bytes: Vec<u8>,
}

impl Request {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        Self { bytes }
    }

    /// Appends `struct ifinfomsg`.
    fn link(&mut self, index: i32, flags: u32, change: u32) -> &mut Self {
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&index.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&change.to_ne_bytes());
        self
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = (value.len() + 4) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() as u32).to_ne_bytes();
        self.bytes[..4].copy_from_slice(&length);
        self.bytes
    }
}

/// The messages in what was received: their kinds, and what follows their headers.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?).into();
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        let next: usize = length;
        bytes = bytes.get(next.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The index of the device, and its address, of a `struct ifaddrmsg` and what follows it.
fn read_address(body: &[u8]) -> Option<(i32, Address)> {
    let index = i32::from_ne_bytes(body.get(4..8)?.try_into().ok()?);
    let mut address = Address {
        family: body[0],
        prefix: body[1],
        flags: body[2].into(),
        scope: body[3],
        attributes: Vec::new(),
    };
    for (kind, value) in attributes(body.get(ADDRESS..)?) {
        if kind == IFA_FLAGS {
            address.flags = u32::from_ne_bytes(value.try_into().ok()?);
        }
        if KEPT_ATTRIBUTES.contains(&kind) {
            address.attributes.push((kind, value.to_vec()));
        }
    }
    Some((index, address))
}

const _: () = assert!(LINK == 4 + 3 * size_of::<u32>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_found_and_another_is_not() {
        let mut socket = Socket::open().unwrap();
        assert_eq!(socket.index_of("lo").unwrap(), 1);
        let error = socket.index_of("no-such-device").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        assert!(
            socket
                .addresses_of(1)
                .unwrap()
                .iter()
                .all(|address| !address.is_kept())
        );
    }

    #[test]
    fn damaged_messages_end_the_reading() {
        let mut request = Request::new(RTM_NEWADDR, 0);
        request
            .bytes
            .extend_from_slice(&[2, 24, 0x80, 0, 7, 0, 0, 0]);
        request.attribute(1, &[10, 0, 0, 1]);
        let bytes = request.finish();
        let (kind, body) = messages(&bytes).next().unwrap();
        assert_eq!(kind, RTM_NEWADDR);
        let (index, address) = read_address(body).unwrap();
        assert_eq!((index, address.prefix), (7, 24));
        assert!(address.is_kept());
        assert_eq!(address.attributes, [(1, vec![10, 0, 0, 1])]);
        for length in 0..bytes.len() {
            for (_, body) in messages(&bytes[..length]) {
                read_address(body);
            }
        }
    }
}
