//! The descendants of processes that adopt orphans (prctl(2), `PR_SET_CHILD_SUBREAPER`): whatever such a one starts, however often
//! that forks and leaves its session, stays below it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::proc_pid::{self, ProcessIdentity};
use super::signal::{self, STOP};
use super::wait::until_ready;

/// A process whose descendants are meant, held fast.
#[derive(Clone, Copy, Debug)]
pub struct Top<'a> {
    /// Its number.
    pub pid: u32,
    /// Its pidfd.
    pub held: BorrowedFd<'a>,
}

impl Top<'_> {
    fn has_ended(self) -> io::Result<bool> {
        until_ready(self.held, Some(Duration::ZERO))
    }
}

/// A process that was stopped, held fast.
#[derive(Debug)]
pub struct Stopped {
    /// Which it is.
    pub process: ProcessIdentity,
    /// Its pidfd.
    pub held: OwnedFd,
    /// It was stopped before, by somebody else.
    pub was_stopped: bool,
}

/// Every process below these, parents before their children. One that begins or ends meanwhile may be among them.
///
/// One whose first thread has ended seems to have, but others of its threads may live, and start more.
pub fn below(tops: &[u32]) -> io::Result<Vec<u32>> {
    let found = list(tops)?;
    Ok(found.into_iter().map(|(pid, _)| pid).collect())
}

/// As [`below`], with the state of each (proc_pid_stat(5)).
fn list(tops: &[u32]) -> io::Result<Vec<(u32, char)>> {
    let mut children: HashMap<u32, Vec<(u32, char)>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(stat) = proc_pid::stat(number)?
            && stat.state != 'X'
        {
            let child = (number, stat.state);
            children.entry(stat.parent).or_default().push(child);
        }
    }
    let mut found = Vec::new();
    let mut seen: HashSet<u32> = tops.iter().copied().collect();
    let mut ahead = tops.to_vec();
    while let Some(parent) = ahead.pop() {
        for &(child, state) in children.get(&parent).into_iter().flatten() {
            if seen.insert(child) {
                found.push((child, state));
                ahead.push(child);
            }
        }
    }
    Ok(found)
}

/// Stops and holds all that is below these, until all of it stands still and there is no more of it; false where that is not reached
/// by `deadline`. The tops themselves are to start nothing meanwhile.
///
/// Only of a listing with nothing new, begun when all stood still, it is certain that nothing is missing: what a process has
/// started before it was stopped may have come after it was itself listed. When they stood still, the listing before tells.
///
/// `stopped` grows by whatever was stopped, also where an error comes of it.
pub fn stop(tops: &[Top<'_>], stopped: &mut Vec<Stopped>, deadline: Instant) -> io::Result<bool> {
    let mut known: HashSet<u32> = stopped.iter().map(|one| one.process.pid).collect();
    let mut was_complete = false;
    loop {
        let mut living = Vec::new();
        for top in tops {
            // Its number may go to another, once it has ended.
            if !top.has_ended()? {
                living.push(*top);
            }
        }
        let pids: Vec<u32> = living.iter().map(|top| top.pid).collect();
        let mut is_complete = true;
        for (pid, state) in list(&pids)? {
            if known.contains(&pid) {
                is_complete &= stands_still(state);
                continue;
            }
            is_complete = false;
            if let Some(one) = stop_one(pid, &living)? {
                known.insert(pid);
                stopped.push(one);
            }
        }
        if is_complete && was_complete {
            return Ok(true);
        }
        was_complete = is_complete;
        if Instant::now() > deadline {
            return Ok(false);
        }
    }
}

/// Whether a process in this state starts nothing: it is stopped, has ended, or waits where nothing but its end reaches it, as for a
/// child of vfork(2) that is stopped.
fn stands_still(state: char) -> bool {
    matches!(state, 'T' | 't' | 'Z' | 'X' | 'D')
}

/// Waits until a process to which a stop was sent stands still, or has ended; false where it does not by `deadline`.
pub fn await_standstill(top: Top<'_>, deadline: Instant) -> io::Result<bool> {
    const PAUSE: Duration = Duration::from_micros(200);
    // The signal is taken on the way out of the kernel.
    while proc_pid::stat(top.pid)?.is_some_and(|stat| !stands_still(stat.state))
        && !top.has_ended()?
    {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(true)
}

/// Stops a process below one of these; none where it is there no more.
fn stop_one(pid: u32, tops: &[Top<'_>]) -> io::Result<Option<Stopped>> {
    let Some(held) = proc_pid::open(pid)? else {
        return Ok(None);
    };
    // Only now is it certain which process this is: the number may have gone to another meanwhile.
    let Some(top) = top_of(pid, tops)? else {
        return Ok(None);
    };
    // So may the top's, once it has ended.
    let Some(stat) = proc_pid::stat(pid)?.filter(|stat| stat.state != 'X') else {
        return Ok(None);
    };
    if top.has_ended()? {
        return Ok(None);
    }
    match signal::send(held.as_fd(), STOP) {
        // It may have ended by itself.
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
        _ => {}
    }
    let process = ProcessIdentity {
        pid,
        start_ticks: stat.start_ticks,
    };
    Ok(Some(Stopped {
        process,
        held,
        was_stopped: stat.state == 'T',
    }))
}

/// Below which of these a process is.
fn top_of<'a>(mut pid: u32, tops: &[Top<'a>]) -> io::Result<Option<Top<'a>>> {
    // Longer chains of parents than this are not followed: such a process is found once more when those above it are gone.
    const MOST: usize = 10_000;
    for _ in 0..MOST {
        let Some(stat) = proc_pid::stat(pid)? else {
            break;
        };
        if let Some(top) = tops.iter().find(|top| top.pid == stat.parent) {
            return Ok(Some(*top));
        }
        if stat.parent <= 1 {
            break;
        }
        pid = stat.parent;
    }
    Ok(None)
}
