//! An end that is waited for: by threads, and by event loops.

use std::{
    io,
    sync::{Condvar, Mutex, MutexGuard},
    time::Duration,
};

use hoist_compute::{ExitStatus, Readiness};

use super::readiness::Ready;

/// How something has ended, once it has.
pub(super) struct Ended {
    status: Mutex<Option<ExitStatus>>,
    changed: Condvar,
    ready: Ready,
}

impl Ended {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            status: Mutex::default(),
            changed: Condvar::new(),
            ready: Ready::new()?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn status(&self) -> Option<ExitStatus> {
        self.lock().clone()
    }

    /// Tells the end; only the first one counts.
    pub(super) fn tell(&self, status: ExitStatus) {
        self.lock().get_or_insert(status);
        self.changed.notify_all();
        self.ready.set();
    }

    /// Waits for it; `None` where `limit` runs out first.
    pub(super) fn wait(&self, limit: Option<Duration>) -> Option<ExitStatus> {
        let is_unknown = |status: &mut Option<ExitStatus>| status.is_none();
        let status = match limit {
            None => self
                .changed
                .wait_while(self.lock(), is_unknown)
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
            Some(limit) => {
                self.changed
                    .wait_timeout_while(self.lock(), limit, is_unknown)
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .0
            }
        };
        status.clone()
    }

    pub(super) fn readiness(&self) -> Readiness<'_> {
        self.ready.readiness()
    }
}
