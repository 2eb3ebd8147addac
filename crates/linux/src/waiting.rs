//! The end of a recorded process, for whoever waits for it without being its owner.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use hoist_compute::{ExitStatus, Result};
use hoist_spec::Signal;

use crate::execute::exit_info;
use crate::proc_pid;
use crate::process::{timed_out, wait_for};
use crate::record::{Folder, ProcessIdentity, Record};
use crate::service::{boot_id, system};

/// How long the owner may take to write down an exit that everybody can see.
pub(crate) const OWNER_PATIENCE: Duration = Duration::from_secs(10);
/// How long whoever inherits a process whose owner is gone may take to reap it.
const INHERITOR_PATIENCE: Duration = Duration::from_millis(200);

/// What is written down of a process, and how that is read.
pub(crate) struct Recorded<'a> {
    pub(crate) folder: &'a Folder,
    /// Reads the record; the error says that there is no such container or exec.
    pub(crate) read: &'a dyn Fn() -> Result<Record>,
}

impl Recorded<'_> {
    /// Waits until the process has ended, also one that is not started yet.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut pause = Duration::from_millis(1);
        loop {
            let record = (self.read)()?;
            if let Some(exit) = record.exit {
                return Ok(exit);
            }
            match record.process() {
                Some(process) => {
                    let pidfd = open_process(&record)?;
                    if let Some(pidfd) = &pidfd
                        && !wait_for(pidfd.as_fd(), left())?
                    {
                        return Err(timed_out(process.pid));
                    }
                    return self.exit_after_end(&record, pidfd.as_ref());
                }
                // Not yet started: somebody else will.
                None if left().is_some_and(|left| left.is_zero()) => return Err(timed_out(0)),
                None => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// The exit status of the run that `seen` tells of, where it is written down.
    fn exit_of(&self, seen: &Record) -> Result<Option<ExitStatus>> {
        let now = (self.read)()?;
        match seen.process() {
            Some(process) if now.process() != Some(process) => {
                let exit = self.folder.exit_of_last_run(process)?;
                Ok(Some(exit.unwrap_or_else(|| {
                    ExitStatus::unknown("it was started several times since")
                })))
            }
            _ => Ok(now.exit),
        }
    }

    /// The exit status of a process that is seen to have ended, and whose owner is another program.
    ///
    /// Where that is gone, the kernel may still know, for one who held the process by its pidfd.
    fn exit_after_end(&self, record: &Record, held: Option<&OwnedFd>) -> Result<ExitStatus> {
        let deadline = Instant::now() + OWNER_PATIENCE;
        let mut pause = Duration::from_micros(200);
        loop {
            // Looked at before the record: an owner that ends now has written it.
            let owner_is_there = record.created.boot_id == boot_id()?
                && record
                    .released
                    .as_ref()
                    .map(|released| released.owner)
                    .is_some_and(|owner| is_alive(owner).unwrap_or(false));
            if let Some(exit) = self.exit_of(record)? {
                return Ok(exit);
            }
            if !owner_is_there || Instant::now() > deadline {
                // Nobody starts it once more meanwhile.
                let _lock = self.folder.lock()?;
                if let Some(exit) = self.exit_of(record)? {
                    return Ok(exit);
                }
                let status = held
                    .and_then(|pidfd| status_of_reaped(pidfd.as_fd()))
                    .unwrap_or_else(|| ExitStatus::unknown("supervisor lost"));
                // Written down: whoever asks later gets the same answer.
                return self.folder.write_exit(&status);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

/// Whether the recorded process is there and has not ended.
pub(crate) fn is_running(record: &Record) -> Result<bool> {
    match record.process() {
        Some(process) => Ok(record.created.boot_id == boot_id()? && is_alive(process)?),
        None => Ok(false),
    }
}

/// Whether a process is there and has not ended.
fn is_alive(process: ProcessIdentity) -> Result<bool> {
    process
        .is_alive()
        .map_err(|error| system("look at the process", error))
}

/// The recorded process; none where it has ended and been reaped.
pub(crate) fn open_process(record: &Record) -> Result<Option<OwnedFd>> {
    let Some(process) = record
        .process()
        .filter(|_| boot_id().is_ok_and(|boot| boot == record.created.boot_id))
    else {
        return Ok(None);
    };
    let pidfd = proc_pid::open(process.pid).map_err(|error| system("open the process", error))?;
    // Only now is it certain whose process this is: the descriptor holds it fast.
    Ok(pidfd.filter(|_| process.exists()))
}

/// How a process has ended that nobody of Hoist has reaped, where the kernel tells. Whoever has inherited it reaps it soon,
/// and only then it does.
fn status_of_reaped(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    let deadline = Instant::now() + INHERITOR_PATIENCE;
    loop {
        if let Some(status) = exit_info(pidfd) {
            return match (libc::WIFEXITED(status), libc::WIFSIGNALED(status)) {
                (true, _) => Some(ExitStatus::exited(libc::WEXITSTATUS(status))),
                (_, true) => Signal::from_number(libc::WTERMSIG(status)).map(ExitStatus::signalled),
                _ => None,
            };
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
