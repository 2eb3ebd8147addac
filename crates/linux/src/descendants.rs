//! The descendants of a process that adopts orphans (prctl(2), `PR_SET_CHILD_SUBREAPER`): whatever it starts, however often that
//! forks and leaves its session, stays below it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use rustix::process::{Signal, pidfd_send_signal};

use crate::proc_pid;
use crate::process::wait_for;
use crate::service::system;

/// How long they may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends the process `pid`, which `first` holds, and all its descendants.
///
/// They are stopped until no further ones are found, so that none can start another while it is ended; then the process itself
/// last, for what it leaves behind would be others' children.
///
/// # Errors
///
/// `Timeout` where they start more than can be stopped, or do not end: those that were found are killed all the same.
pub(crate) fn end(first: BorrowedFd<'_>, pid: u32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    // It starts nothing any more; nor does it need to do anything for its children to end.
    send(first, Signal::STOP);
    let mut held: HashMap<u32, OwnedFd> = HashMap::new();
    let all_stopped = stop_below(first, pid, &mut held, deadline);
    let all = || held.values().map(AsFd::as_fd).chain([first]);
    all().for_each(|process| send(process, Signal::KILL));
    if !all_stopped? {
        return Err(out_of_time("it starts more than can be stopped"));
    }
    for process in all() {
        let left = deadline.saturating_duration_since(Instant::now());
        if !wait_for(process, Some(left))? {
            return Err(out_of_time("a process does not end"));
        }
    }
    Ok(())
}

/// Stops and holds all that is below the process, until there is no more of it; false where that is not reached in time.
fn stop_below(
    first: BorrowedFd<'_>,
    pid: u32,
    held: &mut HashMap<u32, OwnedFd>,
    deadline: Instant,
) -> Result<bool> {
    let failed = |error| system("end what the process has started", error);
    loop {
        let found = below(pid).map_err(failed)?;
        let known: HashSet<u32> = held.keys().copied().collect();
        for &new in found.difference(&known) {
            if let Some(process) = proc_pid::open(new).map_err(failed)?
                // Only now is it certain which process this is: the number may have gone to another meanwhile.
                && is_below(new, pid).map_err(failed)?
            {
                // So may the first one's, once it has ended.
                if wait_for(first, Some(Duration::ZERO))? {
                    return Ok(true);
                }
                send(process.as_fd(), Signal::STOP);
                held.insert(new, process);
            }
        }
        if found.iter().all(|pid| held.contains_key(pid)) {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Ok(false);
        }
    }
}

fn out_of_time(why: &str) -> Error {
    Error::new(
        ErrorKind::Timeout,
        Phase::Operate,
        "end what the process has started",
    )
    .because(why)
    .remedy("end the container")
}

/// It may have ended by itself.
fn send(process: BorrowedFd<'_>, signal: Signal) {
    let _ = pidfd_send_signal(process, signal);
}

/// All that have `pid` among their parents' parents. One whose first thread has ended seems to have, but others of its threads may
/// live, and start more.
/// Everything that is below the process.
pub(crate) fn below(pid: u32) -> std::io::Result<HashSet<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(stat) = proc_pid::stat(number)?
            && stat.state != 'X'
        {
            children.entry(stat.parent).or_default().push(number);
        }
    }
    let mut found = HashSet::new();
    let mut ahead = vec![pid];
    while let Some(parent) = ahead.pop() {
        for &child in children.get(&parent).into_iter().flatten() {
            if found.insert(child) {
                ahead.push(child);
            }
        }
    }
    Ok(found)
}

fn is_below(mut pid: u32, top: u32) -> std::io::Result<bool> {
    // Longer chains of parents than this are not followed: such a process is found once more when those above it are gone.
    const MOST: usize = 10_000;
    for _ in 0..MOST {
        match proc_pid::stat(pid)? {
            Some(stat) if stat.parent == top => return Ok(true),
            Some(stat) if stat.parent > 1 => pid = stat.parent,
            _ => return Ok(false),
        }
    }
    Ok(false)
}
