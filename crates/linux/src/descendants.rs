//! The descendants of a process that adopts orphans (prctl(2), `PR_SET_CHILD_SUBREAPER`): whatever it starts, however often that
//! forks and leaves its session, stays below it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use rustix::process::{Signal, pidfd_send_signal};

use crate::proc_pid;
use crate::process::wait_for;
use crate::service::system;

/// How long they may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends the process `pid`, which the caller knows to be there, and all its descendants.
///
/// They are stopped until no further ones are found, so that none can start another while it is ended; then the process itself
/// last, for what it leaves behind would be others' children.
pub(crate) fn end(pid: u32) -> Result<()> {
    let failed = |error| system("end what the process has started", error);
    let Some(first) = proc_pid::open(pid).map_err(failed)? else {
        return Ok(());
    };
    let deadline = Instant::now() + PATIENCE;
    // It starts nothing any more; nor does it need to do anything for its children to end.
    send(&first, Signal::STOP);
    let mut held: HashMap<u32, OwnedFd> = HashMap::new();
    loop {
        let found = below(pid).map_err(failed)?;
        let known: HashSet<u32> = held.keys().copied().collect();
        for &new in found.difference(&known) {
            if let Some(process) = proc_pid::open(new).map_err(failed)?
                // Only now is it certain which process this is: the number may have gone to another meanwhile.
                && is_below(new, pid).map_err(failed)?
            {
                send(&process, Signal::STOP);
                held.insert(new, process);
            }
        }
        if found.iter().all(|pid| held.contains_key(pid)) {
            break;
        }
        if Instant::now() > deadline {
            return Err(Error::new(
                ErrorKind::Timeout,
                Phase::Operate,
                "end what the process has started",
            )
            .because("it starts more than can be stopped")
            .remedy("end the container"));
        }
    }
    held.values()
        .chain([&first])
        .for_each(|process| send(process, Signal::KILL));
    for process in held.values().chain([&first]) {
        let left = deadline.saturating_duration_since(Instant::now());
        wait_for(process.as_fd(), Some(left))?;
    }
    Ok(())
}

/// It may have ended by itself.
fn send(process: &OwnedFd, signal: Signal) {
    let _ = pidfd_send_signal(process, signal);
}

/// All that have `pid` among their parents' parents and have not ended.
fn below(pid: u32) -> std::io::Result<HashSet<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(stat) = proc_pid::stat(number)?
            && !matches!(stat.state, 'Z' | 'X')
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
