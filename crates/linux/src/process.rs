//! A process that this program has started: it alone can wait for it as its parent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, ExitStatus, Phase, Process, Readiness, Result, Streams};
use hoist_init::owner::wait::until_ready;
use hoist_spec::{ConsoleSize, Signal};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::execute::waitid;
use crate::process_tree::{Deadline, Tree};
use crate::service::system;

/// `CLD_EXITED` (waitid(2)).
const CLD_EXITED: i32 = 1;

/// What becomes of an exit status when it is known: it is recorded, and completed with what only the record's keeper knows.
pub(crate) type OnExit = Box<dyn FnOnce(ExitStatus) -> ExitStatus + Send>;

/// A child of this program.
pub(crate) struct OwnedProcess {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    exit: Mutex<Exit>,
    /// It is being ended because its time is over.
    out_of_time: AtomicBool,
}

enum Exit {
    Awaited(Option<OnExit>),
    Known(ExitStatus),
}

impl OwnedProcess {
    pub(crate) fn new(pid: u32, pidfd: OwnedFd, on_exit: Option<OnExit>) -> Self {
        Self {
            pid,
            pidfd,
            exit: Mutex::new(Exit::Awaited(on_exit)),
            out_of_time: AtomicBool::new(false),
        }
    }

    /// Waits for its end, at most until `deadline`. Any number of threads may wait: the first to see the end reaps, all get
    /// the same status.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        if let Exit::Known(status) = &*self.exit() {
            return Ok(status.clone());
        }
        if !wait_for(self.pidfd.as_fd(), timeout)? {
            return Err(timed_out(self.pid));
        }
        let mut exit = self.exit();
        let on_exit = match &mut *exit {
            Exit::Known(status) => return Ok(status.clone()),
            Exit::Awaited(on_exit) => on_exit.take(),
        };
        let mut status = match waitid(&self.pidfd) {
            Ok((CLD_EXITED, code)) => ExitStatus::exited(code),
            Ok((_, signal)) => match Signal::from_number(signal) {
                Some(signal) => ExitStatus::signalled(signal),
                None => ExitStatus::unknown(format!("it was ended by signal {signal}")),
            },
            Err(error) => ExitStatus::unknown(format!("somebody else waited for it: {error}")),
        };
        status.timed_out =
            status.signal == Some(Signal::KILL) && self.out_of_time.load(Ordering::Acquire);
        let status = match on_exit {
            Some(on_exit) => on_exit(status),
            None => status,
        };
        *exit = Exit::Known(status.clone());
        Ok(status)
    }

    /// Its status, where it has ended.
    pub(crate) fn try_wait(&self) -> Result<Option<ExitStatus>> {
        match self.wait(Some(Duration::ZERO)) {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        if self.try_wait()?.is_some() {
            return Err(not_running("signal the process"));
        }
        send(self.pidfd.as_fd(), signal)
    }

    /// Its status will say that it was ended because its time was over, if it is.
    pub(crate) fn is_out_of_time(&self) {
        self.out_of_time.store(true, Ordering::Release);
    }

    fn exit(&self) -> MutexGuard<'_, Exit> {
        self.exit
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Sends a signal by pidfd: never to another process that has come to bear the same id.
pub(crate) fn send(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<()> {
    match hoist_init::owner::signal::send(pidfd, signal.number()) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            Err(not_running("signal the process"))
        }
        Err(error) => Err(system(format!("send {signal}"), error)),
    }
}

pub(crate) fn not_running(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidState,
        Phase::Operate,
        format!("{what}: it is not running"),
    )
}

pub(crate) fn timed_out(pid: u32) -> Error {
    Error::new(
        ErrorKind::Timeout,
        Phase::Operate,
        format!("wait for process {pid}: it has not ended in time"),
    )
}

/// Waits until a pidfd is ready; false where the time runs out first.
pub(crate) fn wait_for(pidfd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool> {
    until_ready(pidfd, timeout).map_err(|error| system("wait for the process", error))
}

/// A process with the caller's ends of its streams.
pub(crate) struct LinuxProcess {
    process: Arc<OwnedProcess>,
    streams: Mutex<Streams>,
    /// The console's controlling side, for its size.
    console: Option<OwnedFd>,
    /// Let go of before the tree, so that this is the last to hold it when it has ended.
    _deadline: Option<Deadline>,
    /// What holds together all it has started.
    tree: Tree,
}

impl LinuxProcess {
    pub(crate) fn new(process: Arc<OwnedProcess>, streams: Streams) -> io::Result<Self> {
        let console = streams
            .console
            .as_ref()
            .map(|console| console.as_fd().try_clone_to_owned())
            .transpose()?;
        Ok(Self {
            process,
            streams: Mutex::new(streams),
            console,
            _deadline: None,
            tree: Tree::None,
        })
    }

    /// The same, with what holds together all it has started, which is ended with it when its time is over. An error is that
    /// nobody could see to that, and it is ended.
    pub(crate) fn with_tree(self, tree: Tree, time: Option<Duration>) -> Result<Self> {
        let deadline = time
            .map(|time| Deadline::watch(time, &self.process, &tree))
            .transpose()?;
        Ok(Self {
            _deadline: deadline,
            tree,
            ..self
        })
    }
}

impl Process for LinuxProcess {
    fn pid(&self) -> u32 {
        self.process.pid
    }

    fn take_streams(&self) -> Streams {
        std::mem::take(
            &mut *self
                .streams
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.process.wait(timeout)
    }

    fn readiness(&self) -> Readiness<'_> {
        self.process.pidfd.as_fd()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    fn terminate(&self) -> Result<()> {
        self.tree.end(&self.process)?;
        self.process.wait(None).map(drop)
    }

    fn resize_console(&self, size: ConsoleSize) -> Result<()> {
        let console = self
            .console
            .as_ref()
            .filter(|_| matches!(self.process.try_wait(), Ok(None)))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidState,
                    Phase::Operate,
                    "resize the console: there is none, or it has ended",
                )
            })?;
        let size = Winsize {
            ws_row: size.height,
            ws_col: size.width,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(console, size).map_err(|errno| system("resize the console", errno.into()))
    }

    fn close_stdin(&self) -> Result<()> {
        self.streams
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .stdin = None;
        Ok(())
    }
}
