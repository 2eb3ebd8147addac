//! On Unix: descriptors, and one loop over poll(2).

#[cfg(target_os = "linux")]
mod attached;
mod console;
mod detach_keys;
mod relay;
#[cfg(target_os = "linux")]
mod signal_fd;
mod terminal;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use hoist_compute::{Error, ErrorKind, ExitStatus, OsCode, Phase, Process, Result, Stdio, Stream};
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

/// The caller's own descriptors as a process's streams; without `interactive` its input is the null device.
pub fn own_streams(interactive: bool) -> Result<Stdio> {
    let given = |descriptor: BorrowedFd<'_>| {
        descriptor
            .try_clone_to_owned()
            .map(|owned| Stream::Given(owned.into()))
            .map_err(|error| failed("duplicate a standard stream", "fcntl", error))
    };
    Ok(Stdio::Streams {
        stdin: if interactive {
            given(io::stdin().as_fd())?
        } else {
            Stream::Null
        },
        stdout: given(io::stdout().as_fd())?,
        stderr: given(io::stderr().as_fd())?,
    })
}

/// Waits for the end and passes signals on.
pub(super) fn watch(
    process: &dyn Process,
    mut signals: Option<&mut dyn SignalSource>,
    failures: &mut Vec<Error>,
) -> Result<ExitStatus> {
    loop {
        let (ended, signalled) = {
            let readiness = process.readiness();
            let mut descriptors = vec![PollFd::new(&readiness, PollFlags::IN)];
            let signal_fd = signals.as_ref().map(|signals| signals.readiness());
            if let Some(signal_fd) = &signal_fd {
                descriptors.push(PollFd::new(signal_fd, PollFlags::IN));
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
            (ready(0), ready(1))
        };
        if signalled && let Some(signals) = signals.as_deref_mut() {
            while let Some(caught) = signals.next()? {
                signals::forward(process, caught, failures);
            }
        }
        if ended {
            return process.wait(None);
        }
    }
}

fn failed(operation: &str, call: &'static str, error: io::Error) -> Error {
    let failure = Error::new(ErrorKind::System, Phase::Operate, operation).call(call);
    match error.raw_os_error() {
        Some(errno) => failure.code(OsCode::Errno(errno)),
        None => failure.because(error),
    }
}
