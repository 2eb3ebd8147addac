//! Where a failure is told: on standard error, and in the log that the caller reads.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use hoist_compute::Timestamp;

use crate::args::Arguments;
use crate::failure::Failure;

/// The caller's log.
pub(crate) struct Log {
    file: Option<File>,
    json: bool,
}

impl Log {
    /// Of what was read; the file is made where it is missing.
    pub(crate) fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let json = match arguments.value("log-format") {
            None | Some("text" | "") => false,
            Some("json") => true,
            Some(other) => {
                return Err(Failure::usage(format!(
                    "invalid log-format: {other:?}: it is neither text nor json"
                )));
            }
        };
        let file = arguments
            .value("log")
            .filter(|path| !path.is_empty())
            .map(open)
            .transpose()?;
        Ok(Self { file, json })
    }

    /// A log that goes nowhere but to standard error.
    pub(crate) fn plain() -> Self {
        Self {
            file: None,
            json: false,
        }
    }

    /// Tells why the command failed.
    pub(crate) fn error(&mut self, message: &str) {
        self.write("error", message);
        if self.file.is_some() || !self.json {
            // Nobody may read it: that is no reason to fail otherwise.
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    /// Tells what went wrong and did not fail the command.
    pub(crate) fn warning(&mut self, message: &str) {
        self.write("warning", message);
        if self.file.is_none() && !self.json {
            let _ = writeln!(std::io::stderr(), "warning: {message}");
        }
    }

    fn write(&mut self, level: &str, message: &str) {
        let time = hoist::rfc3339(Timestamp::now());
        let line = if self.json {
            serde_json::json!({"level": level, "msg": message, "time": time}).to_string()
        } else {
            format!("time={time:?} level={level} msg={message:?}")
        };
        let _ = match &mut self.file {
            Some(file) => writeln!(file, "{line}"),
            None if self.json => writeln!(std::io::stderr(), "{line}"),
            None => Ok(()),
        };
    }
}

fn open(path: &str) -> Result<File, Failure> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(Path::new(path))
        .map_err(|error| Failure::new(format!("open log {path}: {error}")))
}
