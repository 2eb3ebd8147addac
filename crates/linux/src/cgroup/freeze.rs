//! Freezing: stopping every process of a cgroup where it is, and letting it go on.
//!
//! The freezer of the unified hierarchy is used wherever that is mounted, v1's only where it is not: processes in the
//! first can be killed and traced while they are frozen.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{
    directory::{Directory, value_of, write_at},
    error::CgroupError,
    fs::Cgroup,
    layout::Version,
};
use crate::whole_file::read_again;

impl Cgroup {
    /// Stops every process of the cgroup and of those below it. On a frozen one it does nothing.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Timeout`] where a process cannot be stopped (it sleeps in the kernel, uninterruptibly). After any error
    /// all go on running.
    pub fn freeze(&self, timeout: Duration) -> Result<(), CgroupError> {
        let directory = self.freezer("freeze")?;
        let frozen = match directory.version {
            Version::V1 => freeze_v1(directory, timeout),
            Version::V2 => directory
                .write("cgroup.freeze", "1")
                .and_then(|()| wait_frozen(directory, timeout)),
        };
        let error = match frozen {
            Ok(true) => return Ok(()),
            Ok(false) => self.timeout("freeze", directory, timeout),
            Err(error) => CgroupError::system("freeze cgroup", &directory.path, error),
        };
        let _ = thaw(directory);
        Err(error)
    }

    /// Lets the processes of the cgroup go on. On one that is not frozen it does nothing.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Timeout`] where the kernel still tells it frozen after `timeout`: a cgroup above it is.
    pub fn thaw(&self, timeout: Duration) -> Result<(), CgroupError> {
        let directory = self.freezer("thaw")?;
        let thawed = thaw(directory).and_then(|()| match directory.version {
            Version::V1 => is_frozen(directory).map(|frozen| !frozen),
            Version::V2 => wait_for_event(directory, "frozen", 0, timeout),
        });
        match thawed {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.timeout("thaw", directory, timeout)),
            Err(error) => Err(CgroupError::system("thaw cgroup", &directory.path, error)),
        }
    }

    /// Whether its processes are frozen.
    pub fn frozen(&self) -> Result<bool, CgroupError> {
        let directory = self.freezer("look whether it is frozen")?;
        is_frozen(directory)
            .map_err(|error| CgroupError::system("read freezer state of", &directory.path, error))
    }

    fn freezer(&self, operation: &'static str) -> Result<&Directory, CgroupError> {
        self.unified()
            .or_else(|| self.v1("freezer"))
            .ok_or(CgroupError::Absent {
                operation,
                needs: "freezer",
            })
    }

    pub(super) fn timeout(
        &self,
        operation: &'static str,
        directory: &Directory,
        timeout: Duration,
    ) -> CgroupError {
        CgroupError::Timeout {
            operation,
            path: directory.path.clone(),
            timeout,
            processes: self.pids().unwrap_or_default(),
        }
    }
}

fn is_frozen(directory: &Directory) -> io::Result<bool> {
    Ok(match directory.version {
        Version::V1 => directory.read("freezer.state")?.trim() == "FROZEN",
        Version::V2 => directory.keyed("cgroup.events", "frozen")? == Some(1),
    })
}

/// Thaws this cgroup, and with v1 those below it: there a process of a thawed cgroup stays frozen if its own
/// cgroup is, and cannot even be killed.
pub(super) fn thaw(directory: &Directory) -> io::Result<()> {
    match directory.version {
        Version::V1 => directory.walk(&mut |below| write_at(below, "freezer.state", "THAWED")),
        Version::V2 => directory.write("cgroup.freeze", "0"),
    }
}

/// Waits until all of a v2 cgroup stands still. `false` where that takes longer than `timeout`, or somebody who ends the
/// cgroup has thawed it meanwhile, of which `cgroup.events` tells nothing.
fn wait_frozen(directory: &Directory, timeout: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if wait_for_event(directory, "frozen", 1, left.min(Duration::from_millis(50)))? {
            return Ok(true);
        }
        if left.is_zero() || directory.read("cgroup.freeze")?.trim() == "0" {
            return Ok(false);
        }
    }
}

/// v1 tells nobody when it is done: reading the state is what makes the kernel look.
pub(super) fn freeze_v1(directory: &Directory, timeout: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_micros(50);
    loop {
        // Again each time: a process that was forked meanwhile may have escaped the first.
        directory.write("freezer.state", "FROZEN")?;
        if is_frozen(directory)? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Waits until `cgroup.events` says `wanted` of `key`. `false` where that takes longer than `timeout`.
pub(super) fn wait_for_event(
    directory: &Directory,
    key: &str,
    wanted: u64,
    timeout: Duration,
) -> io::Result<bool> {
    let deadline = Instant::now() + timeout;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let events = openat(&directory.handle, "cgroup.events", flags, Mode::empty())?;
    loop {
        if value_of(&read_again(&events)?, key) == Some(wanted) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let mut wait = [PollFd::new(&events, PollFlags::PRI)];
        match poll(&mut wait, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::directory::tests::fake;
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn a_freeze_that_takes_too_long_is_taken_back() {
        for (version, state, switch, thawed) in [
            (Version::V2, "cgroup.events", "cgroup.freeze", "0"),
            (Version::V1, "freezer.state", "freezer.state", "THAWED"),
        ] {
            let (folder, cgroup) = fake(
                version,
                &[(switch, ""), (state, ""), ("cgroup.procs", "7\n")],
            );
            // Over the longer text "FROZEN" does not read as that: this process never stands still.
            let text = match version {
                Version::V1 => "THAWED, NEVER FROZEN",
                Version::V2 => "populated 1\nfrozen 0\n",
            };
            fs::write(folder.path().join(state), text).unwrap();
            match cgroup.freeze(SHORT).unwrap_err() {
                CgroupError::Timeout { processes, .. } => assert_eq!(processes, [7]),
                error => panic!("{error}"),
            }
            let text = fs::read_to_string(folder.path().join(switch)).unwrap();
            assert!(text.starts_with(thawed), "{text}");
        }
    }

    #[test]
    fn a_cgroup_without_a_freezer_says_so() {
        let cgroup = Cgroup {
            directories: Vec::new(),
        };
        assert!(matches!(
            cgroup.freeze(SHORT),
            Err(CgroupError::Absent { .. })
        ));
    }
}
