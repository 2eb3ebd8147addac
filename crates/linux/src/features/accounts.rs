//! The ids that this machine lends to an ordinary user (subuid(5), subgid(5)).

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::accounts;

/// How many ids `/etc/subuid` or `/etc/subgid` (`path`) gives to the user `uid`, by name or by number.
pub(super) fn subordinate_ids(path: &str, uid: u32) -> u64 {
    let name = fs::read("/etc/passwd")
        .ok()
        .and_then(|text| accounts::passwd(&text).find(|entry| entry.uid == uid))
        .map(|entry| entry.name);
    count(
        &fs::read_to_string(path).unwrap_or_default(),
        name.as_deref(),
        uid,
    )
}

fn count(text: &str, name: Option<&str>, uid: u32) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let theirs = name == Some(owner) || owner.parse() == Ok(uid);
            let count: u64 = fields.nth(1)?.parse().ok()?;
            theirs.then_some(count)
        })
        .sum()
}

/// Where the program `name` is in `PATH`.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_file(path))
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_count_by_name_and_by_number_and_junk_does_not() {
        let text = "me:100000:65536\nother:1:9\n1000:200000:10\nme:junk\n\nme:1:x\n";
        assert_eq!(count(text, Some("me"), 1000), 65546);
        assert_eq!(count(text, None, 7), 0);
    }
}
