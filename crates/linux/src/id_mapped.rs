//! Mounts whose files belong to other ids than the file system says (mount_setattr(2), "ID-mapped mounts").
#![allow(unsafe_code, reason = "mount_setattr(2) has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};

use crate::execute::new_user_namespace;
use crate::features::HostFeatures;
use crate::plan::TreeIds;

/// Maps the ids of a detached copy of the mount at `path`.
pub(crate) fn map(
    tree: &OwnedFd,
    path: &str,
    ids: &TreeIds,
    features: &HostFeatures,
) -> Result<()> {
    let namespace = new_user_namespace(&ids.maps, features)?;
    set(tree, &namespace, ids.recursive).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(0);
        let made = Error::new(
            ErrorKind::Unsupported,
            Phase::Start,
            format!("map the ids of the mount of {path}"),
        )
        .about(path)
        .call("mount_setattr")
        .code(OsCode::Errno(errno));
        match errno {
            libc::EINVAL => made.remedy(
                "its file system cannot do that on this kernel (ext4 and xfs can from 5.12, btrfs from 5.15, overlayfs \
                 from 5.19, tmpfs from 6.3): leave the option out, or give the files their owners",
            ),
            libc::EPERM => made.remedy(
                "the ids of that mount are mapped already, or the file system was mounted in a user namespace",
            ),
            _ => made,
        }
    })
}

fn set(tree: &OwnedFd, namespace: &OwnedFd, recursive: bool) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: namespace.as_raw_fd() as u64,
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: both descriptors are open, the name is an empty text that ends in NUL, and the kernel reads as many bytes of the
    // structure as it is long.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
