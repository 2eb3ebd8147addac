//! A mount of a command.

use serde::{Deserialize, Serialize};

use super::{is_default, null_is_default};

/// Something that the container sees at a place of its own.
///
/// With `source`, `destination` and `writable` alone, as in the original, it is a directory or file of
/// this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mount {
    /// The directory or file of this machine.
    #[serde(skip_serializing_if = "is_default")]
    pub source: String,
    /// The absolute path in the container.
    pub destination: String,
    /// Whether the container may write there.
    pub writable: bool,
    /// `bind` (also where empty); `tmpfs`, an empty file system in memory, without a source; or `volume`, whose source is a name
    /// that the driver puts a directory in place of.
    #[serde(rename = "type", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Further mount options: for `bind` the propagation (`rslave`, …) and flags (`noexec`, …), for
    /// `tmpfs` also `size=`, `mode=`, `uid=`, `gid=`, `nr_inodes=`. `tmpcopyup` fills what is empty with a copy of what it covers;
    /// `X-mount.subdir=` binds a part of the source (mount(8)).
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub options: Vec<String>,
    /// What is mounted below a source that is not writable stays as writable as it is.
    #[serde(skip_serializing_if = "is_default")]
    pub writable_below: bool,
}

impl Mount {
    /// A directory or file of this machine, writable.
    pub fn bind(source: impl Into<String>, destination: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            destination: destination.into(),
            writable: true,
            ..Self::default()
        }
    }

    /// An empty file system in memory, writable.
    pub fn tmpfs(destination: impl Into<String>) -> Self {
        Self {
            destination: destination.into(),
            writable: true,
            kind: "tmpfs".to_owned(),
            ..Self::default()
        }
    }

    /// The same, not writable.
    pub fn read_only(mut self) -> Self {
        self.writable = false;
        self
    }

    /// Adds a mount option.
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }
}
