//! What the service has notified of, kept for whoever asks, however late.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard, Weak},
    time::{Duration, Instant},
};

use super::{CallError, CallResult, Failure, Notification, NotificationSink, OnExit};
use crate::Hresult;

/// The notifications of one handle.
///
/// An exit stays: every wait, also a later one, sees it. A completion is for the operation that waits for it and is forgotten
/// before the next of its kind begins, so that the late end of one that timed out does not end another.
#[derive(Default)]
pub(super) struct Notified {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    exited: Option<Hresult>,
    service_gone: bool,
    system_gone: bool,
    closed: bool,
    /// A system's processes: they end with it, whether or not that is notified.
    dependents: HashMap<usize, Weak<Notified>>,
    completed: HashMap<Notification, Hresult>,
    on_exit: Vec<OnExit>,
}

/// How a handle's life has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// By the exit that was notified, with this status.
    Exited(Hresult),
    /// With its system, and nothing was heard of itself.
    WithSystem,
    /// Nothing more will be heard: the service has gone, or the handle was closed.
    Unheard,
}

impl Inner {
    fn exit(&self) -> Option<Exit> {
        match self.exited {
            Some(status) => Some(Exit::Exited(status)),
            None if self.system_gone => Some(Exit::WithSystem),
            None => (self.service_gone || self.closed).then_some(Exit::Unheard),
        }
    }
}

impl Notified {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Forgets a completion, before the operation that it would belong to is begun.
    pub(super) fn expect(&self, notification: Notification) {
        self.lock().completed.remove(&notification);
    }

    /// Waits for the completion of the operation `function`.
    pub(super) fn wait_for(
        &self,
        notification: Notification,
        function: &'static str,
        limit: Duration,
    ) -> CallResult {
        let deadline = Instant::now() + limit;
        let mut inner = self.lock();
        loop {
            if let Some(status) = inner.completed.remove(&notification) {
                return if status.is_success() {
                    Ok(())
                } else {
                    Err(CallError::result(function, status))
                };
            }
            match inner.exit() {
                Some(Exit::Exited(_) | Exit::WithSystem) => {
                    return Err(CallError::new(function, Failure::SystemExited));
                }
                Some(Exit::Unheard) => return Err(CallError::new(function, Failure::ServiceGone)),
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CallError::new(function, Failure::TimedOut(limit)));
            }
            inner = self
                .changed
                .wait_timeout(inner, left)
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
    }

    /// Waits for the exit; `None` where `limit` runs out first.
    pub(super) fn wait_exit(&self, limit: Option<Duration>) -> Option<Exit> {
        let goes_on = |inner: &mut Inner| inner.exit().is_none();
        let inner = match limit {
            None => self
                .changed
                .wait_while(self.lock(), goes_on)
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
            Some(limit) => {
                self.changed
                    .wait_timeout_while(self.lock(), limit, goes_on)
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .0
            }
        };
        inner.exit()
    }

    /// Whether the exit was notified already.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.lock().exit()
    }

    /// Runs `then` at the exit; at once where that was.
    pub(super) fn on_exit(&self, then: OnExit) {
        let mut inner = self.lock();
        if inner.exit().is_some() {
            drop(inner);
            then();
        } else {
            inner.on_exit.push(then);
        }
    }

    /// A process of this system: where the system ends, its waits end too. It is forgotten by [`leave`](Self::leave), so
    /// that many processes one after another leave nothing behind.
    pub(super) fn join(&self, key: usize, process: &std::sync::Arc<Notified>) {
        let mut inner = self.lock();
        if inner.exit().is_some() {
            drop(inner);
            process.change(&|inner| inner.system_gone = true);
        } else {
            inner
                .dependents
                .insert(key, std::sync::Arc::downgrade(process));
        }
    }

    /// A process of this system that is done with.
    pub(super) fn leave(&self, key: usize) {
        self.lock().dependents.remove(&key);
    }

    /// Nothing more will be notified.
    pub(super) fn close(&self) {
        self.change(&|inner| inner.closed = true);
    }

    fn change(&self, change: &dyn Fn(&mut Inner)) {
        let mut inner = self.lock();
        change(&mut inner);
        let (due, dependents) = match inner.exit() {
            Some(_) => (
                std::mem::take(&mut inner.on_exit),
                std::mem::take(&mut inner.dependents),
            ),
            None => (Vec::new(), HashMap::new()),
        };
        drop(inner);
        self.changed.notify_all();
        for process in dependents.values().filter_map(Weak::upgrade) {
            process.change(&|inner| inner.system_gone = true);
        }
        for then in due {
            then();
        }
    }
}

impl NotificationSink for Notified {
    fn notify(&self, notification: Notification, status: Hresult) {
        self.change(&|inner| match notification {
            Notification::SystemExited | Notification::ProcessExited => {
                inner.exited.get_or_insert(status);
            }
            Notification::ServiceDisconnect => inner.service_gone = true,
            other => {
                inner.completed.insert(other, status);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[test]
    fn a_late_completion_of_an_operation_that_timed_out_does_not_end_the_next() {
        let notified = Notified::default();
        let start = Notification::SystemStartCompleted;
        notified.expect(start);
        let late = notified.wait_for(start, "f", SOON).unwrap_err();
        assert_eq!(late.failure, Failure::TimedOut(SOON));
        notified.notify(start, Hresult::OK);
        notified.expect(start);
        assert!(notified.wait_for(start, "f", SOON).is_err());
    }

    #[test]
    fn an_exit_is_seen_by_every_wait_and_ends_operations() {
        let notified = Notified::default();
        let told = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&told);
        notified.on_exit(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        notified.notify(Notification::SystemExited, Hresult::OK);
        notified.notify(Notification::SystemExited, Hresult::UNEXPECTED_EXIT);
        for _ in 0..2 {
            assert_eq!(notified.wait_exit(None), Some(Exit::Exited(Hresult::OK)));
        }
        let start = Notification::SystemStartCompleted;
        let failure = notified.wait_for(start, "f", SOON).unwrap_err().failure;
        assert_eq!(failure, Failure::SystemExited);
        let count = Arc::clone(&told);
        notified.on_exit(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_process_ends_with_its_system_though_nothing_is_heard_of_it() {
        let (system, process) = (Notified::default(), Arc::new(Notified::default()));
        system.join(1, &process);
        system.notify(Notification::SystemExited, Hresult::UNEXPECTED_EXIT);
        assert_eq!(process.wait_exit(None), Some(Exit::WithSystem));
        let late = Arc::new(Notified::default());
        system.join(2, &late);
        assert_eq!(late.wait_exit(None), Some(Exit::WithSystem));
    }

    #[test]
    fn processes_that_are_done_with_leave_nothing_behind() {
        let system = Notified::default();
        for key in 0..10_000 {
            let process = Arc::new(Notified::default());
            system.join(key, &process);
            system.leave(key);
        }
        assert!(system.lock().dependents.is_empty());
    }

    #[test]
    fn waits_end_when_the_service_goes_or_the_handle_is_closed() {
        for end in [
            (|notified: &Notified| notified.notify(Notification::ServiceDisconnect, Hresult::OK))
                as fn(&Notified),
            Notified::close,
        ] {
            let notified = Notified::default();
            assert_eq!(notified.wait_exit(Some(SOON)), None);
            end(&notified);
            assert_eq!(notified.wait_exit(None), Some(Exit::Unheard));
        }
    }
}
