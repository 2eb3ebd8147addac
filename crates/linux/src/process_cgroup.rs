//! A cgroup for one further process and all that it starts, so that these have limits of their own and end together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hoist_compute::Result;
use hoist_spec::oci::LinuxResources;

use crate::cgroup::{Base, Cgroup, CgroupError, CgroupRecord, DeviceControl, plan_limits};
use crate::system::operate;

/// How long ending what is in it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cgroup of one further process, within the container's. With its last user it is removed, or stays with what is left
/// in it and goes with the container's, if not before.
pub(crate) struct ProcessCgroup(pub(crate) Cgroup);

impl ProcessCgroup {
    /// Makes it, with `limits`. After an error there is none.
    pub(crate) fn make(container: &Cgroup, name: &str, limits: &LinuxResources) -> Result<Self> {
        let layout = container.layout();
        // Devices are the container's: its rules hold below it, too.
        let mut limits = plan_limits(limits, &layout, DeviceControl::Leave)
            .map_err(|error| operate(error.into()))?;
        limits.accounting.clear();
        if !limits.required.is_empty() {
            container.make_room().map_err(operate)?;
        }
        let made = Self(Cgroup::create(&layout, Base::Mount, name, &limits).map_err(operate)?);
        made.0.apply(&limits.writes).map_err(operate)?;
        Ok(made)
    }

    /// A name for one whose process has none.
    pub(crate) fn new_name() -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("process-{}-{number}", std::process::id())
    }

    /// Ends everything in it.
    pub(crate) fn kill_all(&self) -> Result<()> {
        self.0.kill_all(PATIENCE).map_err(operate)
    }
}

impl Drop for ProcessCgroup {
    /// Where something is left in it, that mostly ends soon: the cgroup is removed with the next one of this program.
    fn drop(&mut self) {
        static LEFT: Mutex<Vec<CgroupRecord>> = Mutex::new(Vec::new());
        let mut left = LEFT.lock().unwrap_or_else(|poison| poison.into_inner());
        left.push(self.0.record());
        let is_in_use = |cgroup: &CgroupRecord| {
            matches!(
                cgroup.remove(Duration::ZERO),
                Err(CgroupError::Timeout { .. })
            )
        };
        left.retain(is_in_use);
    }
}
