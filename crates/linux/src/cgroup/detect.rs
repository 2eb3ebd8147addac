//! Looks at this host's cgroup hierarchies.

#![allow(
    clippy::unnecessary_cast,
    reason = "the type of a file system's magic number differs between architectures"
)]

use std::{io, path::Path};

use rustix::fs::{StatVfsMountFlags, statfs};

use super::layout::{Layout, Mounted, Version};
use crate::whole_file::read_text;

/// `CGROUP_SUPER_MAGIC` (linux/magic.h).
const CGROUP: u64 = 0x0027_e0eb;
/// `CGROUP2_SUPER_MAGIC` (linux/magic.h).
const CGROUP2: u64 = 0x6367_7270;

/// The hierarchies of this host, by `/proc/self/cgroup` and the type of what is mounted below `/sys/fs/cgroup`.
///
/// The mount table is never read: it grows with every container of the host.
///
/// # Errors
///
/// `/proc/self/cgroup` cannot be read. A kernel without cgroups gives an empty layout.
pub fn detect() -> io::Result<Layout> {
    let memberships = match read_text("/proc/self/cgroup") {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(Layout::assemble(&memberships, &look, &|path| {
        read_text(path.join("cgroup.controllers")).unwrap_or_default()
    }))
}

fn look(path: &Path) -> Option<Mounted> {
    let mounted = statfs(path).ok()?;
    let version = match mounted.f_type as u64 {
        CGROUP => Version::V1,
        CGROUP2 => Version::V2,
        _ => return None,
    };
    let flags = StatVfsMountFlags::from_bits_retain(mounted.f_flags as u64);
    Some(Mounted {
        version,
        read_only: flags.contains(StatVfsMountFlags::RDONLY),
    })
}
