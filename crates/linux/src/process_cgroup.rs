//! A cgroup for one further process and all that it starts, so that these have limits of their own and end together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hoist_compute::{ErrorKind, Result};
use hoist_spec::Signal;
use hoist_spec::oci::LinuxResources;

use crate::cgroup::{Base, Cgroup, DeviceControl, plan_limits};
use crate::process::{OwnedProcess, wait_for};
use crate::service::system;
use crate::system::operate;

/// How long ending what is in it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Enough for a few system calls.
const STACK: usize = 64 * 1024;

/// The cgroup of one further process, within the container's. With its last user it is removed, or stays with what is left
/// in it and goes with the container's.
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
    fn drop(&mut self) {
        let _ = self.0.remove(Duration::ZERO);
    }
}

/// Ends `process`, and what is in its cgroup, unless it ends by itself before `time` is over. Without a thread to see to that,
/// it is ended at once, and that is the error.
pub(crate) fn end_after(
    time: Duration,
    process: &Arc<OwnedProcess>,
    cgroup: &Arc<ProcessCgroup>,
) -> Result<()> {
    let (watched, held) = (process.clone(), cgroup.clone());
    let watch = move || {
        if let Ok(false) = wait_for(std::os::fd::AsFd::as_fd(&watched.pidfd), Some(time)) {
            watched.is_out_of_time();
            // Who waits for it sees whether it has ended.
            let _ = held.kill_all();
        }
    };
    let start = || {
        std::thread::Builder::new()
            .name("hoist-deadline".to_owned())
            .stack_size(STACK)
            .spawn(watch)
    };
    // The caller's signals are not for this thread.
    match crate::execute::without_signals(start).and_then(|started| started) {
        Ok(_) => Ok(()),
        Err(error) => {
            let _ = cgroup.kill_all();
            match process.signal(Signal::KILL) {
                Err(error) if error.kind() != ErrorKind::InvalidState => return Err(error),
                _ => {}
            }
            process.wait(None)?;
            Err(system("watch the time of the process", error))
        }
    }
}
