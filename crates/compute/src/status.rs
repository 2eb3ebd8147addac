//! States, times and exit statuses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hoist_spec::Signal;
use serde::{Deserialize, Serialize};

/// Where a container is in its life: `Created → Running ⇄ Paused → Stopped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Made, its process not yet started.
    Created,
    /// Its first process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its first process has ended.
    Stopped,
}

impl std::fmt::Display for State {
    /// `created`, `running`, `paused` or `stopped`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// A point in time, nanoseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The present.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// How a process ended. It is state: whoever asks, however late or often, gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The code it gave to exit(2), 0 to 255 on Linux and any 32-bit value on Windows. `None` where a signal
    /// ended it, or where the status was lost.
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// When.
    pub finished_at: Timestamp,
    /// The out-of-memory kill that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom: Option<OomKill>,
    /// It was ended by force because it had run for as long as it may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timed_out: bool,
    /// Why not all that it had started was ended with it when its time was over; `None` where all was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<String>,
    /// Why neither code nor signal is known ("supervisor lost").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

impl ExitStatus {
    /// It called exit(2) with `code`.
    pub fn exited(code: i32) -> Self {
        Self {
            code: Some(code),
            signal: None,
            finished_at: Timestamp::now(),
            oom: None,
            timed_out: false,
            left_behind: None,
            unknown: None,
        }
    }

    /// `signal` ended it.
    pub fn signalled(signal: Signal) -> Self {
        Self {
            code: None,
            signal: Some(signal),
            finished_at: Timestamp::now(),
            oom: None,
            timed_out: false,
            left_behind: None,
            unknown: None,
        }
    }

    /// It ended, and how cannot be known, because of `reason`.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self {
            code: None,
            signal: None,
            finished_at: Timestamp::now(),
            oom: None,
            timed_out: false,
            left_behind: None,
            unknown: Some(reason.into()),
        }
    }

    /// As a shell reports it: the code, 128 + the signal's number, 124 where its time was over (timeout(1)), or 255 where it is
    /// unknown (never 0).
    pub fn shell_code(&self) -> i32 {
        match (self.code, self.signal) {
            _ if self.timed_out => 124,
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal.number(),
            (None, None) => 255,
        }
    }
}

/// A kill by the kernel's out-of-memory killer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomKill {
    /// The cgroup whose limit was hit.
    pub cgroup: String,
    /// That limit in bytes, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<u64>,
}
