//! How long each part of a start took.

use std::sync::Mutex;

/// One thing that took time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Who did it: `owner`, `helper`, `process`.
    pub lane: &'static str,
    /// What it was, in words.
    pub label: String,
    /// When it began, in nanoseconds of the platform's monotonic clock.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

/// A place where a backend notes what takes time while it starts containers.
#[derive(Debug, Default)]
pub struct Timeline(Mutex<Vec<Bar>>);

impl Timeline {
    /// Notes one more.
    pub fn add(&self, bar: Bar) {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(bar);
    }

    /// What was noted so far, by beginning.
    pub fn bars(&self) -> Vec<Bar> {
        let mut bars = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone();
        bars.sort_by_key(|bar| bar.start_ns);
        bars
    }
}
