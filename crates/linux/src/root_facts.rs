//! What a plan must know of a container's root file system, as plain values.
//!
//! The plan is a pure function, so what it needs from the disk is read first and handed in. Reading is done
//! by `root` and, for this machine's own root, by `host_root`, which exist on Linux only; nothing here touches
//! a file.

use serde::{Deserialize, Serialize};

pub use crate::accounts::{GroupEntry, PasswdEntry};

/// Facts about one root, read for one spec: lines of users and groups that the spec cannot be about are
/// left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RootFacts {
    /// Lines of `/etc/passwd`.
    pub passwd: Vec<PasswdEntry>,
    /// Lines of `/etc/group`.
    pub group: Vec<GroupEntry>,
    /// Mount destinations whose resolution climbs above the root by a `..`. To an in-root resolution that is
    /// harmless, but such a link was made to break out, and the mount would not be where it was asked for.
    pub climbing_targets: Vec<String>,
    /// Those of `/proc`, `/sys` and `/dev` with a mount on or below them that are something other than a real
    /// directory, a symbolic link above all (CVE-2023-27561, CVE-2023-28642, CVE-2026-41579).
    pub linked_targets: Vec<String>,
    /// What the folder for writes holds, where one is named and was used before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_layer: Option<KeptLayer>,
    /// How to compose the default root; only for [`RootSource::Host`](hoist_spec::RootSource::Host).
    pub host_root: Option<HostRoot>,
}

/// What is in a [`WritableLayer::Folder`](hoist_spec::WritableLayer::Folder).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptLayer {
    /// What the container wrote over its layers.
    Upper,
    /// A copy of its layers with what it wrote, which stands for both.
    Copy,
}

/// How this machine's own system directories become a container's root: what to make on an empty tmpfs, each
/// parent before what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostRoot {
    /// What to make, in order.
    pub entries: Vec<HostEntry>,
}

/// One thing to make in a composed root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// Absolute path, the same in the container and on this machine.
    pub path: String,
    /// What to make there.
    pub kind: HostEntryKind,
}

/// What to make at one path of a composed root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostEntryKind {
    /// A symbolic link with this content.
    Link(String),
    /// An overlay whose lower layer is this machine's directory of that path.
    Overlay,
    /// A directory with these permission bits, to be filled by later entries or to stay empty.
    Directory {
        /// Permission bits, the sticky bit included.
        mode: u32,
    },
    /// This machine's file of that path, mounted read-only.
    BindFile,
    /// This machine's directory of that path with all mounts below it, mounted read-only: its file system
    /// cannot be an overlay's lower layer.
    BindDirectory,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_back_from_their_own_json() {
        let facts = RootFacts {
            climbing_targets: vec!["/a/b".to_owned()],
            host_root: Some(HostRoot {
                entries: vec![
                    HostEntry {
                        path: "/bin".to_owned(),
                        kind: HostEntryKind::Link("usr/bin".to_owned()),
                    },
                    HostEntry {
                        path: "/tmp".to_owned(),
                        kind: HostEntryKind::Directory { mode: 0o1777 },
                    },
                    HostEntry {
                        path: "/usr".to_owned(),
                        kind: HostEntryKind::Overlay,
                    },
                ],
            }),
            ..RootFacts::default()
        };
        let json = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<RootFacts>(&json).unwrap(), facts);
        assert_eq!(
            serde_json::from_str::<RootFacts>("{}").unwrap(),
            RootFacts::default()
        );
    }
}
