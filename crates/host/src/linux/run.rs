//! A process as it is recorded in a folder: of a run of a container, of an exec, or a further one without an id.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hoist_compute::{Error, ErrorKind, ExitStatus, Phase, Result, Timestamp};
use hoist_init::owner::proc_pid::{self, ProcessIdentity};
use hoist_init::owner::signal::{self, TERMINATE};
use hoist_init::owner::wait::until_ready;
use hoist_init::owner::whole_file;
use hoist_init::wire::KeptEnd;
use hoist_spec::Signal;

use super::record::{self, Folder, Released, failed, optional, system};
use super::tree;

const PROCESS: &str = "process.json";
const END: &str = "end";
const LOST: &str = "lost.json";
const PAUSED: &str = "paused.json";

const ESRCH: i32 = 3;

/// How long an end by force may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether a process was started, at most.
const UNTIL_STARTED: Duration = Duration::from_millis(50);
/// How often it is looked whether a keeper has written an end down.
const UNTIL_TOLD: Duration = Duration::from_millis(2);

/// A recorded process.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    /// Who locks it: the container's folder, or the exec's.
    pub(crate) owner: Folder,
}

/// What can be seen of it.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Created,
    Running(Released),
    Stopped(Option<Released>, ExitStatus),
}

impl Run {
    pub(crate) fn released(&self) -> Result<Option<Released>> {
        optional(record::read(&self.folder, PROCESS))
    }

    /// Writes down that the process is about to be let go.
    pub(crate) fn publish(&self, released: &Released) -> Result<()> {
        record::write(&self.folder, PROCESS, released)
    }

    /// Takes back what a start that failed has written down.
    pub(crate) fn take_back(&self) {
        for name in [PROCESS, END, LOST, PAUSED] {
            // What is not there need not go.
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }

    /// How it has ended, where that is written down.
    fn end(&self) -> Result<Option<ExitStatus>> {
        let path = self.folder.join(END);
        match whole_file::read(&path) {
            Ok(bytes) => match KeptEnd::from_bytes(&bytes) {
                Some(end) => Ok(Some(status(end))),
                None => Err(record::damaged(&path).because("it is torn, or another version's")),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                optional(record::read(&self.folder, LOST))
            }
            Err(error) => Err(failed("read", &path, error)),
        }
    }

    pub(crate) fn look(&self) -> Result<Seen> {
        if let Some(seen) = self.seen()? {
            return Ok(seen);
        }
        // Nobody starts it meanwhile, or takes back that it was started.
        let _lock = self.owner.lock()?;
        self.look_locked()
    }

    /// As [`Run::look`], for one who holds the lock.
    pub(crate) fn look_locked(&self) -> Result<Seen> {
        if let Some(seen) = self.seen()? {
            return Ok(seen);
        }
        // Written down: whoever asks later gets the same answer.
        record::write_first(
            &self.folder,
            LOST,
            &ExitStatus::unknown("its keeper was lost"),
        )?;
        match self.seen()? {
            Some(seen) => Ok(seen),
            None => Err(Error::new(
                ErrorKind::System,
                Phase::Operate,
                "tell how the process ended",
            )),
        }
    }

    /// None where it was started and its keeper is gone without a word.
    fn seen(&self) -> Result<Option<Seen>> {
        let Some(released) = self.released()? else {
            return Ok(Some(Seen::Created));
        };
        // Looked at before the record: a keeper that ends now has written it.
        let is_kept = is_alive(&released, released.keeper);
        if let Some(status) = self.end()? {
            return Ok(Some(Seen::Stopped(Some(released), status)));
        }
        Ok(is_kept.then_some(Seen::Running(released)))
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.folder.join(PAUSED).exists()
    }

    pub(crate) fn write_paused(&self, stopped: &[ProcessIdentity]) -> Result<()> {
        record::write(&self.folder, PAUSED, &stopped)
    }

    pub(crate) fn read_paused(&self) -> Result<Vec<ProcessIdentity>> {
        record::read(&self.folder, PAUSED)
    }

    pub(crate) fn forget_paused(&self) -> Result<()> {
        let path = self.folder.join(PAUSED);
        std::fs::remove_file(&path).map_err(|error| failed("remove", &path, error))
    }

    /// The keeper, where it lives.
    pub(crate) fn keeper(&self) -> Result<Option<ProcessIdentity>> {
        let released = self.released()?;
        Ok(released
            .filter(|released| is_alive(released, released.keeper))
            .map(|released| released.keeper))
    }

    /// Whether it was let go, and that cannot be read.
    pub(crate) fn is_damaged(&self) -> bool {
        self.released().is_err()
    }

    /// Waits until it has ended, also one that is not started yet.
    pub(crate) fn wait(&self, what: &str, timeout: Option<Duration>) -> Result<ExitStatus> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut pause = Duration::from_millis(1);
        loop {
            if let Seen::Stopped(_, status) = self.look()? {
                return Ok(status);
            }
            let released = self.released()?;
            if released.is_none() && !self.folder.exists() {
                return match self.owner.exists() {
                    true => Ok(ExitStatus::unknown("it was started several times since")),
                    false => Err(gone(what)),
                };
            }
            if left().is_some_and(|left| left.is_zero()) {
                return Err(timed_out(what));
            }
            match released {
                None => {
                    std::thread::sleep(left().map_or(pause, |left| left.min(pause)));
                    pause = (pause * 2).min(UNTIL_STARTED);
                }
                Some(released) => match open(&released, released.process)? {
                    Some(pidfd) => {
                        wait_for(pidfd.as_fd(), left())?;
                    }
                    None => std::thread::sleep(UNTIL_TOLD),
                },
            }
        }
    }

    /// Sends its process a signal.
    pub(crate) fn signal(&self, what: &str, signal: Signal) -> Result<()> {
        let not_running = || invalid_state(format!("signal {what}"), "it is not running");
        let Seen::Running(released) = self.look()? else {
            return Err(not_running());
        };
        let Some(pidfd) = open(&released, released.process)? else {
            return Err(not_running());
        };
        match signal::send(pidfd.as_fd(), signal.number()) {
            Ok(()) => Ok(()),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    || error.raw_os_error() == Some(ESRCH) =>
            {
                Err(not_running())
            }
            Err(error) => Err(system(format!("send {signal}"), error)),
        }
    }
}

/// Has a keeper end all that it keeps by force, and returns when it is done.
pub(crate) fn end_keeper(keeper: ProcessIdentity) -> Result<()> {
    let Some(pidfd) = open_exactly(keeper)? else {
        return Ok(());
    };
    match signal::send(pidfd.as_fd(), TERMINATE) {
        Err(error) if error.raw_os_error() != Some(ESRCH) => {
            return Err(system("end the processes", error));
        }
        _ => {}
    }
    if wait_for(pidfd.as_fd(), Some(PATIENCE))? {
        return Ok(());
    }
    let left: Vec<String> = tree::below(&[keeper.pid])?
        .into_iter()
        .filter_map(|pid| proc_pid::entry(pid).ok().flatten())
        .map(|entry| format!("{} ({}, user {})", entry.pid, entry.command, entry.uid))
        .collect();
    Err(Error::new(
        ErrorKind::Unkillable,
        Phase::Operate,
        format!("end the processes {}", left.join(", ")),
    )
    .remedy("they wait inside the kernel, or have more rights than the caller: end them as root"))
}

/// A status as the keeper has told it.
pub(crate) fn status(end: KeptEnd) -> ExitStatus {
    let (low, high) = (end.wait_status & 0x7f, end.wait_status >> 8 & 0xff);
    let mut status = match (low, Signal::from_number(low)) {
        (0, _) => ExitStatus::exited(high),
        (_, Some(signal)) => ExitStatus::signalled(signal),
        _ => ExitStatus::unknown(format!("it was ended by signal {low}")),
    };
    status.finished_at = Timestamp(end.finished_at);
    status.timed_out = end.timed_out;
    status
}

fn is_alive(released: &Released, process: ProcessIdentity) -> bool {
    let is_this_boot = boot_id().is_ok_and(|boot| boot == released.boot_id);
    is_this_boot && process.is_alive().unwrap_or(false)
}

/// A recorded process, held fast; none where it has ended.
pub(crate) fn open(released: &Released, process: ProcessIdentity) -> Result<Option<OwnedFd>> {
    match is_alive(released, process) {
        true => open_exactly(process),
        false => Ok(None),
    }
}

pub(crate) fn open_exactly(process: ProcessIdentity) -> Result<Option<OwnedFd>> {
    let pidfd = proc_pid::open(process.pid).map_err(|error| system("open the process", error))?;
    // Only now is it certain whose process this is: the descriptor holds it fast.
    Ok(pidfd.filter(|_| process.exists()))
}

/// Waits until a descriptor is ready; false where the time runs out first.
pub(crate) fn wait_for(descriptor: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool> {
    until_ready(descriptor, timeout).map_err(|error| system("wait for the process", error))
}

/// Which run of the machine this is.
pub(crate) fn boot_id() -> Result<String> {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = BOOT_ID.get() {
        return Ok(id.clone());
    }
    let id = proc_pid::boot_id().map_err(|error| system("read the boot id", error))?;
    Ok(BOOT_ID.get_or_init(|| id).clone())
}

pub(crate) fn invalid_state(operation: String, why: &str) -> Error {
    Error::new(ErrorKind::InvalidState, Phase::Operate, operation).because(why.to_owned())
}

pub(crate) fn timed_out(what: &str) -> Error {
    let operation = format!("wait for {what}: it has not ended in time");
    Error::new(ErrorKind::Timeout, Phase::Operate, operation)
}

/// The error for what is not there any more.
pub(crate) fn gone(what: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        Phase::Operate,
        format!("no such {what}"),
    )
}

/// The run in a folder whose lock is its own.
pub(crate) fn of_exec(folder: &Path) -> Run {
    Run {
        folder: folder.to_owned(),
        owner: Folder(folder.to_owned()),
    }
}
