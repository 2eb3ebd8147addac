//! A container's process on the caller's own terminal or streams.
//!
//! Without a console the process has the caller's very descriptors ([`own_streams`]), no byte is copied, and there is only
//! the end to wait for and signals to pass on. With one, [`attach`] copies between the console and the caller's terminal in
//! one poll loop. What the process gets is decided before the start; nothing here knows an engine.

#[cfg(target_os = "linux")]
mod attached;
mod console;
mod detach_keys;
mod relay;
#[cfg(target_os = "linux")]
mod signal_fd;
mod signals;
mod terminal;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use hoist_compute::{Error, ErrorKind, ExitStatus, OsCode, Phase, Process, Result, Stdio, Stream};
use rustix::event::{PollFd, PollFlags, poll};

#[cfg(target_os = "linux")]
pub use attached::{AttachedEnd, AttachedIo, attend_attached};
pub use detach_keys::{DetachKeys, InvalidDetachKeys};
#[cfg(target_os = "linux")]
pub use signal_fd::SignalFd;
pub use signals::{Caught, SignalSource};
pub use terminal::{restore_terminal, terminal_size};

/// How long [`attach`] goes on reading a console after the process's end, where a process that it has left behind keeps
/// the console open: the time spent waiting for output, not that spent passing it on.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// The caller's side of a foreground process.
#[derive(Clone, Copy, Debug)]
pub enum ForegroundIo<'a> {
    /// The process has streams of its own; nothing is copied.
    Own,
    /// The process has a console ([`Stdio::Console`]).
    Console {
        /// Where its input comes from; `None` for none. A terminal is put into raw mode for as long as the call lasts.
        /// The end of anything else is told to the process as an end-of-file character.
        input: Option<BorrowedFd<'a>>,
        /// Where its output goes. A terminal here, else one at `input`, gives the console its size.
        output: BorrowedFd<'a>,
        /// [`DRAIN_LIMIT`], or another.
        drain_limit: Duration,
    },
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

/// Attends to a process until it has ended: copies between its console and the caller's streams, follows the
/// terminal's size, and passes the caller's signals on.
///
/// No byte is lost: what the process wrote before its end is passed on however slowly it is taken, and what
/// cannot be taken is not read. Where nobody reads the output any more, the console is hung up, as when a terminal
/// is closed. Signals that could not be passed on stand in `failures`. The terminal is as before when the call returns.
pub fn attach(
    process: &dyn Process,
    io: ForegroundIo<'_>,
    signals: Option<&mut dyn SignalSource>,
    failures: &mut Vec<Error>,
) -> Result<ExitStatus> {
    match io {
        ForegroundIo::Own => watch(process, signals, failures),
        ForegroundIo::Console {
            input,
            output,
            drain_limit,
        } => console::attach(
            process,
            console::Ends {
                input,
                output,
                drain_limit,
            },
            signals,
            failures,
        ),
    }
}

/// Waits for the end and passes signals on.
fn watch(
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
