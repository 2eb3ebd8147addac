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
    Ok(found.into_iter().map(|(process, _)| process.pid).collect())
}

/// As [`below`], with the state of each (proc_pid_stat(5)).
fn list(tops: &[u32]) -> io::Result<Vec<(ProcessIdentity, char)>> {
    let mut children: HashMap<u32, Vec<(ProcessIdentity, char)>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(stat) = proc_pid::stat(pid)?
            && stat.state != 'X'
        {
            let start_ticks = stat.start_ticks;
            let child = (ProcessIdentity { pid, start_ticks }, stat.state);
            children.entry(stat.parent).or_default().push(child);
        }
    }
    let mut found = Vec::new();
    let mut seen: HashSet<u32> = tops.iter().copied().collect();
    let mut ahead = tops.to_vec();
    while let Some(parent) = ahead.pop() {
        for &(child, state) in children.get(&parent).into_iter().flatten() {
            if seen.insert(child.pid) {
                found.push((child, state));
                ahead.push(child.pid);
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
/// `stopped` grows by whatever was stopped and had not ended, also where an error comes of it.
pub fn stop(tops: &[Top<'_>], stopped: &mut Vec<Stopped>, deadline: Instant) -> io::Result<bool> {
    let mut known: HashSet<ProcessIdentity> = stopped.iter().map(|one| one.process).collect();
    let mut was_complete = false;
    loop {
        for top in tops {
            chase(*top, &mut known, stopped, deadline)?;
        }
        let mut living = Vec::new();
        for top in tops {
            // Its number may go to another, once it has ended.
            if !top.has_ended()? {
                living.push(*top);
            }
        }
        let pids: Vec<u32> = living.iter().map(|top| top.pid).collect();
        let mut is_complete = true;
        for (process, state) in list(&pids)? {
            if known.contains(&process) {
                is_complete &= stands_still(state);
                continue;
            }
            is_complete = false;
            stop_one(process.pid, &living, &mut known, stopped)?;
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

/// Stops the children of a process, until no further ones come. One that forks and ends, over and over, has moved on before all
/// processes are listed; but each time it is a child of who adopts it. Nothing is done where the kernel lists no children.
fn chase(
    top: Top<'_>,
    known: &mut HashSet<ProcessIdentity>,
    stopped: &mut Vec<Stopped>,
    deadline: Instant,
) -> io::Result<()> {
    let mut seen = HashSet::new();
    loop {
        let children = proc_pid::children(top.pid)?.unwrap_or_default();
        let before = seen.len();
        // The youngest come last; those before them are mostly what they have left behind.
        for pid in children.into_iter().rev() {
            if seen.insert(pid) {
                stop_one(pid, &[top], known, stopped)?;
            }
        }
        if seen.len() == before || Instant::now() > deadline {
            return Ok(());
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

/// Stops a process where it is below one of these, and holds it where it has not ended.
fn stop_one(
    pid: u32,
    tops: &[Top<'_>],
    known: &mut HashSet<ProcessIdentity>,
    stopped: &mut Vec<Stopped>,
) -> io::Result<()> {
    let Some(held) = proc_pid::open(pid)? else {
        return Ok(());
    };
    // Only now is it certain which process this is: the number may have gone to another meanwhile.
    let Some(top) = top_of(pid, tops)? else {
        return Ok(());
    };
    // So may the top's, once it has ended.
    let Some(stat) = proc_pid::stat(pid)?.filter(|stat| stat.state != 'X') else {
        return Ok(());
    };
    if top.has_ended()? {
        return Ok(());
    }
    let process = ProcessIdentity {
        pid,
        start_ticks: stat.start_ticks,
    };
    if !known.insert(process) {
        return Ok(());
    }
    match signal::send(held.as_fd(), STOP) {
        // It may have ended by itself.
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
        _ => {}
    }
    // There may be more of those than descriptors.
    if !until_ready(held.as_fd(), Some(Duration::ZERO))? {
        stopped.push(Stopped {
            process,
            held,
            was_stopped: stat.state == 'T',
        });
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A process that does nothing, ended with this.
    struct Idle(Child, OwnedFd);

    impl Idle {
        fn start() -> Self {
            Self::of(Command::new("sleep").arg("600").spawn().unwrap())
        }

        /// One that has another below it.
        fn start_two() -> Self {
            let mut shell = Command::new("sh");
            shell.args(["-c", "sleep 600; true"]);
            let parent = Self::of(shell.spawn().unwrap());
            let deadline = Instant::now() + Duration::from_secs(60);
            while below(&[parent.0.id()]).unwrap().is_empty() {
                assert!(Instant::now() < deadline);
                std::thread::yield_now();
            }
            parent
        }

        fn of(child: Child) -> Self {
            let held = proc_pid::open(child.id()).unwrap().unwrap();
            Self(child, held)
        }

        fn as_top(&self) -> Top<'_> {
            Top {
                pid: self.0.id(),
                held: self.1.as_fd(),
            }
        }

        fn end(&mut self) {
            for pid in below(&[self.0.id()]).unwrap() {
                let held = proc_pid::open(pid).unwrap().unwrap();
                signal::send(held.as_fd(), signal::KILL).unwrap();
            }
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    fn state(pid: u32) -> char {
        proc_pid::stat(pid).unwrap().unwrap().state
    }

    #[test]
    fn a_number_that_has_gone_to_a_process_that_is_not_below_is_left_alone() {
        let (mut top, mut stranger) = (Idle::start_two(), Idle::start());
        let (mut known, mut stopped) = (HashSet::new(), Vec::new());
        // As it was listed: the number of what was below, and now is another's.
        let number = stranger.0.id();
        stop_one(number, &[top.as_top()], &mut known, &mut stopped).unwrap();
        assert!(known.is_empty() && stopped.is_empty());
        assert_ne!(state(number), 'T');
        // The one that is below is stopped.
        let child = below(&[top.0.id()]).unwrap()[0];
        stop_one(child, &[top.as_top()], &mut known, &mut stopped).unwrap();
        assert_eq!(stopped.len(), 1);
        top.end();
        stranger.end();
    }

    #[test]
    fn nothing_below_the_process_is_stopped_that_has_got_an_ended_tops_number() {
        let (mut ended, mut stranger) = (Idle::start(), Idle::start_two());
        ended.end();
        let top = Top {
            pid: stranger.0.id(),
            held: ended.1.as_fd(),
        };
        let child = below(&[top.pid]).unwrap()[0];
        let mut stopped = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(stop(&[top], &mut stopped, deadline).unwrap());
        assert!(stopped.is_empty());
        assert_ne!(state(child), 'T');
        stranger.end();
    }
}
