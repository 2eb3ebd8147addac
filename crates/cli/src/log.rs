//! What is told on standard error beside failures, as much as `--log-level` asks for.
//!
//! Below `debug` nothing is noted while containers start, and no text is made.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use hoist_compute::Timeline;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Level {
    /// What was done and how long it took, too
    Debug,
    /// What one may want to know (the default)
    #[default]
    Info,
    /// What failed and was made up for
    Warn,
    /// Only what a command failed for
    Error,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static JSON: AtomicBool = AtomicBool::new(false);
static STEPS: OnceLock<Arc<Timeline>> = OnceLock::new();
static TOLD: AtomicUsize = AtomicUsize::new(0);

/// Chooses, for the life of the program, how much is told and whether as JSON.
pub(crate) fn choose(level: Level, json: bool) {
    LEVEL.store(level as u8, Relaxed);
    JSON.store(json, Relaxed);
}

/// Whether what is of this level is told.
pub(crate) fn tells(level: Level) -> bool {
    level as u8 >= LEVEL.load(Relaxed)
}

/// Whether it is told as JSON.
pub(crate) fn as_json() -> bool {
    JSON.load(Relaxed)
}

/// Tells what was done.
pub(crate) fn debug(words: impl FnOnce() -> String) {
    if tells(Level::Debug) {
        write("debug", &words());
    }
}

/// Tells what one may want to know.
#[cfg_attr(
    windows,
    allow(dead_code, reason = "only a supervised container has such news")
)]
pub(crate) fn info(words: &str) {
    if tells(Level::Info) {
        write("info", words);
    }
}

fn write(level: &str, words: &str) {
    let line = match (as_json(), level) {
        (true, _) => {
            let now = hoist::rfc3339(hoist_compute::Timestamp::now());
            format!(
                "{}\n",
                serde_json::json!({"level": level, "time": now, "message": words})
            )
        }
        (false, "info") => format!("hoist: {words}\n"),
        (false, _) => format!("hoist: {level}: {words}\n"),
    };
    // There is nowhere else to tell it.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Where starts are to note their steps; `None` where nobody is told of them.
pub(crate) fn recorder() -> Option<Arc<Timeline>> {
    tells(Level::Debug).then(|| STEPS.get_or_init(Arc::default).clone())
}

/// Tells the steps of starts that were not told yet.
pub(crate) fn steps() {
    let Some(steps) = STEPS.get() else { return };
    let bars = steps.bars();
    for bar in bars.iter().skip(TOLD.swap(bars.len(), Relaxed)) {
        let microseconds = bar.end_ns.saturating_sub(bar.start_ns) / 1000;
        debug(|| format!("{}: {} ({microseconds} \u{b5}s)", bar.lane, bar.label));
    }
}
