//! A further process with all that it has started, to be ended together: by the cgroup of its own where it has one, else as its
//! descendants.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hoist_compute::{Confinement, ErrorKind, Result};
use hoist_spec::Signal;

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

/// Who ends a process, and what it has started, when its time is over.
pub(crate) struct Deadline {
    thread: Option<JoinHandle<()>>,
    process: Arc<OwnedProcess>,
}

impl Deadline {
    /// Ends `process` with its tree unless it ends by itself before `time` is over. Without a thread to see to that, it is ended at
    /// once, and that is the error.
    pub(crate) fn watch(time: Duration, process: &Arc<OwnedProcess>, tree: &Tree) -> Result<Self> {
        let (watched, held) = (process.clone(), tree.clone());
        let watch = move || {
            if let Ok(false) = wait_for(watched.pidfd.as_fd(), Some(time)) {
                watched.is_out_of_time();
                // Who waits for it sees whether it has ended.
                let _ = held.end(&watched);
            }
        };
        let start = || {
            std::thread::Builder::new()
                .name("hoist-deadline".to_owned())
                .stack_size(STACK)
                .spawn(watch)
        };
        // The caller's signals are not for this thread.
        match crate::execute::without_signals(start).and_then(|started| started) {
            Ok(thread) => Ok(Self {
                thread: Some(thread),
                process: process.clone(),
            }),
            Err(error) => {
                let _ = tree.end(process);
                process.wait(None)?;
                Err(system("watch the time of the process", error))
            }
        }
    }
}

impl Drop for Deadline {
    /// Of a process that has ended the thread has seen the end, too, or is just ending what is left of its tree: then it lets
    /// go of the tree. The program may end before that otherwise, and leave the tree's cgroup there.
    fn drop(&mut self) {
        if let Ok(true) = wait_for(self.process.pidfd.as_fd(), Some(Duration::ZERO))
            && let Some(thread) = self.thread.take()
        {
            // It does not panic; and what it has done is done.
            let _ = thread.join();
        }
    }
}
