//! A standstill of all that keepers keep.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_init::owner::descendants::{self, Top};
use hoist_init::owner::proc_pid::{self, ProcessIdentity};
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
        Ok(true) if all_stand_still(&running, deadline) => return Ok(running),
        Ok(true) => timed_out("one does not stand still"),
        Ok(false) => timed_out("they start more than can be stopped"),
        Err(error) => system("stop every process", error),
    };
    resume(&running);
    Err(why)
}

fn timed_out(why: &str) -> Error {
    Error::new(ErrorKind::Timeout, Phase::Operate, "stop every process").because(why.to_owned())
}

fn all_stand_still(stopped: &[ProcessIdentity], deadline: Instant) -> bool {
    // The signal is taken on the way out of the kernel.
    while stopped.iter().any(|one| !stands_still(*one)) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

/// Whether a process that was stopped executes nothing of its own any more. One that waits in the kernel in a way that no signal ends
/// (`D`), for a child of vfork(2) that is stopped, for instance, stops when it comes out of there.
fn stands_still(process: ProcessIdentity) -> bool {
    match proc_pid::stat(process.pid) {
        Ok(Some(stat)) => {
            stat.start_ticks != process.start_ticks
                || matches!(stat.state, 'T' | 't' | 'Z' | 'X' | 'D')
        }
        _ => true,
    }
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
