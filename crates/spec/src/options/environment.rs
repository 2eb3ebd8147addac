//! `--env` and `--env-file`.

use std::path::PathBuf;

use super::OptionFacts;
use crate::{Fault, Faults};

/// The variables of the files, then those given by themselves: the later of two counts.
pub(super) fn read(
    given: &[String],
    files: &[PathBuf],
    facts: &OptionFacts<'_>,
    faults: &mut Faults,
) -> Vec<String> {
    let mut entries = Vec::new();
    for file in files {
        let name = file.to_string_lossy();
        match (facts.read_file)(file) {
            Ok(text) => entries.extend(lines(&text, &name, facts, faults)),
            Err(error) => faults.push(Fault::of_value(
                "--env-file",
                name,
                format!("cannot be read: {error}"),
            )),
        }
    }
    for entry in given {
        if entry.is_empty() {
            faults.push(Fault::of_value("--env", "", "is empty"));
        } else {
            entries.extend(with_value(entry, facts));
        }
    }
    entries
}

/// `KEY=value` as it is; for `KEY` the caller's own value, and nothing where it has none.
fn with_value(entry: &str, facts: &OptionFacts<'_>) -> Option<String> {
    if entry.contains('=') {
        return Some(entry.to_owned());
    }
    (facts.environment)(entry).map(|value| format!("{entry}={value}"))
}

/// Docker's rules for a file: one variable to a line, lines beginning with `#` and empty ones are left out,
/// nothing is unquoted, `export` is not known.
fn lines(text: &str, file: &str, facts: &OptionFacts<'_>, faults: &mut Faults) -> Vec<String> {
    let mut entries = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.split_once('=').map_or(line, |(key, _)| key);
        let mut refuse = |reason: &str| {
            faults.push(Fault::of_value(
                "--env-file",
                format!("{file}:{}", index + 1),
                reason,
            ));
        };
        if key.is_empty() {
            refuse("has no name before '='");
        } else if key.contains(char::is_whitespace) {
            refuse("has a space in the name of the variable");
        } else {
            entries.extend(with_value(line, facts));
        }
    }
    entries
}
