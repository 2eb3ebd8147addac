//! Whether a file holds what was written to it, and how it is made to hold again what it held before.

use serde::Serialize;

/// How a value is read back after it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The file cannot be read, or tells something else.
    No,
    /// The file holds this value; further words after it are the kernel's own.
    Words,
    /// A number that the kernel rounds down by less than this.
    Bytes(u64),
    /// A list of numbers and ranges, which the kernel writes its own way.
    List,
}

/// The ranges of a list such as `0-2,7`, sorted and joined.
pub(super) fn numbers(list: &str) -> Option<Vec<(u32, u32)>> {
    let mut ranges = list
        .trim()
        .split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some((first, last))
        })
        .collect::<Option<Vec<(u32, u32)>>>()?;
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    Some(joined)
}

/// Whether a file that now reads as `kept` holds what was written.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "used where limits are applied")
)]
pub(crate) fn agrees(check: Check, written: &str, kept: &str) -> bool {
    match check {
        Check::No => true,
        Check::Words => {
            let mut kept = kept.split_ascii_whitespace();
            written
                .split_ascii_whitespace()
                .all(|word| kept.next() == Some(word))
        }
        Check::Bytes(step) => match (written.parse::<u64>(), kept.trim().parse::<u64>()) {
            (Ok(written), Ok(kept)) => kept <= written && written - kept < step,
            // "-1" reads as a number near 2^63 on v1, and as "max" on v2.
            (Err(_), Ok(kept)) => kept > i64::MAX as u64 - (1 << 40),
            (_, Err(_)) => written == kept.trim(),
        },
        Check::List => numbers(written) == numbers(kept),
    }
}

/// What to write to make a file whose text was `before` hold that again, after `written` was written to it.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "used where limits are applied")
)]
pub(crate) fn undo(file: &str, written: &str, before: &str) -> String {
    let key = written.split(' ').next().unwrap_or_default();
    if !key.contains(':') {
        return before.lines().next().unwrap_or_default().to_owned();
    }
    let line = before
        .lines()
        .find(|line| line.split(' ').next() == Some(key));
    match line {
        Some(line) => line.to_owned(),
        None if file == "io.max" => format!("{key} rbps=max wbps=max riops=max wiops=max"),
        None if file == "io.weight" || file == "io.bfq.weight" => format!("{key} default"),
        None => format!("{key} 0"),
    }
}
