//! The ids that this machine lends to an ordinary user (subuid(5), subgid(5)).

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::sub_ids::{IdRange, SubIds, ranges};
use crate::accounts;

/// What `/etc/subuid` or `/etc/subgid` (`path`) lends to the user `uid`.
pub(super) fn subordinate_ids(path: &str, uid: u32) -> Vec<IdRange> {
    let Ok(text) = fs::read_to_string(path) else {
        return Vec::new();
    };
    let name = fs::read("/etc/passwd")
        .ok()
        .and_then(|text| accounts::passwd(&text).find(|entry| entry.uid == uid))
        .map(|entry| entry.name);
    ranges(&text, name.as_deref(), uid)
}

impl SubIds {
    /// What is lent to the user `uid`, where the helpers are there that map it.
    pub(super) fn of(uid: u32) -> Option<Self> {
        let lent = Self {
            users: subordinate_ids("/etc/subuid", uid),
            groups: subordinate_ids("/etc/subgid", uid),
        };
        let helped = ["newuidmap", "newgidmap"]
            .iter()
            .all(|name| program(name).is_some_and(|path| may_map(&path)));
        (helped && !lent.users.is_empty() && !lent.groups.is_empty()).then_some(lent)
    }
}

/// Whether a helper has the rights that it needs: by the set-user-id bit, or by a capability of the file.
pub(super) fn may_map(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let is_set_id = fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o4000 != 0);
    is_set_id || rustix::fs::getxattr(path, "security.capability", &mut [0; 64]).is_ok()
}

/// Where the program `name` is in `PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_file(path))
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}
