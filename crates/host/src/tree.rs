//! The processes below a keeper: all that its process has started, and no other.

use std::collections::HashSet;
use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_init::owner::proc_pid::{self, ProcessIdentity};
use rustix::process::{Signal, pidfd_send_signal};

/// How long those that were stopped may take to stand still.
const STANDSTILL: Duration = Duration::from_secs(10);

/// Every process below these, parents before their children. One that begins or ends meanwhile may be among them.
pub(crate) fn below(keepers: &[u32]) -> Vec<u32> {
    let mut found = Vec::new();
    let mut seen: HashSet<u32> = keepers.iter().copied().collect();
    let mut next = keepers.to_vec();
    while let Some(pid) = next.pop() {
        for child in children(pid) {
            if seen.insert(child) {
                found.push(child);
                next.push(child);
            }
        }
    }
    found
}

/// The children of every thread of a process (proc_tid_children(5)).
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let lists = threads.into_iter().flatten().flatten();
    let lists = lists.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Stops every process below these keepers, until none is found that was not stopped: one that is stopped begins no other. Gives
/// those that did not stand still before.
pub(crate) fn stop(keepers: &[u32]) -> Result<Vec<ProcessIdentity>> {
    let mut stopped = Vec::new();
    let mut seen = HashSet::new();
    loop {
        let new: Vec<u32> = below(keepers)
            .into_iter()
            .filter(|pid| seen.insert(*pid))
            .collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            let Ok(Some(stat)) = proc_pid::stat(pid) else {
                continue;
            };
            let identity = ProcessIdentity {
                pid,
                start_ticks: stat.start_ticks,
            };
            if stat.state != 'T' && send(identity, Signal::STOP)? {
                stopped.push(identity);
            }
        }
        // The signal is taken on the way out of the kernel.
        let deadline = Instant::now() + STANDSTILL;
        while stopped.iter().any(|one| !stands_still(*one)) {
            if Instant::now() > deadline {
                resume(&stopped);
                return Err(Error::new(
                    ErrorKind::Timeout,
                    Phase::Operate,
                    "stop every process: one does not stand still",
                ));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(stopped)
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
        // One that has ended meanwhile goes on no more.
        let _ = send(*process, Signal::CONT);
    }
}

/// Sends a signal to that very process; false where it has ended.
fn send(process: ProcessIdentity, signal: Signal) -> Result<bool> {
    let failed = |error| super::record::system(format!("signal process {}", process.pid), error);
    let Some(pidfd) = proc_pid::open(process.pid).map_err(failed)? else {
        return Ok(false);
    };
    // Only now is it certain whose process this is: the descriptor holds it fast.
    if !process.exists() {
        return Ok(false);
    }
    match pidfd_send_signal(pidfd.as_fd(), signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(errno) => Err(failed(errno.into())),
    }
}
