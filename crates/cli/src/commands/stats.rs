//! `hoist stats`.

use std::collections::HashMap;
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use hoist::{Engine, Usage};
use hoist_compute::ErrorKind;
use hoist_spec::ContainerId;

use serde_json::Value;

use super::ps::SHORT_ID;
use crate::args::Stats;
use crate::failure::{Failure, warn_of_all};
use crate::format::ListFormat;
use crate::output;

/// How long between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Over how long processor time is measured where it is shown once.
pub(crate) const SAMPLE: Duration = Duration::from_millis(500);

/// Shows what containers use.
pub(crate) fn run(stats: &Stats, engine: &Engine) -> Result<u8, Failure> {
    let named: Vec<ContainerId> = stats
        .containers
        .iter()
        .map(|reference| engine.resolve(reference))
        .collect::<Result<_, _>>()?;
    if named.is_empty() {
        warn_of_all(engine.survey(false)?.unreadable);
    }
    let mut before = Sample::take(engine, &named, true)?;
    let is_table = matches!(
        stats.list.format,
        ListFormat::Table | ListFormat::TableTemplate(_)
    );
    let clears = is_table && !stats.no_stream && stdout().is_terminal();
    loop {
        std::thread::sleep(if stats.no_stream { SAMPLE } else { INTERVAL });
        let now = Sample::take(engine, &named, stats.no_stream)?;
        let text = stats.list.write(&used(stats.no_trunc, &now, &before))?;
        // The cursor home, each line cleared to its end, and what is below.
        let text = match clears {
            true => format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")),
            false => text,
        };
        let has_reader = output::print_to_reader(&text)?;
        if !has_reader || stats.no_stream || (!named.is_empty() && now.usages.is_empty()) {
            return Ok(0);
        }
        before = now;
    }
}

/// What was seen at one moment.
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) usages: Vec<Usage>,
}

impl Sample {
    /// Looks at the containers that are named, or at all that run. With `strict`, one that is named and does not run is an error.
    fn take(engine: &Engine, named: &[ContainerId], strict: bool) -> Result<Self, Failure> {
        let at = Instant::now();
        let all: Vec<ContainerId> = match named {
            [] => engine
                .list(false)?
                .into_iter()
                .map(|listed| listed.summary.id)
                .collect(),
            named => named.to_vec(),
        };
        let mut usages = Vec::with_capacity(all.len());
        for id in all {
            match engine.stats(&id) {
                Ok(usage) => usages.push(usage),
                Err(error)
                    if matches!(error.kind(), ErrorKind::InvalidState | ErrorKind::NotFound)
                        && (named.is_empty() || !strict) => {}
                // It was told before the first look.
                Err(error) if error.kind() == ErrorKind::Damaged && named.is_empty() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { at, usages })
    }
}

/// What was used between two moments; each is an object with the fields of [`crate::format::ListedUsage`].
pub(crate) fn used(whole_ids: bool, now: &Sample, before: &Sample) -> Vec<Value> {
    let earlier: HashMap<&ContainerId, u64> = before
        .usages
        .iter()
        .filter_map(|usage| Some((&usage.id, usage.statistics.cpu.as_ref()?.usage_nanoseconds)))
        .collect();
    let elapsed = now.at.duration_since(before.at);
    let used = now.usages.iter().map(|usage| {
        let percent = processor_percent(usage, earlier.get(&usage.id).copied(), elapsed);
        fields(usage, percent, whole_ids)
    });
    used.collect()
}

/// Processor time since the last look; 100 is one processor.
fn processor_percent(usage: &Usage, before: Option<u64>, elapsed: Duration) -> Option<f64> {
    let now = usage.statistics.cpu.as_ref()?.usage_nanoseconds;
    let used = now.saturating_sub(before?);
    Some(used as f64 * 100.0 / elapsed.as_nanos().max(1) as f64)
}

/// What docker shows where it knows nothing.
const UNKNOWN: &str = "--";

fn fields(usage: &Usage, percent: Option<f64>, whole_id: bool) -> Value {
    let id: String = match whole_id {
        true => usage.id.to_string(),
        false => usage.id.as_str().chars().take(SHORT_ID).collect(),
    };
    let unless_unknown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let percent_text = |percent: f64| format!("{percent:.2}%");
    let statistics = &usage.statistics;
    let memory = statistics.memory.as_ref();
    let limit = memory.and_then(|memory| memory.limit_bytes);
    let memory_used = memory.map(|memory| {
        let limit = limit.map_or_else(|| "unlimited".to_owned(), size);
        format!("{} / {limit}", size(memory.usage_bytes))
    });
    let memory_percent = memory
        .zip(limit)
        .map(|(memory, limit)| memory.usage_bytes as f64 * 100.0 / limit.max(1) as f64);
    let both = |(one, other)| format!("{} / {}", decimal_size(one), decimal_size(other));
    let network = statistics
        .network
        .map(|used| (used.received_bytes, used.sent_bytes));
    let block_io = statistics
        .block_io
        .map(|used| (used.read_bytes, used.written_bytes));
    serde_json::json!({
        "Container": id,
        "ID": id,
        "Name": usage.name.clone().unwrap_or_default(),
        "CPUPerc": unless_unknown(percent.map(percent_text)),
        "MemUsage": unless_unknown(memory_used),
        "MemPerc": unless_unknown(memory_percent.map(percent_text)),
        "NetIO": unless_unknown(network.map(both)),
        "BlockIO": unless_unknown(block_io.map(both)),
        "PIDs": unless_unknown(statistics.pids.map(|pids| pids.to_string())),
    })
}

/// Bytes in docker's units of 1024.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes}B"),
        _ => format!("{number:.4}")[..5].trim_end_matches('.').to_owned() + UNITS[unit],
    }
}

/// Bytes in units of 1000, in which docker tells what was moved.
fn decimal_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    // What is rounded to 1000 is one of the next.
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    let decimals = match number {
        99.95.. => 0,
        9.995.. => 1,
        _ => 2,
    };
    let text = format!("{number:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_moved_has_three_digits_and_a_decimal_unit() {
        for (bytes, text) in [
            (0, "0B"),
            (656, "656B"),
            (1000, "1kB"),
            (1234, "1.23kB"),
            (12_345, "12.3kB"),
            (999_499, "999kB"),
            (999_999, "1MB"),
            (20_500_000, "20.5MB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(decimal_size(bytes), text);
        }
    }

    #[test]
    fn sizes_have_four_digits_and_a_unit() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.000KiB"),
            (1536, "1.500KiB"),
            (1_047_552, "1023KiB"),
            (512 << 20, "512.0MiB"),
            (u64::MAX, "16384PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
