//! How many tests passed, failed and were ignored, and what is said of those that failed, read from what test runners print.

use std::fmt;

/// Lines that are kept of what one test binary says of its failures.
const KEPT: usize = 200;

/// A sum of tests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Test binaries that came to their end.
    pub(crate) binaries: usize,
    /// What was said of those that failed, a line each.
    pub(crate) failures: Vec<String>,
    /// What the test binary that runs has said since its `failures:`.
    unread: Vec<String>,
}

impl Counts {
    /// Adds what `line` says, where it is the last line of a test binary (`test result: ok. 3 passed; 0 failed; …`) or of a
    /// suite that drives an engine (`TOTAL name ok 34 notok 0`), and keeps what it says of failures.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim_end();
        if line.starts_with("not ok ") || line.starts_with("#   ") {
            self.failures.push(line.to_owned());
            return;
        }
        if line == "failures:" || !self.unread.is_empty() {
            self.unread.push(line.to_owned());
        }
        if let ["TOTAL", _, "ok", passed, "notok", failed] =
            line.split_whitespace().collect::<Vec<_>>()[..]
        {
            self.passed += passed.parse().unwrap_or(0);
            self.failed += failed.parse().unwrap_or(0);
            return;
        }
        let Some((_, numbers)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.binaries += 1;
        let said = std::mem::take(&mut self.unread);
        self.failures.extend(said.into_iter().take(KEPT));
        for part in numbers.split(';') {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => self.skipped += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn the_last_lines_of_test_binaries_are_summed_up() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "ok run",
            "not ok 2 pause",
            "#   it runs",
            "TOTAL hoist ok 33 notok 1",
            "test result: ok. 30 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.51s",
            "running 108 tests",
            "test b ... FAILED",
            "failures:",
            "",
            "---- b ----",
            "it broke",
            "test result: FAILED. 102 passed; 2 failed; 4 ignored; 0 measured; 0 filtered out; finished in 20.56s",
        ] {
            counts.read(line);
        }
        assert_eq!(counts.to_string(), "165 passed, 3 failed, 5 skipped");
        assert_eq!(
            counts.failures[..6],
            [
                "not ok 2 pause",
                "#   it runs",
                "failures:",
                "",
                "---- b ----",
                "it broke"
            ]
        );
    }
}
