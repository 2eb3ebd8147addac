//! A command that has ended.

use std::{os::unix::process::ExitStatusExt, process::Output};

use serde::de::DeserializeOwned;

/// How a command ended, and what it said.
#[derive(Clone, Debug)]
pub struct Ran {
    line: String,
    /// Its exit code, or 128 and the number of the signal that ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ran {
    pub(super) fn new(line: String, output: Output) -> Self {
        let status = output.status;
        Self {
            line,
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard output, after an end with 0 and without any complaint.
    ///
    /// # Panics
    ///
    /// Where it ended otherwise.
    pub fn succeeded(&self) -> String {
        self.ended_with(0);
        assert_eq!(self.stderr, "", "{}", self.line);
        self.text()
    }

    /// Its standard output as JSON, as [`Ran::succeeded`].
    ///
    /// # Panics
    ///
    /// Where it is none.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        let text = self.succeeded();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", self.line))
    }

    /// Each line of its standard output as JSON.
    ///
    /// # Panics
    ///
    /// Where one is none.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let text = self.succeeded();
        text.lines()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{}: {error}: {line}", self.line))
            })
            .collect()
    }

    /// It ended with this code.
    ///
    /// # Panics
    ///
    /// Where it ended otherwise.
    pub fn ended_with(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            code,
            "{}\nstandard output: {}\nstandard error: {}",
            self.line,
            self.text(),
            self.stderr
        );
        self
    }

    /// It ended with this code, printed nothing, and its complaint has all of `words`.
    ///
    /// # Panics
    ///
    /// Where it did anything else.
    pub fn failed_with(&self, code: i32, words: &[&str]) {
        self.ended_with(code);
        assert_eq!(self.text(), "", "{}", self.line);
        for word in words {
            assert!(
                self.stderr.contains(word),
                "{}: {word:?} is not in: {}",
                self.line,
                self.stderr
            );
        }
    }
}
