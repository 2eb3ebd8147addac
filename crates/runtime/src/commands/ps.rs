//! `ps`: the processes of a container.

use std::process::Command;

use super::{first_id, print};
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `ps`.
pub(crate) const FLAGS: [Flag; 1] =
    [Flag::with_value("format", "FORMAT", "table (default) or json").or("f")];

pub(crate) fn ps(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = first_id("ps", arguments)?;
    let mut options = &arguments.words[1..];
    let mut format = arguments.value("format").unwrap_or("table");
    // runc's callers also write it behind the id.
    if let [flag, value, rest @ ..] = options
        && matches!(flag.as_str(), "--format" | "-f")
        && matches!(value.as_str(), "json" | "table")
    {
        (format, options) = (value, rest);
    }
    let pids = global.container(id)?.pids()?;
    match format {
        "json" => print(&serde_json::json!(pids).to_string()),
        "table" => table(&pids, options),
        _ => Err(Failure::usage("invalid format option")),
    }
}

/// The lines that ps(1) has for these processes.
fn table(pids: &[u32], options: &[String]) -> Result<u8, Failure> {
    let usual = ["-ef".to_owned()];
    let options = if options.is_empty() { &usual } else { options };
    let output = Command::new("ps")
        .args(options)
        .output()
        .map_err(|error| Failure::new(format!("ps: {error}")))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("ps: {why}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let title = lines.next().unwrap_or_default();
    let column = title
        .split_whitespace()
        .position(|word| word == "PID")
        .ok_or_else(|| Failure::new("ps: its output has no column PID"))?;
    let is_ours = |line: &&str| {
        line.split_whitespace()
            .nth(column)
            .and_then(|pid| pid.parse().ok())
            .is_some_and(|pid| pids.contains(&pid))
    };
    let shown: Vec<_> = std::iter::once(title)
        .chain(lines.filter(is_ours))
        .collect();
    print(&shown.join("\n"))
}
