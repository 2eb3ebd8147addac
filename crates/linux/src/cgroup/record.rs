//! What is written down of a container's cgroup, so that any later process can open or remove it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::layout::{Base, Layout, Version};

/// The directories of one container's cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CgroupRecord {
    /// One for each hierarchy, in the order of [`Layout::hierarchies`].
    pub directories: Vec<DirectoryRecord>,
}

/// The directory of a container's cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryRecord {
    /// As [`Hierarchy::controllers`](super::Hierarchy::controllers).
    pub controllers: Vec<String>,
    /// The interface of its hierarchy.
    pub version: Version,
    /// Where it is.
    pub path: PathBuf,
    /// Which directory it is; `None` before it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// Tells a directory from another one that has its path later: `st_dev` and `st_ino` (stat(2)), which the kernel does
/// not use again for cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

impl CgroupRecord {
    /// The record of a cgroup that is going to be made: to be written down before, so that one that was made and not
    /// used is found. Without identities, a directory is removed only while no process is in it.
    pub fn intended(layout: &Layout, base: Base, name: &str) -> Self {
        Self {
            directories: layout
                .hierarchies
                .iter()
                .map(|hierarchy| DirectoryRecord {
                    controllers: hierarchy.controllers.clone(),
                    version: hierarchy.version,
                    path: hierarchy.directory(base, name),
                    identity: None,
                })
                .collect(),
        }
    }

    /// The record of the cgroup `name` below this one, which is going to be made.
    pub(crate) fn below(&self, name: &str) -> Self {
        let directories = self.directories.iter();
        Self {
            directories: directories
                .map(|directory| DirectoryRecord {
                    path: directory.path.join(name),
                    identity: None,
                    ..directory.clone()
                })
                .collect(),
        }
    }
}
