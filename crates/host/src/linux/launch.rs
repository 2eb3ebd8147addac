//! Starting a process under a keeper, and following it to its execve.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, Stdio, Streams, Timestamp};
use hoist_init::owner::control::{self, Control};
use hoist_init::owner::proc_pid::ProcessIdentity;
use hoist_init::owner::{helper, reap, spawn, streams};
use hoist_init::wire::{Call, Message, MessageKind, Step};
use hoist_spec::ConsoleSize;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::record::{Released, VERSION};
use crate::plan::linux::{Plan, program_name, words};

const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const EPERM: i32 = 1;

/// A process that runs its program.
pub(crate) struct Launched {
    pub(crate) released: Released,
    /// Becomes readable when its end is told.
    pub(crate) told: OwnedFd,
    pub(crate) streams: Streams,
}

/// What to start.
pub(crate) struct Launch<'a> {
    pub(crate) plan: &'a Plan,
    /// Where its end is recorded.
    pub(crate) folder: &'a Path,
    /// With whose end it ends, as the plan says.
    pub(crate) with: Option<BorrowedFd<'a>>,
    /// Writes down that it is about to be let go; an error is that it must not be.
    pub(crate) publish: &'a dyn Fn(&Released) -> Result<()>,
}

impl Launch<'_> {
    /// Starts it. After an error nothing of it runs; what was published is the caller's to take back.
    pub(crate) fn start(&self, stdio: Stdio) -> Result<Launched> {
        let prepared = prepare(stdio).map_err(failed("open the standard streams"))?;
        let (control, other_end) = control::pair().map_err(failed("make the control socket"))?;
        let plan = helper::seal("hoist-plan", self.plan.as_bytes(), false)
            .map_err(io::Error::from)
            .map_err(failed("put the plan into memory"))?;
        let folder = File::open(self.folder).map_err(failed("open the folder of the record"))?;
        let (told, tells) = pipe_with(PipeFlags::CLOEXEC)
            .map_err(io::Error::from)
            .map_err(failed("make a pipe"))?;
        let [stdin, stdout, stderr] = &prepared.process;
        let standard = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let helper = spawn::spawn(helper::sealed()?.as_fd(), standard, other_end.as_fd())
            .map_err(failed("start the keeper"))?;
        // What is still held here would keep pipes open that the process must be the last to close.
        drop(prepared.process);
        drop(other_end);
        let mut descriptors = vec![plan.as_fd(), folder.as_fd(), tells.as_fd()];
        descriptors.extend(self.with);
        let greeted = control
            .hand_over(&descriptors, false)
            .map_err(failed("hand the plan to the keeper"));
        drop(tells);
        let mut released = None;
        let followed = greeted.and_then(|()| self.follow(&control, &mut released));
        if followed.is_err() {
            control.hang_up();
            // It may have been forked and not yet said so.
            while let Ok(Some((message, _))) = control.receive() {
                if message.kind == MessageKind::Cloned {
                    released = of_message(&message).ok();
                }
            }
        }
        drop(control);
        let reaped = reap::reap(&helper).map_err(failed("wait for the keeper's parent"));
        match (followed.and(reaped), released) {
            (Ok(()), Some(released)) => Ok(Launched {
                released,
                told,
                streams: prepared.caller,
            }),
            (Err(error), Some(released)) => {
                // The start's own error is what is told.
                let _ = super::run::end_keeper(released.keeper);
                Err(error)
            }
            (Err(error), None) => Err(error),
            (Ok(()), None) => Err(died()),
        }
    }

    /// Follows the messages to the end of the socket.
    fn follow(&self, control: &Control, released: &mut Option<Released>) -> Result<()> {
        // The process and its keeper speak at the same time: either may be heard first.
        let (mut is_ready, mut is_let_go) = (false, false);
        loop {
            if let (true, false, Some(released)) = (is_ready, is_let_go, released.as_ref()) {
                (self.publish)(released)?;
                // It ends with its keeper.
                control
                    .release(true)
                    .map_err(failed("let the process go"))?;
                is_let_go = true;
            }
            let received = control.receive().map_err(failed("listen to the process"))?;
            let Some((message, _)) = received else {
                // It closes when the program is executed.
                return if is_let_go { Ok(()) } else { Err(died()) };
            };
            match message.kind {
                MessageKind::Cloned => {
                    let found = of_message(&message)?;
                    if let Some(score) = self.plan.oom_score_adj {
                        let file = format!("/proc/{}/oom_score_adj", found.process.pid);
                        fs::write(file, score.to_string()).map_err(failed("set the OOM score"))?;
                    }
                    *released = Some(found);
                }
                MessageKind::Ready => is_ready = true,
                MessageKind::Failed => return Err(self.explain(&message)),
                _ => return Err(died()),
            }
        }
    }

    fn explain(&self, message: &Message) -> Error {
        let Some(step) = self.plan.step(message.step) else {
            return died().code(OsCode::Errno(message.errno));
        };
        let phase = match step {
            Step::Execute { .. } => Phase::Execute,
            _ => Phase::Start,
        };
        let kind = match (step, message.errno) {
            (Step::Execute { .. } | Step::ChangeDirectory { .. }, ENOENT) => ErrorKind::NotFound,
            (Step::Keep { .. }, ENOENT) => ErrorKind::Unsupported,
            (_, EPERM | EACCES) => ErrorKind::PermissionDenied,
            _ => ErrorKind::System,
        };
        let mut error = Error::new(kind, phase, words(&step)).code(OsCode::Errno(message.errno));
        if let Some(call) = Call::from_code(message.call).filter(|call| *call != Call::None) {
            error = error.call(call.name());
        }
        match step {
            Step::Execute { arguments, .. } => error.about(program_name(arguments)),
            Step::Keep { .. } if message.errno == ENOENT => {
                error.remedy("it needs /proc, and a kernel with CONFIG_PROC_CHILDREN")
            }
            _ => error,
        }
    }
}

/// Who they are, of a process that waits to be let go.
fn of_message(message: &Message) -> Result<Released> {
    let identity =
        |pid: u64| ProcessIdentity::of(pid as u32).map_err(|error| died().because(error));
    Ok(Released {
        version: VERSION,
        boot_id: super::run::boot_id()?,
        started_at: Timestamp::now(),
        process: identity(message.value & u64::from(u32::MAX))?,
        keeper: identity(message.value >> 32)?,
    })
}

/// Opens what `stdio` asks for; a console is one of this machine's.
fn prepare(stdio: Stdio) -> io::Result<streams::Prepared> {
    let size = match stdio {
        Stdio::Console(size) => size,
        streams => return streams::prepare(streams),
    };
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = openpt(flags)?;
    unlockpt(&controller)?;
    set_size(controller.as_fd(), size)?;
    let terminal = ioctl_tiocgptpeer(&controller, flags)?;
    Ok(streams::Prepared {
        process: [terminal.try_clone()?, terminal.try_clone()?, terminal],
        caller: Streams {
            console: Some(controller.into()),
            ..Streams::default()
        },
    })
}

/// Gives a console a size.
pub(crate) fn set_size(console: BorrowedFd<'_>, size: ConsoleSize) -> io::Result<()> {
    let size = Winsize {
        ws_row: size.height,
        ws_col: size.width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(console, size)?)
}

fn died() -> Error {
    Error::new(
        ErrorKind::System,
        Phase::Start,
        "start the process: it or its keeper ended unexpectedly",
    )
    .remedy("something on this host killed it: look for an out-of-memory kill or a security module in the kernel's log")
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| {
        let made = Error::new(ErrorKind::System, Phase::Start, what);
        match error.raw_os_error() {
            Some(errno) => made.code(OsCode::Errno(errno)),
            None => made.because(error),
        }
    }
}
