//! Removes a container's cgroup, and nothing that is not it.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{fs::rmdir, io::Errno};

use super::{
    directory::{Directory, identity_at, remove_below},
    error::CgroupError,
    fs::Cgroup,
    kill::{pids_in, wait_empty},
    record::{CgroupRecord, DirectoryRecord},
};

impl Cgroup {
    /// As [`CgroupRecord::remove`].
    pub fn remove(&self, timeout: Duration) -> Result<(), CgroupError> {
        self.record().remove(timeout)
    }
}

impl CgroupRecord {
    /// Removes the recorded cgroup with all cgroups that the container made in it, waiting up to `timeout` for
    /// processes that are about to end. What is gone already, or is now another cgroup of that name, is left alone:
    /// removing again, also at the same time, is success.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Timeout`] with the processes that still are in it; all that could be removed is.
    pub fn remove(&self, timeout: Duration) -> Result<(), CgroupError> {
        let deadline = Instant::now() + timeout;
        let mut first = None;
        for record in &self.directories {
            if let Err(error) = remove(record, deadline, timeout) {
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }
}

impl CgroupRecord {
    /// Removes those directories of an intended cgroup in which nothing is, waiting up to `timeout` for processes that are about
    /// to end. A directory that is in use is left alone, with all that is in it: it may always have been somebody else's.
    ///
    /// # Errors
    ///
    /// A directory that is not in use cannot be removed.
    pub fn remove_unused(&self, timeout: Duration) -> Result<(), CgroupError> {
        const PAUSE: Duration = Duration::from_millis(2);
        let deadline = Instant::now() + timeout;
        for DirectoryRecord { path, .. } in &self.directories {
            let failed = |error| CgroupError::system("remove cgroup", path, error);
            while !remove_once(path).map_err(failed)? && Instant::now() < deadline {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }
}

fn remove(
    record: &DirectoryRecord,
    deadline: Instant,
    timeout: Duration,
) -> Result<(), CgroupError> {
    let failed = |error| CgroupError::system("remove cgroup", &record.path, error);
    loop {
        match identity_at(&record.path).map_err(failed)? {
            None => return Ok(()),
            Some(found) if record.identity.is_some_and(|made| made != found) => return Ok(()),
            Some(_) => {}
        }
        if remove_once(&record.path).map_err(failed)? {
            return Ok(());
        }
        let Some(directory) = Directory::open(record).map_err(failed)? else {
            continue;
        };
        remove_below(&directory.handle).map_err(failed)?;
        if remove_once(&record.path).map_err(failed)? {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let empty = wait_empty(&directory, left).map_err(failed)?;
        if !empty || left.is_zero() {
            return Err(CgroupError::Timeout {
                operation: "remove",
                path: record.path.clone(),
                timeout,
                processes: pids_in(&directory).unwrap_or_default(),
            });
        }
    }
}

/// Whether the directory is gone; `false` while something is in it.
fn remove_once(path: &Path) -> io::Result<bool> {
    match rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::BUSY | Errno::NOTEMPTY) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
