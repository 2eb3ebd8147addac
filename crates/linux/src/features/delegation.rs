//! The parts of the cgroup hierarchies that were given to an ordinary user (cgroups(7), "Delegation").

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::cgroup::layout::{Base, Hierarchy, Layout, Version};

/// The hierarchies in which the user may make cgroups below its own, and move processes there.
pub(super) fn of(all: &Layout, uid: u32) -> Layout {
    let mut layout = all.clone();
    for hierarchy in &mut layout.hierarchies {
        if hierarchy.version == Version::V2 {
            above_processes(hierarchy);
        }
    }
    layout.keep(|hierarchy| {
        let own = own(hierarchy);
        match is_delegated(&own, hierarchy.version) {
            true => Ok(()),
            false => Err(format!(
                "{} is not delegated to user {uid}; have the system give it to the user, as with systemd-run --user --scope \
                 -p Delegate=yes, or run Hoist as root",
                own.display()
            )),
        }
    });
    layout
}

/// On cgroup v2 a cgroup with processes gives its children no controllers: the one above, where it is delegated, too, does
/// (admin-guide/cgroup-v2.rst, "No Internal Process Constraint").
fn above_processes(hierarchy: &mut Hierarchy) {
    let Some((above, _)) = hierarchy.own_path.trim_end_matches('/').rsplit_once('/') else {
        return;
    };
    let candidate = Hierarchy {
        own_path: above.to_owned(),
        ..hierarchy.clone()
    };
    if !above.is_empty() && is_delegated(&own(&candidate), Version::V2) {
        *hierarchy = candidate;
    }
}

fn own(hierarchy: &Hierarchy) -> PathBuf {
    hierarchy.directory(Base::Own, "")
}

fn is_delegated(directory: &Path, version: Version) -> bool {
    let may_write = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    may_write(directory)
        && (version == Version::V1
            || ["cgroup.procs", "cgroup.subtree_control"]
                .iter()
                .all(|name| may_write(&directory.join(name))))
}
