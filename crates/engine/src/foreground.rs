//! A container's process on the caller's own terminal or streams.
//!
//! Without a console the process has the caller's very descriptors ([`own_streams`]), and there is only the end to wait for and signals
//! to pass on; on Linux no byte is copied, on Windows the service copies. With one, [`attach`] copies between the console and the caller's
//! terminal. What the process gets is decided before the start; nothing here knows an engine.

mod signals;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{io, time::Duration};

use hoist_compute::{Error, ExitStatus, Process, Readiness, Result, Stdio, Stream};

pub use signals::{Caught, SignalSource};
#[cfg(target_os = "linux")]
pub use unix::{AttachedEnd, AttachedIo, SignalFd, SignalFd as CallerSignals, attend_attached};
#[cfg(unix)]
pub use unix::{DetachKeys, InvalidDetachKeys, descriptor, restore_terminal, terminal_size};
#[cfg(windows)]
pub use windows::{ConsoleEvents, ConsoleEvents as CallerSignals, descriptor, terminal_size};

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

/// How long [`attach`] goes on reading a console after the process's end, where a process that it has left behind keeps
/// the console open: the time spent waiting for output, not that spent passing it on.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// A stream of the caller's: a file descriptor, or a handle on Windows.
pub type Descriptor<'a> = Readiness<'a>;

/// The caller's side of a foreground process.
#[derive(Clone, Copy, Debug)]
pub enum ForegroundIo<'a> {
    /// The process has streams of its own; nothing is copied here.
    Own,
    /// The process has a console ([`hoist_compute::Stdio::Console`]).
    Console {
        /// Where its input comes from; `None` for none. A terminal is put into raw mode for as long as the call lasts.
        /// The end of anything else is told to the process as an end-of-file character.
        input: Option<Descriptor<'a>>,
        /// Where its output goes. A terminal here, else one at `input`, gives the console its size.
        output: Descriptor<'a>,
        /// [`DRAIN_LIMIT`], or another.
        drain_limit: Duration,
    },
}

/// Attends to a process until it has ended: copies between its console and the caller's streams, follows the
/// terminal's size, and passes the caller's signals on.
///
/// No byte is lost: what the process wrote before its end is passed on however slowly it is taken, and what
/// cannot be taken is not read. Where nobody reads the output any more, the console is hung up, as when a terminal
/// is closed, and a process that has not ended ten seconds later is ended by force. Signals that could not be passed on stand in `failures`. The terminal is as before when the call returns.
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
        } => {
            let ends = platform::Ends {
                input,
                output,
                drain_limit,
            };
            platform::attach(process, ends, signals, failures)
        }
    }
}

/// The caller's own streams as a process's; without `interactive` its input is the null device. On Windows a stream that the caller does
/// not have is the null device, too.
pub fn own_streams(interactive: bool) -> Result<Stdio> {
    Ok(Stdio::Streams {
        stdin: match interactive {
            true => platform::given(descriptor(&io::stdin()))?,
            false => Stream::Null,
        },
        stdout: platform::given(descriptor(&io::stdout()))?,
        stderr: platform::given(descriptor(&io::stderr()))?,
    })
}

/// Waits for the end and passes signals on.
fn watch(
    process: &dyn Process,
    mut signals: Option<&mut dyn SignalSource>,
    failures: &mut Vec<Error>,
) -> Result<ExitStatus> {
    loop {
        let (ended, signalled) = {
            let readiness = signals.as_ref().map(|signals| signals.readiness());
            platform::ended_or_signalled(process.readiness(), readiness)?
        };
        if signalled {
            signals::pass_on(process, signals.as_deref_mut(), failures)?;
        }
        if ended {
            return process.wait(None);
        }
    }
}
