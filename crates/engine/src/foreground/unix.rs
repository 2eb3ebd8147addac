//! On Unix: descriptors, and one loop over poll(2).

#[cfg(target_os = "linux")]
mod attached;
mod console;
mod detach_keys;
mod relay;
#[cfg(target_os = "linux")]
mod signal_fd;
mod terminal;
mod unread_output;

use std::{io, os::fd::AsFd};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, Stream};
use rustix::event::{PollFd, PollFlags, poll};

use super::{
    Descriptor,
    signals::{self, SignalSource},
};

#[cfg(target_os = "linux")]
pub use attached::{AttachedEnd, AttachedIo, attend_attached};
pub(super) use console::{Ends, attach};
pub use detach_keys::{DetachKeys, InvalidDetachKeys};
#[cfg(target_os = "linux")]
pub use signal_fd::SignalFd;
pub use terminal::{restore_terminal, terminal_size};

/// A stream's descriptor.
pub fn descriptor(stream: &impl AsFd) -> Descriptor<'_> {
    stream.as_fd()
}

/// One of the caller's own streams, as a process's.
pub(super) fn given(stream: Descriptor<'_>) -> Result<Stream> {
    stream
        .try_clone_to_owned()
        .map(|owned| Stream::Given(owned.into()))
        .map_err(|error| failed("duplicate a standard stream", "fcntl", error))
}

/// Waits until a process has ended, or there may be a signal: whether each is so.
pub(super) fn ended_or_signalled(
    process: Descriptor<'_>,
    signals: Option<Descriptor<'_>>,
) -> Result<(bool, bool)> {
    let mut descriptors = vec![PollFd::new(&process, PollFlags::IN)];
    if let Some(signals) = &signals {
        descriptors.push(PollFd::new(signals, PollFlags::IN));
    }
    match poll(&mut descriptors, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(failed("wait for the process", "poll", errno.into())),
    }
    let ready = |index: usize| {
        descriptors
            .get(index)
            .is_some_and(|descriptor| !descriptor.revents().is_empty())
    };
    Ok((ready(0), ready(1)))
}

fn failed(operation: &str, call: &'static str, error: io::Error) -> Error {
    let failure = Error::new(ErrorKind::System, Phase::Operate, operation).call(call);
    match error.raw_os_error() {
        Some(errno) => failure.code(OsCode::Errno(errno)),
        None => failure.because(error),
    }
}
