//! What a command says of the machine around the container: devices and namespaces that it shares.

use serde::{Deserialize, Serialize};

use super::is_default;

/// A device of this machine that the container sees and may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    /// Its node on this machine.
    pub path_on_host: String,
    /// Its node in the container; where empty, the same.
    #[serde(skip_serializing_if = "is_default")]
    pub path_in_container: String,
    /// What the container may do with it: letters of `rwm`; where empty, all.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup_permissions: String,
    /// `c` or `b`, as whoever looked at the node found it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its major number.
    pub major: i64,
    /// Its minor number.
    pub minor: i64,
}

/// The namespaces that are not the container's own. Of each kind: empty for its own (of `user`: this machine's), `host` for this
/// machine's, `ns:` and the path of one to join, or (but of `user`) `container:` and the id of the container whose is joined. `user` may be `private`: one of its own, with `uid_maps` and `gid_maps`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SharedNamespaces {
    /// User and group ids.
    #[serde(skip_serializing_if = "is_default")]
    pub user: String,
    /// Process ids.
    #[serde(skip_serializing_if = "is_default")]
    pub pid: String,
    /// System V and POSIX message queues, semaphores and shared memory.
    #[serde(skip_serializing_if = "is_default")]
    pub ipc: String,
    /// Host name.
    #[serde(skip_serializing_if = "is_default")]
    pub uts: String,
    /// The view of cgroups.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup: String,
}
