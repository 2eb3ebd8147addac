//! What happened beside what was to happen.

use std::fmt::Write;

use crate::{pieces, recording::Recording, script::Script};

/// Compares, and says in words what is different.
pub(crate) fn compare(
    recording: &Recording,
    script: &Script,
    rules: &[&'static str],
) -> Result<(), String> {
    let expected: Vec<String> = script
        .expected
        .iter()
        .map(|item| in_order(&item.line, recording))
        .collect();
    let found: Vec<String> = script
        .log()
        .iter()
        .map(|line| without_code(&in_order(line, recording), &expected))
        .collect();
    let mut words = String::new();
    let same = expected == found || (recording.order_varies && lanes(&expected) == lanes(&found));
    if !same {
        words.push_str(&difference(&expected, &found));
    }
    let (warned, warns) = (script.warnings(), &recording.warnings);
    if warned.is_empty() != warns.is_empty() {
        let _ = writeln!(words, "warnings: {warned:?} instead of {warns:?}");
    }
    if words.is_empty() {
        return Ok(());
    }
    let _ = writeln!(words, "rules that were applied: {rules:?}");
    Err(words)
}

/// Where a recorded error has words only, no code can be compared: only that there is one.
fn without_code(line: &str, expected: &[String]) -> String {
    let Some((before, after)) = line.split_once(" error=") else {
        return line.to_owned();
    };
    let words_only = expected.iter().any(|expected| {
        expected
            .strip_prefix(before)
            .is_some_and(|rest| rest == " error" || rest.starts_with(" error "))
    });
    if !words_only || after.starts_with("none") || !before.starts_with("end ") {
        return line.to_owned();
    }
    let rest = after
        .split_once(' ')
        .map_or(String::new(), |(_, rest)| format!(" {rest}"));
    format!("{before} error{rest}")
}

fn in_order(line: &str, recording: &Recording) -> String {
    if recording.unordered.is_empty() {
        return line.to_owned();
    }
    let sort = |part: &str| {
        let Some((name, document)) = part.trim_start().split_once(' ') else {
            return part.to_owned();
        };
        if !document.starts_with('{') {
            return part.to_owned();
        }
        let document = recording
            .unordered
            .iter()
            .fold(document.to_owned(), |document, path| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                pieces::sorted(&document, &path)
            });
        format!("    {name} {document}")
    };
    line.split('\n').map(sort).collect::<Vec<_>>().join("\n")
}

/// Where two things run side by side: what happens to each handle, and to each operation, in order.
fn lanes(lines: &[String]) -> std::collections::BTreeMap<String, Vec<&String>> {
    let mut lanes = std::collections::BTreeMap::<String, Vec<&String>>::new();
    for line in lines {
        let lane = line
            .split([' ', '=', '"', '\n'])
            .find(|word| word.starts_with("process-") || word.starts_with("system-"))
            .or_else(|| line.split(' ').next())
            .unwrap_or_default();
        lanes.entry(lane.to_owned()).or_default().push(line);
    }
    lanes
}

/// Lines with `-` are missing, those with `+` are too many.
fn difference(expected: &[String], found: &[String]) -> String {
    // The longest common subsequence; a scenario has some hundred lines at most.
    let (rows, columns) = (expected.len(), found.len());
    let mut length = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            length[row][column] = if expected[row] == found[column] {
                length[row + 1][column + 1] + 1
            } else {
                length[row + 1][column].max(length[row][column + 1])
            };
        }
    }
    let mut words = String::from("\n");
    let (mut row, mut column) = (0, 0);
    while row < rows || column < columns {
        let (mark, line) = if row < rows && column < columns && expected[row] == found[column] {
            row += 1;
            column += 1;
            (' ', &expected[row - 1])
        } else if column == columns
            || (row < rows && length[row + 1][column] >= length[row][column + 1])
        {
            row += 1;
            ('-', &expected[row - 1])
        } else {
            column += 1;
            ('+', &found[column - 1])
        };
        for part in line.split('\n') {
            let _ = writeln!(words, "{mark} {part}");
        }
    }
    words
}
