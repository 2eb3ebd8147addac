//! Writing the id maps of a new user namespace (user_namespaces(7)).

use std::fmt::Write;
use std::fs;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};

use crate::plan::{IdMapping, IdMaps};

/// Writes the maps of the process `pid`, whose namespace is a child of the caller's.
pub(crate) fn write(maps: &IdMaps, pid: u32) -> Result<()> {
    if maps.deny_setgroups {
        put(pid, "setgroups", "deny")?;
    }
    put(pid, "uid_map", &lines(&maps.users))?;
    put(pid, "gid_map", &lines(&maps.groups))
}

fn lines(mappings: &[IdMapping]) -> String {
    mappings.iter().fold(String::new(), |mut text, mapping| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{} {} {}",
            mapping.inside, mapping.outside, mapping.count
        );
        text
    })
}

fn put(pid: u32, file: &str, text: &str) -> Result<()> {
    fs::write(format!("/proc/{pid}/{file}"), text).map_err(|error| {
        let made = Error::new(
            ErrorKind::PermissionDenied,
            Phase::Start,
            format!("write {file} of the user namespace"),
        );
        match error.raw_os_error() {
            Some(errno) => made.call("write").code(OsCode::Errno(errno)),
            None => made.because(error),
        }
        .remedy("mapping other ids than one's own needs root, or sub-ids and newuidmap")
    })
}
