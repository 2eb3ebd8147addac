//! A standstill of all that keepers keep.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_init::owner::descendants::{self, Top};
use hoist_init::owner::proc_pid::ProcessIdentity;
use hoist_init::owner::signal::{self, CONTINUE};

use super::record::system;
use super::run::open_exactly;

/// How long it may take until all stand still.
const STANDSTILL: Duration = Duration::from_secs(10);

/// Every process below these, parents before their children.
pub(crate) fn below(keepers: &[u32]) -> Result<Vec<u32>> {
    descendants::below(keepers).map_err(|error| system("list the processes", error))
}

/// Stops every process below these keepers. Gives those that did not stand still before, parents before their children.
pub(crate) fn stop(keepers: &[ProcessIdentity]) -> Result<Vec<ProcessIdentity>> {
    let mut held = Vec::new();
    for keeper in keepers {
        held.extend(open_exactly(*keeper)?.map(|pidfd| (keeper.pid, pidfd)));
    }
    let tops: Vec<Top<'_>> = held
        .iter()
        .map(|(pid, pidfd)| Top {
            pid: *pid,
            held: pidfd.as_fd(),
        })
        .collect();
    let deadline = Instant::now() + STANDSTILL;
    let mut stopped = Vec::new();
    let all = descendants::stop(&tops, &mut stopped, deadline);
    let running = stopped.iter().filter(|one| !one.was_stopped);
    let running: Vec<ProcessIdentity> = running.map(|one| one.process).collect();
    let why = match all {
        Ok(true) => return Ok(running),
        Ok(false) => Error::new(ErrorKind::Timeout, Phase::Operate, "stop every process")
            .because("one does not stand still, or they start more than can be stopped"),
        Err(error) => system("stop every process", error),
    };
    resume(&running);
    Err(why)
}

/// Lets processes go on, children before their parents: so no parent sees that its child was stopped.
pub(crate) fn resume(stopped: &[ProcessIdentity]) {
    for process in stopped.iter().rev() {
        if let Ok(Some(pidfd)) = open_exactly(*process) {
            // One that has ended meanwhile goes on no more.
            let _ = signal::send(pidfd.as_fd(), CONTINUE);
        }
    }
}
