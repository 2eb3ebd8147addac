//! A further process with all that it has started, to be ended together: by the cgroup of its own where it has one, else as its
//! descendants.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use hoist_compute::{Confinement, Error, ErrorKind, Result};
use hoist_spec::Signal;
use rustix::event::{EventfdFlags, eventfd};

use crate::descendants;
use crate::process::{OwnedProcess, wait_for};
use crate::process_cgroup::ProcessCgroup;
use crate::service::system;

/// Enough for a few system calls, and for reading what is in `/proc`.
const STACK: usize = 256 * 1024;

/// What holds the tree together.
#[derive(Clone)]
pub(crate) enum Tree {
    /// Nothing does.
    None,
    /// A cgroup.
    Cgroup(Arc<ProcessCgroup>),
    /// Its first process, which adopts what its descendants leave behind.
    Descendants,
}

impl Tree {
    /// That of a process with this confinement.
    pub(crate) fn of(cgroup: Option<Arc<ProcessCgroup>>, confinement: &Confinement) -> Self {
        match cgroup {
            Some(cgroup) => Self::Cgroup(cgroup),
            None if confinement.timeout.is_some() => Self::Descendants,
            None => Self::None,
        }
    }

    /// Ends all of it; `process` is its first.
    pub(crate) fn end(&self, process: &OwnedProcess) -> Result<()> {
        match self {
            Self::Cgroup(cgroup) => cgroup.kill_all(),
            // Its number is its own until it is reaped.
            Self::Descendants if process.try_wait()?.is_none() => {
                descendants::end(process.pidfd.as_fd(), process.pid)
            }
            Self::Descendants => Ok(()),
            Self::None => match process.signal(Signal::KILL) {
                Err(error) if error.kind() != ErrorKind::InvalidState => Err(error),
                _ => Ok(()),
            },
        }
    }
}

/// What became of a process whose time is watched.
pub(crate) struct Watched {
    /// Becomes readable when there is an outcome, or none is to come.
    over: OwnedFd,
    /// Whether all of it has ended, where its time was over.
    outcome: OnceLock<Result<(), Arc<Error>>>,
}

impl Watched {
    fn new() -> Result<Self> {
        let over = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Ok(Self {
            over: over.map_err(|errno| system("make an eventfd", errno.into()))?,
            outcome: OnceLock::new(),
        })
    }

    /// Becomes readable when there is an outcome, or none is to come: the process has ended in time.
    pub(crate) fn over(&self) -> BorrowedFd<'_> {
        self.over.as_fd()
    }

    /// What came of ending it, once its time was over.
    pub(crate) fn outcome(&self) -> Option<Result<(), Arc<Error>>> {
        self.outcome.get().cloned()
    }

    fn is_over(&self, outcome: Option<Result<()>>) {
        if let Some(outcome) = outcome {
            let _ = self.outcome.set(outcome.map_err(Arc::new));
        }
        // An event in a counter that nobody takes them out of: it has room.
        let _ = rustix::io::write(&self.over, &1_u64.to_ne_bytes());
    }
}

/// Who ends a process, and what it has started, when its time is over.
pub(crate) struct Deadline {
    thread: Option<JoinHandle<()>>,
    process: Arc<OwnedProcess>,
}

impl Deadline {
    /// Ends `process` with its tree unless it ends by itself before `time` is over. Where nobody can see to that, it is ended at
    /// once, and that is the error.
    pub(crate) fn watch(time: Duration, process: &Arc<OwnedProcess>, tree: &Tree) -> Result<Self> {
        match begin(time, process, tree) {
            Ok(thread) => Ok(Self {
                thread: Some(thread),
                process: process.clone(),
            }),
            Err(error) => {
                let _ = tree.end(process);
                process.wait(None)?;
                Err(error)
            }
        }
    }
}

fn begin(time: Duration, process: &Arc<OwnedProcess>, tree: &Tree) -> Result<JoinHandle<()>> {
    let watched = Watched::new()?;
    let watched = process.watched.get_or_init(|| watched);
    let (held, tree) = (process.clone(), tree.clone());
    let watch = move || {
        let outcome = match wait_for(held.pidfd.as_fd(), Some(time)) {
            Ok(true) => None,
            Ok(false) => Some(tree.end(&held)),
            Err(error) => Some(Err(error)),
        };
        if let Some(watched) = held.watched.get() {
            watched.is_over(outcome);
        }
    };
    let start = || {
        std::thread::Builder::new()
            .name("hoist-deadline".to_owned())
            .stack_size(STACK)
            .spawn(watch)
    };
    // The caller's signals are not for this thread.
    crate::execute::without_signals(start)
        .and_then(|started| started)
        .map_err(|error| {
            watched.is_over(None);
            system("watch the time of the process", error)
        })
}

impl Drop for Deadline {
    /// Of a process that has ended, or could not be ended, the thread has seen that, too, or is just ending what is left of its
    /// tree: then it lets go of the tree. The program may end before that otherwise, and leave the tree's cgroup there.
    fn drop(&mut self) {
        let at_its_end = [self.process.pidfd.as_fd(), self.process.readiness()]
            .into_iter()
            .any(|end| matches!(wait_for(end, Some(Duration::ZERO)), Ok(true)));
        if at_its_end && let Some(thread) = self.thread.take() {
            // It does not panic; and what it has done is done.
            let _ = thread.join();
        }
    }
}
