//! `events`: what a container uses, and its out-of-memory kills, as lines of JSON with runc's names.

use std::time::Duration;

use hoist_compute::{Properties, Query, Statistics};
use hoist_linux::cgroup::usage::Usage;
use hoist_linux::runtime::RuntimeContainer;
use serde::Serialize;

use super::state::compact;
use super::{first_id, print};
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `events`.
pub(crate) const FLAGS: [Flag; 2] = [
    Flag::with_value("interval", "TIME", "time between two lines (default 5s)"),
    Flag::switch("stats", "print one line and end"),
];

const USUAL_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked for out-of-memory kills and for the container's end.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) fn events(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = first_id("events", arguments)?;
    let interval = match arguments.value("interval") {
        Some(text) => duration(text)
            .filter(|interval| !interval.is_zero())
            .ok_or_else(|| Failure::usage("duration interval must be greater than 0"))?,
        None => USUAL_INTERVAL,
    };
    let container = global.container(id)?;
    if !container.has_process()? {
        return Err(Failure::new(format!(
            "container with id {id} is not running"
        )));
    }
    let tell_usage = || print(&line(id, "stats", Some(&data(&container)?))?);
    let mut statistics = statistics(&container)?;
    tell_usage()?;
    if arguments.has("stats") {
        return Ok(0);
    }
    let mut waited = Duration::ZERO;
    while !container.wait_for_end(LOOK)? {
        waited += LOOK;
        let now = self::statistics(&container)?;
        if kills(&now) > kills(&statistics) {
            print(&line(id, "oom", None)?)?;
        }
        statistics = now;
        if waited >= interval {
            waited = Duration::ZERO;
            tell_usage()?;
        }
    }
    Ok(0)
}

fn statistics(container: &RuntimeContainer) -> Result<Statistics, Failure> {
    let query = Query {
        statistics: true,
        processes: false,
    };
    let Properties { statistics, .. } = container.properties(query)?;
    Ok(statistics.unwrap_or_default())
}

fn kills(statistics: &Statistics) -> u64 {
    statistics
        .memory
        .as_ref()
        .map_or(0, |memory| memory.oom_kills)
}

/// One line, with runc's names in runc's order.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Data>,
}

#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    usage: Usage,
    /// Of a group of resctrl: none is told.
    intel_rdt: Nothing,
    /// Of networks that the runtime itself has made, which is none.
    network_interfaces: Option<Nothing>,
}

#[derive(Serialize)]
struct Nothing {}

fn data(container: &RuntimeContainer) -> Result<Data, Failure> {
    Ok(Data {
        usage: container.usage()?,
        intel_rdt: Nothing {},
        network_interfaces: None,
    })
}

fn line(id: &str, kind: &str, data: Option<&Data>) -> Result<String, Failure> {
    compact(&Event { kind, id, data })
}

/// A time as Go writes it, of one unit: `5s`, `200ms`, `1m`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_writes_them() {
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(duration("5"), None);
        assert_eq!(duration("s"), None);
    }
}
