//! How many tests passed, failed and were ignored, read from what test runners print.

use std::fmt;

/// A sum of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Test binaries that came to their end.
    pub(crate) binaries: usize,
}

impl Counts {
    /// Adds what `line` says, where it is the last line of a test binary (`test result: ok. 3 passed; 0 failed; …`) or of a
    /// suite that drives an engine (`TOTAL name ok 34 notok 0`).
    pub(crate) fn read(&mut self, line: &str) {
        if let ["TOTAL", _, "ok", passed, "notok", failed] =
            line.split_whitespace().collect::<Vec<_>>()[..]
        {
            self.passed += passed.parse().unwrap_or(0);
            self.failed += failed.parse().unwrap_or(0);
            return;
        }
        let Some((_, numbers)) = line
            .trim_end()
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.binaries += 1;
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
            "TOTAL hoist ok 33 notok 1",
            "test result: ok. 30 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.51s",
            "test result: FAILED. 102 passed; 2 failed; 4 ignored; 0 measured; 0 filtered out; finished in 20.56s",
        ] {
            counts.read(line);
        }
        assert_eq!(counts.to_string(), "165 passed, 3 failed, 5 skipped");
    }
}
