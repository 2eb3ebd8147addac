//! Removing what was made for a container.

use std::time::Duration;

use hoist_compute::{Phase, Result};

use crate::cgroup::CgroupRecord;

/// How long a cgroup may take to become empty after its last process was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one that may never have been the container's may take.
const SHORT: Duration = Duration::from_secs(1);

/// Removes what was made of a container's cgroup before that could be written down, where anything was.
pub(crate) fn remove_intended_cgroup(cgroup: Option<&CgroupRecord>) -> Result<()> {
    match cgroup {
        Some(cgroup) => cgroup
            .remove_unused(SHORT)
            .map_err(|error| error.into_error(Phase::Delete)),
        None => Ok(()),
    }
}

/// Removes the container's cgroup, where it has one. One that is gone is success.
pub(crate) fn remove_cgroup(cgroup: Option<&CgroupRecord>) -> Result<()> {
    match cgroup {
        Some(cgroup) => cgroup
            .remove(PATIENCE)
            .map_err(|error| error.into_error(Phase::Delete)),
        None => Ok(()),
    }
}
