//! Room for cgroups with limits of their own within a container's.
//!
//! In the unified hierarchy a cgroup that hands controllers on has no processes of its own (cgroups(7), "no internal
//! processes"). When the first process of a container gets limits of its own, the others are moved into a leaf below the
//! container's cgroup. That keeps its limits, which hold for everything below it, and stays the root of the container's cgroup
//! namespace. A container in which nobody asks for this never has a leaf.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    directory::{Directory, is_gone, write_at},
    error::CgroupError,
    fs::Cgroup,
    layout::Version,
    record::{CgroupRecord, DirectoryRecord},
};

/// The leaf's name within the container's cgroup.
const LEAF: &str = "hoist-container";
/// How long moving the processes may take: one that forks without end is a race that is not always won at once.
const PATIENCE: Duration = Duration::from_secs(5);

impl Cgroup {
    /// Where a further process of the container is born that has no cgroup of its own, if not in the container's own: that has
    /// a leaf.
    pub(crate) fn leaf(&self) -> Result<Option<Self>, CgroupError> {
        let has_leaf = |directory: &Directory| {
            directory.version == Version::V2
                && directory.has_children
                && leaf_of(directory).is_ok_and(|leaf| leaf.is_some())
        };
        if !self.directories.iter().any(has_leaf) {
            return Ok(None);
        }
        let directories = self.record().directories.into_iter();
        let directories = directories.map(|record| match record.version {
            Version::V1 => record,
            Version::V2 => leaf_record(&record.path, record.controllers),
        });
        Self::open(&CgroupRecord {
            directories: directories.collect(),
        })
        .map(Some)
    }

    /// Moves the processes of the unified cgroup into its leaf, so that controllers can be enabled below it. One that has no
    /// processes of its own needs none.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Timeout`] where it starts processes faster than they can be moved.
    pub(crate) fn make_room(&self) -> Result<(), CgroupError> {
        let Some(directory) = self.unified() else {
            return Ok(());
        };
        let failed = |error| CgroupError::system("move the processes of", &directory.path, error);
        if processes(directory).map_err(failed)?.is_empty() {
            return Ok(());
        }
        match std::fs::create_dir(path_of(directory)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
        let leaf = leaf_of(directory)
            .map_err(failed)?
            .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = processes(directory).map_err(failed)?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(CgroupError::Timeout {
                    operation: "move the processes of",
                    path: directory.path.clone(),
                    timeout: PATIENCE,
                    processes: left,
                });
            }
            for pid in left {
                match write_at(&leaf.handle, "cgroup.procs", &pid.to_string()) {
                    // It has ended meanwhile.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    moved => moved.map_err(failed)?,
                }
            }
        }
    }
}

/// The processes in the very cgroup; one from outside the caller's pid namespace counts as 0.
fn processes(directory: &Directory) -> io::Result<Vec<u32>> {
    let text = match directory.read("cgroup.procs") {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        text => text?,
    };
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn path_of(directory: &Directory) -> PathBuf {
    directory.path.join(LEAF)
}

fn leaf_record(container: &std::path::Path, controllers: Vec<String>) -> DirectoryRecord {
    DirectoryRecord {
        controllers,
        version: Version::V2,
        path: container.join(LEAF),
        identity: None,
    }
}

fn leaf_of(directory: &Directory) -> io::Result<Option<Directory>> {
    Directory::open(&leaf_record(&directory.path, directory.controllers.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::directory::tests::fake;
    use super::*;

    #[test]
    fn a_cgroup_without_a_leaf_has_none() {
        let (_folder, cgroup) = fake(Version::V2, &[("cgroup.procs", "1\n")]);
        assert!(cgroup.leaf().unwrap().is_none());
        let (_folder, cgroup) = fake(Version::V2, &[("other/cgroup.procs", "1\n")]);
        assert!(cgroup.leaf().unwrap().is_none());
    }

    #[test]
    fn further_processes_are_born_in_the_leaf_of_a_cgroup_that_has_one() {
        let (folder, cgroup) = fake(Version::V2, &[("hoist-container/cgroup.procs", "1\n")]);
        let leaf = cgroup.leaf().unwrap().unwrap();
        assert_eq!(
            leaf.record().directories[0].path,
            folder.path().join("hoist-container")
        );
        let (_folder, cgroup) = fake(Version::V1, &[("hoist-container/cgroup.procs", "1\n")]);
        assert!(cgroup.leaf().unwrap().is_none());
    }

    #[test]
    fn a_cgroup_without_processes_of_its_own_needs_no_room() {
        let (folder, cgroup) = fake(Version::V2, &[("cgroup.procs", "")]);
        cgroup.make_room().unwrap();
        assert!(!folder.path().join("hoist-container").exists());
    }
}
