//! The processes of a cgroup, and their end by force.

use std::{
    io,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Signal, pidfd_send_signal},
};

use super::{
    directory::{Directory, is_gone},
    error::CgroupError,
    freeze::{freeze_v1, thaw, timespec, wait_for_event},
    fs::Cgroup,
    layout::Version,
};
use crate::{proc_pid, whole_file::read_text_at};

impl Cgroup {
    /// The processes in the cgroup and in those below it, by their ids in the caller's pid namespace, in no order.
    /// One that has ended and was not yet waited for is not among them.
    pub fn pids(&self) -> Result<Vec<u32>, CgroupError> {
        let Some(directory) = self.tracker() else {
            return Ok(Vec::new());
        };
        pids_in(directory)
            .map_err(|error| CgroupError::system("list processes of", &directory.path, error))
    }

    /// Kills every process of the cgroup and of those below it, frozen ones too, and returns when none is left.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Timeout`] with the processes that did not end: they sleep in the kernel, uninterruptibly, and end
    /// when that does.
    pub fn kill_all(&self, timeout: Duration) -> Result<(), CgroupError> {
        let Some(directory) = self.tracker() else {
            return Ok(());
        };
        let deadline = Instant::now() + timeout;
        let failed = |error| CgroupError::system("kill processes of", &directory.path, error);
        loop {
            self.kill_once(directory, deadline).map_err(failed)?;
            // A process of a v1 cgroup that somebody froze dies only when that is thawed.
            for frozen in [self.v1("freezer"), self.unified()].into_iter().flatten() {
                let _ = thaw(frozen);
            }
            let step = deadline
                .saturating_duration_since(Instant::now())
                .min(Duration::from_millis(100));
            if wait_empty(directory, step).map_err(failed)? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.timeout("kill processes of", directory, timeout));
            }
        }
    }

    fn kill_once(&self, directory: &Directory, deadline: Instant) -> io::Result<()> {
        if directory.version == Version::V2 {
            match directory.write("cgroup.kill", "1") {
                // Linux before 5.14 has no such file; and the cgroup may be gone.
                Err(error) if is_gone(&error) => {}
                other => return other,
            }
        }
        // Frozen processes cannot fork while their list is read.
        if let Some(freezer) = self.v1("freezer") {
            let left = deadline.saturating_duration_since(Instant::now());
            let _ = freeze_v1(freezer, left.min(Duration::from_millis(100)));
        }
        let first = handles(&pids_in(directory)?)?;
        // A number on the second list that was opened before is the process that the list means, or one that has
        // ended: nobody else who bears the number is signalled.
        let second = pids_in(directory)?;
        for (pid, handle) in first {
            if second.contains(&pid) {
                match pidfd_send_signal(&handle, Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// The directory whose processes are taken for those of the container.
    fn tracker(&self) -> Option<&Directory> {
        self.unified()
            .or_else(|| self.v1("freezer"))
            .or_else(|| self.directories.first())
    }
}

pub(super) fn pids_in(directory: &Directory) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    directory.walk(&mut |below| match read_text_at(below, "cgroup.procs") {
        Ok(text) => {
            let numbers = text.lines().filter_map(|line| line.trim().parse().ok());
            // Zero stands for a process outside the reader's pid namespace.
            pids.extend(numbers.filter(|&pid: &u32| pid != 0));
            Ok(())
        }
        Err(error) if is_gone(&error) => Ok(()),
        // A threaded cgroup, whose processes the domain above it lists.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        Err(error) => Err(error),
    })?;
    Ok(pids)
}

/// Waits until a cgroup and those below it have no process. `false` where that takes longer than `timeout`.
pub(super) fn wait_empty(directory: &Directory, timeout: Duration) -> io::Result<bool> {
    if directory.version == Version::V2 {
        return match wait_for_event(directory, "populated", 0, timeout) {
            Err(error) if is_gone(&error) => Ok(true),
            result => result,
        };
    }
    let deadline = Instant::now() + timeout;
    loop {
        let pids = pids_in(directory)?;
        if pids.is_empty() {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let handles = handles(&pids)?;
        let mut wait: Vec<PollFd<'_>> = handles
            .iter()
            .take(1)
            .map(|(_, handle)| PollFd::new(handle, PollFlags::IN))
            .collect();
        match poll(&mut wait, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // A process leaves its cgroup a moment after its end is told.
        thread::sleep(Duration::from_micros(100));
    }
}

/// Handles of those processes that still are.
fn handles(pids: &[u32]) -> io::Result<Vec<(u32, OwnedFd)>> {
    let mut handles = Vec::with_capacity(pids.len());
    for &pid in pids {
        if let Some(handle) = proc_pid::open(pid)? {
            handles.push((pid, handle));
        }
    }
    Ok(handles)
}
