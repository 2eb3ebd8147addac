//! Writing to standard output. A reader that has gone away is no fault of the command's, and ends it quietly.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Writes `text` as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_to_reader(text).map(drop)
}

/// As [`print`], and tells whether there is still a reader.
pub(crate) fn print_to_reader(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::message(format!(
            "write to standard output: {error}"
        ))),
    }
}

/// Writes `value` as JSON, on one line or for people.
pub(crate) fn print_json(value: &impl Serialize, pretty: bool) -> Result<(), Failure> {
    let text = if pretty {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    print(&format!("{}\n", text?))
}
