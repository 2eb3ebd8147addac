//! From times to tables.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::tools::Tool;

/// One comparison's outcome.
pub(super) struct Table {
    /// What was compared.
    pub(super) title: &'static str,
    /// One row per program.
    pub(super) rows: Vec<Row>,
}

/// One program's times.
pub(super) struct Row {
    name: &'static str,
    version: String,
    /// In seconds, the shortest first.
    times: Vec<f64>,
    memory: Option<u64>,
}

impl Row {
    /// The row of `tool`: its times in seconds, its peak memory in KiB.
    pub(super) fn new(tool: &Tool, mut times: Vec<f64>, memory: Option<u64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            name: tool.name,
            version: tool.version.clone(),
            times,
            memory,
        }
    }

    /// The time that `share` of the runs stayed below, in milliseconds.
    fn quantile(&self, share: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        self.times
            .get((last as f64 * share).round() as usize)
            .map_or(f64::NAN, |time| time * 1e3)
    }

    fn mean(&self) -> f64 {
        self.times.iter().sum::<f64>() * 1e3 / self.times.len() as f64
    }
}

impl Table {
    fn median_of(&self, name: &str) -> Option<f64> {
        self.rows
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.quantile(0.5))
    }
}

/// The tables as Markdown. Ratios are of medians.
pub(super) fn markdown(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        let (floor, crun) = (table.median_of("floor"), table.median_of("crun"));
        let ratio = |median: f64, of: Option<f64>| {
            of.map_or("–".to_owned(), |of| format!("{:.2}", median / of))
        };
        let runs = table.rows.first().map_or(0, |row| row.times.len());
        let _ = writeln!(text, "\n**{}** ({runs} runs each)\n", table.title);
        text.push_str(
            "| | median ms | mean ms | fastest ms | p90 ms | × floor | × crun | peak RSS KiB |\n",
        );
        text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
        for row in &table.rows {
            let median = row.quantile(0.5);
            let memory = row.memory.map_or("–".to_owned(), |kib| kib.to_string());
            let (mean, fastest, slow) = (row.mean(), row.quantile(0.0), row.quantile(0.9));
            let (floor, crun) = (ratio(median, floor), ratio(median, crun));
            let _ = writeln!(
                text,
                "| {} | {median:.2} | {mean:.2} | {fastest:.2} | {slow:.2} | {floor} | {crun} | {memory} |",
                row.name
            );
        }
    }
    text
}

/// The same with every single time, for tools.
pub(super) fn json(tables: &[Table]) -> Value {
    let row = |row: &Row| {
        json!({
            "name": row.name,
            "version": row.version,
            "times_seconds": row.times,
            "peak_rss_kib": row.memory,
        })
    };
    tables
        .iter()
        .map(|table| json!({ "title": table.title, "rows": table.rows.iter().map(row).collect::<Vec<_>>() }))
        .collect()
}
