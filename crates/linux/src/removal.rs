//! Removing what was made for a container.

use std::time::Duration;

use hoist_compute::{Phase, Result};

use crate::cgroup::CgroupRecord;

/// How long a cgroup may take to become empty after its last process was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes the container's cgroup, where it has one. One that is gone is success.
pub(crate) fn remove_cgroup(cgroup: Option<&CgroupRecord>) -> Result<()> {
    match cgroup {
        Some(cgroup) => cgroup
            .remove(PATIENCE)
            .map_err(|error| error.into_error(Phase::Delete)),
        None => Ok(()),
    }
}
