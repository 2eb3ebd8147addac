//! The features that a start needs, read without trying anything out.

use std::io;

use rustix::{
    fs::{Access, access, stat},
    process::{getegid, geteuid},
    system::uname,
    thread::{CapabilitySet, capabilities},
};

use super::{HostFeatures, KernelVersion, SubIds, delegation, overlay};
use crate::{cgroup, whole_file};

/// The inode of the first user namespace, fixed by the kernel (`PROC_USER_INIT_INO`, linux/proc_ns.h).
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

impl HostFeatures {
    /// The features of this host for this process: some ten system calls, no child process.
    ///
    /// # Errors
    ///
    /// The kernel's cgroup hierarchies cannot be looked at.
    pub fn quick() -> io::Result<Self> {
        // A release that no kernel would give is taken for the oldest.
        let kernel = uname()
            .release()
            .to_str()
            .ok()
            .and_then(|release| release.parse().ok())
            .unwrap_or(KernelVersion::OLDEST);
        let uid = geteuid().as_raw();
        let administrator =
            capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
        let initial_user_namespace = stat(c"/proc/self/ns/user")
            .is_ok_and(|namespace| namespace.st_ino == FIRST_USER_NAMESPACE);
        let mut cgroup = cgroup::detect()?;
        if !initial_user_namespace {
            // Root of a user namespace may have been given a part of them, or nothing: podman as an ordinary user.
            cgroup.keep(|hierarchy| {
                access(&hierarchy.mount_point, Access::WRITE_OK).map_err(|_| {
                    format!(
                        "its cgroup hierarchy at {} may not be written in this user namespace",
                        hierarchy.mount_point.display()
                    )
                })
            });
        }
        let privileged = uid == 0 && administrator;
        let mut assumed = Self::assume(kernel);
        if !privileged {
            assumed.delegated = delegation::of(&cgroup, uid);
            assumed.overlay_userxattr &= overlay::is_there();
            if !assumed.overlay_userxattr {
                assumed.fuse_overlayfs = overlay::fuse_program();
            }
        }
        Ok(Self {
            uid,
            gid: getegid().as_raw(),
            privileged,
            sub_ids: (!privileged).then(|| SubIds::of(uid)).flatten(),
            initial_user_namespace,
            setgroups_denied: !initial_user_namespace && setgroups_denied(),
            cgroup,
            selinux: access(c"/sys/fs/selinux", Access::EXISTS).is_ok(),
            ..assumed
        })
    }
}

/// [`HostFeatures::setgroups_denied`], by itself. The first user namespace never denies it.
pub(crate) fn setgroups_denied() -> bool {
    whole_file::read("/proc/self/setgroups").is_ok_and(|word| word.starts_with(b"deny"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_looked_at() {
        let features = HostFeatures::quick().unwrap();
        assert!(features.kernel >= KernelVersion::OLDEST);
        assert_eq!(features.uid, geteuid().as_raw());
        assert!(!features.privileged || features.uid == 0);
    }
}
