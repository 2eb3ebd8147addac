//! Writing the id maps of a new user namespace (user_namespaces(7)).

use std::fmt::Write;
use std::fs;
use std::process::{Command, Stdio};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};

use crate::features::HostFeatures;
use crate::features::accounts::program;
use crate::plan::{IdMapping, IdMaps};

/// Writes the maps of the process `pid`, whose namespace is a child of the caller's. What the kernel does not let the caller map,
/// the helpers of the system's own do, which look up what is lent (newuidmap(1)).
pub(crate) fn write(maps: &IdMaps, pid: u32, features: &HostFeatures) -> Result<()> {
    if !features.privileged && !maps.is_own_ids(features.uid, features.gid) {
        help("newuidmap", &maps.users, pid)?;
        return help("newgidmap", &maps.groups, pid);
    }
    if maps.deny_setgroups {
        put(pid, "setgroups", "deny")?;
    }
    put(pid, "uid_map", &lines(&maps.users))?;
    put(pid, "gid_map", &lines(&maps.groups))
}

/// Has a helper write one map. It is started without any word of the caller's environment.
fn help(name: &str, mappings: &[IdMapping], pid: u32) -> Result<()> {
    let failed = || {
        Error::new(
            ErrorKind::PermissionDenied,
            Phase::Start,
            format!("map ids by {name}"),
        )
        .remedy("`hoist info` says what stands in the way of sub-ids")
    };
    let program = program(name).ok_or_else(|| failed().because("it is not installed"))?;
    let mut command = Command::new(program);
    command
        .arg(pid.to_string())
        .env_clear()
        .stdin(Stdio::null())
        .current_dir("/");
    for mapping in mappings {
        let numbers = [mapping.inside, mapping.outside, mapping.count];
        command.args(numbers.map(|number| number.to_string()));
    }
    let output = command.output().map_err(|error| failed().because(error))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(failed().because(said.trim().to_owned()))
        }
    }
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
