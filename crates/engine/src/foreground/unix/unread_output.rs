//! How long a container in the foreground may go on whose output nobody reads any more.

use std::time::{Duration, Instant};

use hoist_compute::{Error, ErrorKind, Phase};

/// How long it may take to end after `SIGHUP`: as long as one that is stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time of one that was told that nobody reads its output.
#[derive(Debug, Default)]
pub(super) struct UnreadOutput {
    until: Option<Instant>,
}

impl UnreadOutput {
    /// It was told just now.
    pub(super) fn begins(&mut self) {
        self.until.get_or_insert(Instant::now() + PATIENCE);
    }

    /// How much of the time is left, where it runs.
    pub(super) fn left(&self) -> Option<Duration> {
        self.until
            .map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Whether the time is over; told once.
    pub(super) fn is_over(&mut self) -> bool {
        self.until
            .take_if(|until| *until <= Instant::now())
            .is_some()
    }
}

/// What is told of one that was ended then.
pub(super) fn ended_by_force() -> Error {
    Error::new(
        ErrorKind::Timeout,
        Phase::Operate,
        "wait for the end of the process: it was ended by force",
    )
    .because(format!(
        "nobody reads its output any more, and it has not ended within {} s of SIGHUP",
        PATIENCE.as_secs()
    ))
}
