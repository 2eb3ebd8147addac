//! `update`: other limits for a container that is there.

use std::path::Path;

use hoist_spec::oci::LinuxResources;
use serde_json::{Map, Value, json};

use super::first_id;
use crate::args::{Arguments, Flag};
use crate::bundle::{go_words, read_text};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `update`.
pub(crate) const FLAGS: [Flag; 20] = [
    Flag::with_value(
        "resources",
        "FILE",
        "a JSON file with the resources (OCI runtime spec); - for standard input",
    )
    .or("r"),
    Flag::with_value(
        "blkio-weight",
        "N",
        "relative weight of block I/O, 10 to 1000",
    ),
    Flag::with_value(
        "cpu-period",
        "US",
        "period of the CPU limit, in microseconds",
    ),
    Flag::with_value("cpu-quota", "US", "CPU time per period, in microseconds"),
    Flag::with_value(
        "cpu-burst",
        "US",
        "CPU time that may be saved up, in microseconds",
    ),
    Flag::with_value("cpu-share", "N", "relative weight of CPU time"),
    Flag::with_value(
        "cpu-rt-period",
        "US",
        "period of the real-time limit, in microseconds",
    ),
    Flag::with_value(
        "cpu-rt-runtime",
        "US",
        "real-time CPU time per period, in microseconds",
    ),
    Flag::with_value("cpuset-cpus", "LIST", "CPUs that may be used"),
    Flag::with_value("cpuset-mems", "LIST", "memory nodes that may be used"),
    Flag::with_value("cpu-idle", "0|1", "run only when nothing else does"),
    Flag::with_value("memory", "BYTES", "memory limit; -1 for none"),
    Flag::with_value(
        "memory-reservation",
        "BYTES",
        "memory kept free of reclaim; -1 for none",
    ),
    Flag::with_value(
        "memory-swap",
        "BYTES",
        "limit of memory and swap; -1 for none",
    ),
    Flag::with_value(
        "pids-limit",
        "N",
        "how many processes and threads; -1 for any number",
    ),
    Flag::with_value(
        "kernel-memory",
        "BYTES",
        "taken and of no use: kernels since 5.4 have no such limit",
    ),
    Flag::with_value(
        "kernel-memory-tcp",
        "BYTES",
        "limit of memory for TCP buffers",
    ),
    Flag::with_value(
        "l3-cache-schema",
        "SCHEMA",
        "Intel RDT: not supported, and refused",
    ),
    Flag::with_value(
        "mem-bw-schema",
        "SCHEMA",
        "Intel RDT: not supported, and refused",
    ),
    Flag::switch(
        "memory-check-before-update",
        "refuse a limit below what is in use",
    ),
];

/// Which field a flag sets, and whether its value is a size.
const FIELDS: [(&str, &str, &str, Kind); 16] = [
    ("blkio-weight", "blockIO", "weight", Kind::Number),
    ("cpu-period", "cpu", "period", Kind::Number),
    ("cpu-quota", "cpu", "quota", Kind::Number),
    ("cpu-burst", "cpu", "burst", Kind::Number),
    ("cpu-share", "cpu", "shares", Kind::Number),
    ("cpu-rt-period", "cpu", "realtimePeriod", Kind::Number),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime", Kind::Number),
    ("cpuset-cpus", "cpu", "cpus", Kind::Text),
    ("cpuset-mems", "cpu", "mems", Kind::Text),
    ("cpu-idle", "cpu", "idle", Kind::Number),
    ("memory", "memory", "limit", Kind::Size),
    ("memory-reservation", "memory", "reservation", Kind::Size),
    ("memory-swap", "memory", "swap", Kind::Size),
    ("pids-limit", "pids", "limit", Kind::Number),
    ("kernel-memory", "memory", "kernel", Kind::Size),
    ("kernel-memory-tcp", "memory", "kernelTCP", Kind::Size),
];

#[derive(Clone, Copy)]
enum Kind {
    Number,
    Size,
    Text,
}

pub(crate) fn update(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = first_id("update", arguments)?;
    let container = global.container(id)?;
    for flag in ["l3-cache-schema", "mem-bw-schema"] {
        if arguments.value(flag).is_some() {
            return Err(Failure::new(format!(
                "--{flag}: Intel RDT is not supported: no group of resctrl (/sys/fs/resctrl) is made for a container"
            )));
        }
    }
    let mut resources = wanted(arguments)?;
    // Callers send everything that they know of: rules as they are ask for no change, and others are refused below.
    let present = container
        .spec()
        .oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.resources().as_ref())
        .and_then(|resources| resources.devices().clone());
    if *resources.devices() == present {
        resources.set_devices(None);
    }
    container
        .update(&resources)
        .map_err(super::kill::not_running)?;
    Ok(0)
}

/// What the flags ask for.
pub(crate) fn wanted(arguments: &Arguments) -> Result<LinuxResources, Failure> {
    if let Some(path) = arguments.value("resources") {
        let text = read_text(Path::new(path)).map_err(|error| {
            Failure::new(format!("read resources {path}: {}", go_words(&error)))
        })?;
        return parse(&text);
    }
    let mut sections = Map::new();
    for (flag, section, field, kind) in FIELDS {
        let Some(text) = arguments.value(flag).filter(|text| !text.is_empty()) else {
            continue;
        };
        let number = match kind {
            Kind::Text => None,
            Kind::Number => Some(text.parse().ok()),
            Kind::Size => Some(size(text)),
        };
        let value = match number {
            None => json!(text),
            Some(Some(number)) => json!(number),
            Some(None) => {
                return Err(Failure::usage(format!(
                    "invalid value for {flag}: {text:?}"
                )));
            }
        };
        insert(&mut sections, section, field, value);
    }
    if arguments.has("memory-check-before-update") {
        insert(&mut sections, "memory", "checkBeforeUpdate", json!(true));
    }
    parse(&Value::Object(sections).to_string())
}

fn insert(sections: &mut Map<String, Value>, section: &str, field: &str, value: Value) {
    let section = sections
        .entry(section)
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(members) = section.as_object_mut() {
        members.insert(field.to_owned(), value);
    }
}

fn parse(text: &str) -> Result<LinuxResources, Failure> {
    hoist_spec::resources_from_json(text).map_err(|faults| Failure::new(faults.to_string()))
}

/// Bytes: a number, with `k`, `m`, `g` or `t` (and `b` or `ib`) behind it for powers of 1024.
fn size(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: i64 = digits.trim().parse().ok()?;
    let shift = match lower[digits.len()..]
        .trim_end_matches('b')
        .trim_end_matches('i')
    {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_have_units() {
        assert_eq!(size("64m"), Some(64 << 20));
        assert_eq!(size("1GiB"), Some(1 << 30));
        assert_eq!(size("-1"), Some(-1));
        assert_eq!(size("4096"), Some(4096));
        assert_eq!(size("much"), None);
        assert_eq!(size("9223372036854775807k"), None);
    }
}
