//! The agent that answers calls which a seccomp filter leaves to it (`SCMP_ACT_NOTIFY`): it listens at a socket, where it gets
//! the state of the process that has the filter, and the filter's listener (OCI runtime spec, "The Container Process State").

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use hoist_spec::oci::LinuxSeccompAction;
use hoist_spec::{ContainerSpec, SeccompPolicy};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with,
};
use serde::Serialize;

use crate::hooks::OciState;

/// How long an agent may take to accept a connection and what is sent over it.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the spec calls the descriptor.
const DESCRIPTOR: &str = "seccompFd";

/// An agent that is connected and waits for a process.
pub(crate) struct Agent<'a> {
    socket: OwnedFd,
    path: &'a Path,
    metadata: &'a str,
    state: OciState,
}

/// What is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'static str; 1],
    pid: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: &'a OciState,
}

impl<'a> Agent<'a> {
    /// Connects to the agent that the filter of `spec` needs; none where it needs none.
    ///
    /// `state` is the container's; it has no process where the one that gets the filter is its first.
    pub(crate) fn connect(
        spec: &'a ContainerSpec,
        state: impl FnOnce() -> Result<OciState>,
    ) -> Result<Option<Self>> {
        let Some((path, metadata)) = asked_for(spec) else {
            return Ok(None);
        };
        let connected = || -> io::Result<OwnedFd> {
            let address = SocketAddrUnix::new(path)?;
            let socket = socket_with(
                AddressFamily::UNIX,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            // It bounds the wait for a place in the agent's queue, too (unix(7)).
            set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
            connect(&socket, &address)?;
            Ok(socket)
        };
        Ok(Some(Self {
            socket: connected().map_err(failed("connect to", path))?,
            path,
            metadata,
            state: state()?,
        }))
    }

    /// Sends the listener of the filter of process `pid`. Nothing of it is kept here.
    pub(crate) fn send(mut self, pid: u32, listener: OwnedFd) -> Result<()> {
        self.state.pid.get_or_insert(pid);
        let text = serde_json::to_vec(&ProcessState {
            oci_version: &self.state.oci_version,
            fds: [DESCRIPTOR],
            pid,
            metadata: self.metadata,
            state: &self.state,
        })
        .map_err(|error| failed("write the state for", self.path)(error.into()))?;
        let send = || -> io::Result<()> {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let descriptors = [listener.as_fd()];
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
            let sent = sendmsg(
                &self.socket,
                &[IoSlice::new(&text)],
                &mut ancillary,
                SendFlags::NOSIGNAL,
            )?;
            // The descriptor went with the first byte.
            let mut rest = &text[sent..];
            while !rest.is_empty() {
                let sent = rustix::net::send(&self.socket, rest, SendFlags::NOSIGNAL)?;
                rest = &rest[sent..];
            }
            Ok(())
        };
        send().map_err(failed("send the listener to", self.path))
    }
}

/// Refuses a container whose agent cannot be there when its process is started.
pub(crate) fn check(spec: &ContainerSpec) -> Result<()> {
    let Some((path, _)) = asked_for(spec) else {
        return Ok(());
    };
    let found = std::fs::metadata(path).map_err(failed("look for", path))?;
    match found.file_type().is_socket() {
        true => Ok(()),
        false => Err(failed("look for", path)(io::Error::other(
            "it is no socket",
        ))),
    }
}

/// Where the agent listens, and what it is to be told, where the filter asks one.
fn asked_for(spec: &ContainerSpec) -> Option<(&Path, &str)> {
    let linux = spec.oci.linux().as_ref()?;
    let profile = linux.seccomp().as_ref()?;
    let asks =
        |rule: &hoist_spec::oci::LinuxSyscall| rule.action() == LinuxSeccompAction::ScmpActNotify;
    let mut rules = profile.syscalls().iter().flatten();
    if spec.seccomp != SeccompPolicy::Oci || !rules.any(asks) {
        return None;
    }
    let path = profile.listener_path().as_ref().map(PathBuf::as_path)?;
    Some((
        path,
        profile.listener_metadata().as_deref().unwrap_or_default(),
    ))
}

fn failed<'a>(what: &'a str, path: &'a Path) -> impl Fn(io::Error) -> Error + use<'a> {
    move |error| {
        let operation = format!("{what} the seccomp agent at {}", path.display());
        let made = Error::new(ErrorKind::System, Phase::Start, operation)
            .about(path.display().to_string())
            .remedy("start the agent that linux.seccomp.listenerPath names before the container");
        match error.raw_os_error() {
            // A timeout of the socket's is told so.
            Some(libc::EAGAIN) => made.because("it does not answer"),
            Some(errno) => made.code(OsCode::Errno(errno)),
            None => made.because(error),
        }
    }
}
