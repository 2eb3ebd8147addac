//! What an OCI runtime's caller asks for beside the spec.

use hoist_init::wire::Slot;
use hoist_spec::ContainerId;

use super::debug_root::OwnRoot;

/// How a start differs from the usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// The process, once all is set up, waits for another process to start its program ("create" and "start" of the OCI
    /// runtime spec).
    pub await_start: bool,
    /// Change the root by chroot(2), for a host whose own root is one that pivot_root(2) refuses to leave (an initial ramdisk).
    pub no_pivot: bool,
    /// Join a new session keyring of this name.
    pub keyring: Option<String>,
    /// How many descriptors the program gets behind its standard streams, from 3 on.
    pub preserved_descriptors: u8,
    /// Make the directory that the program begins in, where the root lacks it.
    pub make_working_directory: bool,
    /// A root of the host's, for a further process.
    pub own_root: Option<OwnRoot>,
    /// All that a further process starts stays below it, so that it can be found and ended: where no cgroup holds it together.
    pub adopts_orphans: bool,
    /// Give pipes and sockets among the standard streams to the program's user.
    pub own_streams: bool,
    /// Have systemd make the cgroup: the path is of the form `slice:prefix:name` then.
    pub systemd_cgroup: bool,
    /// Start a further process in a cgroup below the container's, which must exist: `PATH`, or with cgroup v1
    /// `CONTROLLER[,CONTROLLER…]:PATH` for some hierarchies.
    pub cgroup_below: Option<String>,
}

impl RuntimeOptions {
    /// The usual start of the container: with a session keyring of its own.
    pub(crate) fn usual(id: &ContainerId) -> Self {
        Self {
            keyring: Some(session_keyring(id)),
            ..Self::default()
        }
    }
}

/// What the session keyrings of a container's processes are called, as by runc.
pub fn session_keyring(id: &ContainerId) -> String {
    format!("_ses.{id}")
}

/// The most descriptors that can be preserved: the helper has few slots.
pub const MOST_PRESERVED: u8 = 32;

/// Where the descriptors of [`RuntimeOptions`] are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RuntimeSlots {
    /// The socket that whoever starts the program connects to.
    pub(crate) listener: Option<Slot>,
    /// The first preserved descriptor, and how many follow.
    pub(crate) preserved: Option<(Slot, u8)>,
    /// As [`RuntimeOptions::own_streams`].
    pub(crate) own_streams: bool,
}
