//! Whether and when a container that has ended is started again.

use std::{
    sync::{Condvar, Mutex, MutexGuard},
    time::Duration,
};

use super::Exit;

/// The first delay.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// No delay is longer.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// After a run of this length the delays begin anew.
const LONG_RUN: Duration = Duration::from_secs(10);

/// When a container is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// Whatever it ended with, unless it was stopped.
    Always,
    /// The same; the engine also remembers a stop over its own end.
    UnlessStopped,
    /// When it did not end with 0, so many times at most; 0: any number.
    OnFailure {
        /// How many times.
        maximum: u32,
    },
}

/// Keeps count of one container's restarts.
#[derive(Debug, Default)]
pub struct RestartManager {
    policy: Restart,
    inner: Mutex<Inner>,
    cancelled: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    count: u32,
    delay: Duration,
    cancelled: bool,
}

impl RestartManager {
    /// By this policy.
    pub fn new(policy: Restart) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// No further restart, and an end of the delay of one that is due.
    pub fn cancel(&self) {
        self.lock().cancelled = true;
        self.cancelled.notify_all();
    }

    /// After what delay to start again a container that ran for `ran`; `None`: not at all.
    pub fn delay_after(&self, exit: Exit, ran: Duration) -> Option<Duration> {
        let mut inner = self.lock();
        let again = match self.policy {
            _ if inner.cancelled => false,
            Restart::No => false,
            Restart::Always | Restart::UnlessStopped => true,
            Restart::OnFailure { maximum } => {
                exit.code() != Some(0) && (maximum == 0 || inner.count < maximum)
            }
        };
        if !again {
            return None;
        }
        inner.delay = if ran >= LONG_RUN || inner.delay.is_zero() {
            FIRST_DELAY
        } else {
            (inner.delay * 2).min(LONGEST_DELAY)
        };
        inner.count += 1;
        Some(inner.delay)
    }

    /// Waits for `delay`; false where it was cancelled meanwhile.
    pub(super) fn sleep(&self, delay: Duration) -> bool {
        let (inner, _) = self
            .cancelled
            .wait_timeout_while(self.lock(), delay, |inner| !inner.cancelled)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        !inner.cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    fn delays(policy: Restart, exits: &[(Exit, Duration)]) -> Vec<Option<u128>> {
        let manager = RestartManager::new(policy);
        exits
            .iter()
            .map(|(exit, ran)| {
                manager
                    .delay_after(*exit, *ran)
                    .map(|delay| delay.as_millis())
            })
            .collect()
    }

    #[test]
    fn delays_double_and_begin_anew_after_a_long_run() {
        let failed = Exit::Code(1);
        assert_eq!(
            delays(
                Restart::Always,
                &[
                    (failed, SHORT),
                    (Exit::Code(0), SHORT),
                    (failed, LONG_RUN),
                    (failed, SHORT)
                ]
            ),
            [Some(100), Some(200), Some(100), Some(200)]
        );
        let many = delays(Restart::Always, &[(failed, SHORT); 14]);
        assert_eq!(many.last(), Some(&Some(60_000)));
    }

    #[test]
    fn on_failure_counts_and_an_unknown_end_is_a_failure() {
        let policy = Restart::OnFailure { maximum: 2 };
        let ends = [
            (Exit::Unknown, SHORT),
            (Exit::Code(1), SHORT),
            (Exit::Code(1), SHORT),
        ];
        assert_eq!(delays(policy, &ends), [Some(100), Some(200), None]);
        assert_eq!(delays(policy, &[(Exit::Code(0), SHORT)]), [None]);
        assert_eq!(delays(Restart::No, &ends[..1]), [None]);
    }

    #[test]
    fn a_cancel_ends_the_delay() {
        let manager = RestartManager::new(Restart::Always);
        manager.cancel();
        assert!(!manager.sleep(Duration::from_secs(3600)));
        assert_eq!(manager.delay_after(Exit::Code(1), SHORT), None);
    }
}
