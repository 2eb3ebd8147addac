//! What a supervisor is asked to do.

use serde::{Deserialize, Serialize};

use super::RestartPolicy;

/// How a container is looked after while it runs detached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuperviseOptions {
    /// Keep its standard input open for those who attach; otherwise it is the null device.
    pub interactive: bool,
    /// Remove the container and its log when it has ended for good.
    pub remove: bool,
    /// When to start it once more.
    pub restart: RestartPolicy,
    /// Where its output goes.
    pub log: LogOptions,
}

/// How output is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    /// The form of the log.
    pub driver: LogDriver,
    /// The size in bytes at which a file is put away and a new one begun; 0: it grows without end.
    pub max_size: u64,
    /// How many files there are at most, the one being written included; at least 1.
    pub max_files: u32,
    /// What happens to output that cannot be written.
    pub when_it_fails: WhenLogFails,
}

impl Default for LogOptions {
    /// At most five files of 20 MB, so that no container fills the disk.
    fn default() -> Self {
        Self {
            driver: LogDriver::default(),
            max_size: 20_000_000,
            max_files: 5,
            when_it_fails: WhenLogFails::default(),
        }
    }
}

/// The form of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Docker's: a JSON object per line, with `log`, `stream` and `time`.
    #[default]
    JsonFile,
    /// Nothing is kept.
    None,
}

/// What happens to output that cannot be written to the log, because the disk is full for instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenLogFails {
    /// It is not kept, and how much that was is written to the log when that takes entries again: the container never waits.
    #[default]
    Drop,
    /// The container waits, as one whose reader is slow, until the log takes it.
    Block,
}
