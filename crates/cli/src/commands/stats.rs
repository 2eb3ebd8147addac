//! `hoist stats`.

use std::collections::HashMap;
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use hoist::{Engine, Usage};
use hoist_compute::ErrorKind;
use hoist_spec::ContainerId;

use super::ps::SHORT_ID;
use crate::args::{Stats, TableFormat};
use crate::failure::Failure;
use crate::{output, table};

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
    let mut before = Sample::take(engine, &named, true)?;
    let clears = stats.format == TableFormat::Table && !stats.no_stream && stdout().is_terminal();
    loop {
        std::thread::sleep(if stats.no_stream { SAMPLE } else { INTERVAL });
        let now = Sample::take(engine, &named, stats.no_stream)?;
        let text = show(stats.format, stats.no_trunc, &now, &before)?;
        // The cursor home, each line cleared to its end, and what is below.
        let text = match clears {
            true => format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")),
            false => text,
        };
        output::print(&text)?;
        if stats.no_stream || (!named.is_empty() && now.usages.is_empty()) {
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
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { at, usages })
    }
}

/// What was used between two moments, as a table or a JSON object per line.
pub(crate) fn show(
    format: TableFormat,
    whole_ids: bool,
    now: &Sample,
    before: &Sample,
) -> Result<String, Failure> {
    let earlier: HashMap<&ContainerId, u64> = before
        .usages
        .iter()
        .filter_map(|usage| Some((&usage.id, usage.statistics.cpu.as_ref()?.usage_nanoseconds)))
        .collect();
    let elapsed = now.at.duration_since(before.at);
    let rows = now.usages.iter().map(|usage| {
        let percent = processor_percent(usage, earlier.get(&usage.id).copied(), elapsed);
        Row::of(usage, percent, whole_ids)
    });
    if format == TableFormat::Table {
        let rows: Vec<Vec<String>> = rows.map(Row::columns).collect();
        let head = [
            "CONTAINER ID",
            "NAME",
            "CPU %",
            "MEM USAGE / LIMIT",
            "MEM %",
            "PIDS",
        ];
        return Ok(table::render(&head, &rows));
    }
    let lines = rows.map(|row| format!("{}\n", row.json()));
    Ok(lines.collect())
}

/// Processor time since the last look; 100 is one processor.
fn processor_percent(usage: &Usage, before: Option<u64>, elapsed: Duration) -> Option<f64> {
    let now = usage.statistics.cpu.as_ref()?.usage_nanoseconds;
    let used = now.saturating_sub(before?);
    Some(used as f64 * 100.0 / elapsed.as_nanos().max(1) as f64)
}

struct Row {
    id: String,
    name: String,
    processor: String,
    memory: String,
    memory_percent: String,
    pids: String,
}

/// What docker shows where it knows nothing.
const UNKNOWN: &str = "--";

impl Row {
    fn of(usage: &Usage, percent: Option<f64>, whole_id: bool) -> Self {
        let id = usage.id.as_str();
        let memory = usage.statistics.memory.as_ref();
        let limit = memory.and_then(|memory| memory.limit_bytes);
        let percent_text = |percent: f64| format!("{percent:.2}%");
        Self {
            id: match whole_id {
                true => id.to_owned(),
                false => id.chars().take(SHORT_ID).collect(),
            },
            name: usage.name.clone().unwrap_or_default(),
            processor: percent.map_or_else(|| UNKNOWN.to_owned(), percent_text),
            memory: memory.map_or_else(
                || UNKNOWN.to_owned(),
                |memory| {
                    let limit = limit.map_or_else(|| "unlimited".to_owned(), size);
                    format!("{} / {limit}", size(memory.usage_bytes))
                },
            ),
            memory_percent: memory.zip(limit).map_or_else(
                || UNKNOWN.to_owned(),
                |(memory, limit)| {
                    percent_text(memory.usage_bytes as f64 * 100.0 / limit.max(1) as f64)
                },
            ),
            pids: usage
                .statistics
                .pids
                .map_or_else(|| UNKNOWN.to_owned(), |pids| pids.to_string()),
        }
    }

    fn columns(self) -> Vec<String> {
        vec![
            self.id,
            self.name,
            self.processor,
            self.memory,
            self.memory_percent,
            self.pids,
        ]
    }

    fn json(self) -> serde_json::Value {
        serde_json::json!({
            "ID": self.id,
            "Name": self.name,
            "CPUPerc": self.processor,
            "MemUsage": self.memory,
            "MemPerc": self.memory_percent,
            "PIDs": self.pids,
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
