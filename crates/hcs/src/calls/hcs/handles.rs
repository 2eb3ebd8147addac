//! Handles of systems and processes with their callbacks.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::calls::{
    CallbackHandle, HcsExports, ProcessHandle, SystemHandle,
    state::{Exit, Notified},
};

/// A system with its callback. It is closed once, at the latest when it is dropped.
pub struct System<E: HcsExports> {
    pub(super) exports: Arc<E>,
    pub(super) handle: SystemHandle,
    pub(super) notified: Arc<Notified>,
    pub(super) callback: Mutex<Option<CallbackHandle>>,
}

/// A process with its callback. It is closed once, at the latest when it is dropped.
pub struct Process<E: HcsExports> {
    pub(super) exports: Arc<E>,
    pub(super) handle: ProcessHandle,
    pub(super) notified: Arc<Notified>,
    pub(super) system: Arc<Notified>,
    pub(super) callback: Mutex<Option<CallbackHandle>>,
}

impl<E: HcsExports> System<E> {
    /// Waits until it has ended; false where `limit` runs out first.
    pub fn wait_exit(&self, limit: Option<Duration>) -> bool {
        self.notified.wait_exit(limit).is_some()
    }

    /// Whether it has ended, or nothing more will be heard of it.
    pub fn has_exited(&self) -> bool {
        self.notified.exit().is_some()
    }

    /// Whether its end was notified.
    pub fn has_ended(&self) -> bool {
        matches!(self.notified.exit(), Some(Exit::Exited(_)))
    }

    pub(super) fn close(&self) {
        if let Some(callback) = take(&self.callback) {
            self.exports.unregister_system_callback(callback);
            self.exports.close_compute_system(self.handle);
            self.notified.close();
        }
    }
}

impl<E: HcsExports> Process<E> {
    /// Whether it has ended, or nothing more will be heard of it.
    pub fn has_exited(&self) -> bool {
        self.notified.exit().is_some()
    }

    /// Waits until it has ended; false where `limit` runs out first.
    pub fn wait_exit(&self, limit: Option<Duration>) -> bool {
        self.notified.wait_exit(limit).is_some()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.callback
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .is_none()
    }

    pub(super) fn close(&self) {
        if let Some(callback) = take(&self.callback) {
            self.exports.unregister_process_callback(callback);
            self.exports.close_process(self.handle);
            self.system.leave(self.handle.0);
            self.notified.close();
        }
    }
}

impl<E: HcsExports> Drop for System<E> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<E: HcsExports> Drop for Process<E> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whoever takes it closes; no lock is held while the service is called.
fn take(callback: &Mutex<Option<CallbackHandle>>) -> Option<CallbackHandle> {
    callback
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .take()
}
