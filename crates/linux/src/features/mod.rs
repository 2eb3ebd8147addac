//! What this host's kernel can do for this process: as a plain value for the planner, and as a report with
//! reasons and remedies for people.
//!
//! The value is enough to plan with, is had in a few microseconds, and can be assumed for any kernel, so that
//! every fallback can be forced. The report tries things out in child processes, which no start of a container
//! waits for.

#[cfg(target_os = "linux")]
pub(crate) mod accounts;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod delegation;
mod kernel;
#[cfg(target_os = "linux")]
mod overlay;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod quick;
#[cfg(target_os = "linux")]
mod report;
mod sub_ids;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cgroup::layout::Layout;

#[cfg(target_os = "linux")]
pub(crate) use quick::setgroups_denied;

pub use kernel::{InvalidKernelVersion, KernelVersion};
#[cfg(target_os = "linux")]
pub use report::{Obstacle, user_namespace_obstacle};
pub use sub_ids::{IdRange, SubIds};

/// What the planner needs to know of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFeatures {
    /// The kernel's version.
    pub kernel: KernelVersion,
    /// The process's effective user id.
    pub uid: u32,
    /// The process's effective group id.
    pub gid: u32,
    /// Whether the process is root with `CAP_SYS_ADMIN`, so that it can make namespaces and mounts without a user
    /// namespace of its own. Without it, a container gets a user namespace.
    pub privileged: bool,
    /// Whether the process is in the machine's first user namespace. Elsewhere even a privileged process makes no
    /// device nodes and sees no `trusted.*` attributes.
    pub initial_user_namespace: bool,
    /// The ids that an ordinary user may map beside its own; none where nothing is lent or the helpers are missing, and for root,
    /// who needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_ids: Option<SubIds>,
    /// Whether the process's user namespace, and each below it, denies setgroups(2) for good (user_namespaces(7)).
    pub setgroups_denied: bool,
    /// Which cgroup hierarchies there are.
    pub cgroup: Layout,
    /// Of these, what was delegated to a caller that is not privileged; its own cgroup is where it may make others.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub delegated: Layout,
    /// overlayfs in a user namespace, with its marks in `user.*` attributes (`userxattr`): from 5.11.
    pub overlay_userxattr: bool,
    /// The program fuse-overlayfs, where it is to be used: the caller has no overlayfs of the kernel's, and there is `/dev/fuse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuse_overlayfs: Option<PathBuf>,
    /// overlayfs takes its lower layers one by one (`lowerdir+`): from 6.8.
    pub overlay_lower_append: bool,
    /// overlayfs takes its layers as descriptors (`FSCONFIG_SET_FD`): from 6.13.
    pub overlay_layer_descriptors: bool,
    /// A mount can be moved onto another one that is itself not attached anywhere: from 6.15.
    pub mount_onto_detached: bool,
    /// `cgroup.kill` of cgroup v2: from 5.14.
    pub cgroup_kill: bool,
    /// `MFD_EXEC`, which says that a memfd is meant to be executed: from 6.3. Where `vm.memfd_noexec` is 1, a
    /// memfd without it cannot be.
    pub memfd_exec: bool,
    /// The kernel runs with SELinux, and shows that here.
    #[serde(default)]
    pub selinux: bool,
}

fn is_empty(layout: &Layout) -> bool {
    *layout == Layout::default()
}

/// How the layers of a container become one root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerMethod<'a> {
    /// By the kernel's overlayfs.
    Overlay,
    /// By this program (fuse-overlayfs), which runs outside of the container for as long as that does.
    Fuse(&'a Path),
    /// By a copy of all of them.
    Copy,
}

/// Why a process that is not [`HostFeatures::privileged`] can set no limits.
pub(crate) const NO_CGROUP_OF_USER: &str = "an ordinary user may make no cgroup here: have one delegated to it, as by systemd-run --user --scope -p Delegate=yes, or run \
     Hoist as root";

impl HostFeatures {
    /// The features of a host with this kernel, seen by root in the first user namespace, without cgroups.
    ///
    /// Change the members that should differ: this is how a fallback is forced and a plan is made for another
    /// machine.
    pub fn assume(kernel: KernelVersion) -> Self {
        let from = |major, minor| kernel >= KernelVersion { major, minor };
        Self {
            kernel,
            uid: 0,
            gid: 0,
            privileged: true,
            initial_user_namespace: true,
            sub_ids: None,
            setgroups_denied: false,
            cgroup: Layout::default(),
            delegated: Layout::default(),
            overlay_userxattr: from(5, 11),
            fuse_overlayfs: None,
            overlay_lower_append: from(6, 8),
            overlay_layer_descriptors: from(6, 13),
            mount_onto_detached: from(6, 15),
            cgroup_kill: from(5, 14),
            memfd_exec: from(6, 3),
            selinux: false,
        }
    }

    /// The hierarchies in which the caller may make cgroups.
    pub fn own_cgroups(&self) -> &Layout {
        match self.privileged {
            true => &self.cgroup,
            false => &self.delegated,
        }
    }

    /// How layers become one root here: the first that works of the kernel's overlayfs, fuse-overlayfs, and a copy.
    pub fn layer_method(&self) -> LayerMethod<'_> {
        match &self.fuse_overlayfs {
            _ if self.privileged || self.overlay_userxattr => LayerMethod::Overlay,
            Some(program) => LayerMethod::Fuse(program),
            None => LayerMethod::Copy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_kernel_lacks_what_came_later() {
        let oldest = HostFeatures::assume(KernelVersion::OLDEST);
        assert!(!oldest.cgroup_kill && !oldest.overlay_lower_append);
        let (major, minor) = (6, 8);
        let newer = HostFeatures::assume(KernelVersion { major, minor });
        assert!(newer.cgroup_kill && newer.overlay_lower_append);
        assert!(!newer.overlay_layer_descriptors && !newer.mount_onto_detached);
    }

    #[test]
    fn features_are_read_back_from_their_own_json() {
        let features = HostFeatures::assume(KernelVersion::OLDEST);
        let json = serde_json::to_string(&features).unwrap();
        assert_eq!(
            serde_json::from_str::<HostFeatures>(&json).unwrap(),
            features
        );
    }
}
