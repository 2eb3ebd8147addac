//! What a directory of the host offers as the root of a further process.

use std::path::Path;

use hoist_compute::{Confinement, Error, ErrorKind, Phase, Result};

use crate::plan::{OwnRoot, RuntimeOptions};

/// Where the container's root may be mounted: the first that is there.
const CONTAINER: [&str; 2] = ["/container", "/mnt"];
/// What of the container is mounted in it where it has directories for that.
const SHARED: [&str; 2] = ["/dev", "/proc"];

/// How a further process with this confinement is started, in a cgroup of its own or not.
pub(crate) fn options(confinement: &Confinement, has_cgroup: bool) -> Result<RuntimeOptions> {
    Ok(RuntimeOptions {
        adopts_orphans: confinement.timeout.is_some() && !has_cgroup,
        own_root: confinement.root.as_deref().map(look).transpose()?,
        ..RuntimeOptions::default()
    })
}

fn look(directory: &Path) -> Result<OwnRoot> {
    let refused = |reason: &str| {
        let operation = format!("take {} as the root of a process", directory.display());
        Error::new(ErrorKind::InvalidSpec, Phase::Plan, operation)
            .about(directory.display().to_string())
            .because(reason)
    };
    let has = |path: &str| {
        let found = std::fs::symlink_metadata(directory.join(path.trim_start_matches('/')));
        found.is_ok_and(|found| found.is_dir())
    };
    if !directory.is_absolute() {
        return Err(refused("it is no absolute path"));
    }
    if !directory.is_dir() {
        return Err(refused("it is no directory"));
    }
    let container = CONTAINER.into_iter().find(|path| has(path));
    Ok(OwnRoot {
        directory: directory.display().to_string(),
        container: container.ok_or_else(|| {
            refused("it has no directory for the container's root")
                .remedy(format!("make one: mkdir {}/container", directory.display()))
        })?,
        shared: SHARED.into_iter().filter(|path| has(path)).collect(),
    })
}
