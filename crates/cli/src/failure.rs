//! How a command fails: what is written to standard error, and the exit code (docker's).

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;

use hoist_compute::{Error, ErrorKind, Phase};
use hoist_spec::Faults;

/// Hoist itself failed.
const HOIST_FAILED: u8 = 125;
/// The program cannot be invoked.
const CANNOT_BE_INVOKED: u8 = 126;
/// The program does not exist.
const NOT_FOUND: u8 = 127;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Values that cannot be.
    Faults(Faults),
    /// An operation that failed.
    Error(Error),
    /// Several operations of one command that failed, each told already.
    Told,
    /// What this command itself found.
    Message {
        what: String,
        remedy: Option<&'static str>,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

impl Failure {
    pub(crate) fn message(what: impl Into<String>) -> Self {
        Self::Message {
            what: what.into(),
            remedy: None,
        }
    }

    /// The exit code of `run` and `exec`.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Error(error) if is_about_the_program(error) => match error.kind() {
                ErrorKind::NotFound => NOT_FOUND,
                _ => CANNOT_BE_INVOKED,
            },
            _ => HOIST_FAILED,
        }
    }

    /// Writes it to standard error.
    pub(crate) fn print(&self, json: bool) {
        let text = if json {
            self.to_json()
        } else {
            self.to_text(colours())
        };
        // There is nowhere else to tell it.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn to_text(&self, colours: bool) -> String {
        let (red, plain) = if colours {
            ("\x1b[1;31m", "\x1b[0m")
        } else {
            ("", "")
        };
        let mut text = String::new();
        let mut line = |what: &str, remedy: Option<&str>| {
            let _ = writeln!(text, "{red}hoist:{plain} {what}");
            if let Some(remedy) = remedy {
                let _ = writeln!(text, "  {remedy}");
            }
        };
        match self {
            Self::Faults(faults) => faults
                .iter()
                .for_each(|fault| line(&fault.to_string(), None)),
            Self::Error(error) => line(&chain(error), error.what_to_do()),
            Self::Told => {}
            Self::Message { what, remedy } => line(what, *remedy),
        }
        text
    }

    fn to_json(&self) -> String {
        let value = match self {
            Self::Faults(faults) => serde_json::json!({
                "level": "error",
                "kind": "invalid_spec",
                "message": faults.to_string(),
                "faults": faults,
            }),
            Self::Error(error) => {
                let mut value = error.to_json();
                if let Some(members) = value.as_object_mut() {
                    members.insert("level".to_owned(), "error".into());
                }
                value
            }
            Self::Told => return String::new(),
            Self::Message { what, remedy } => serde_json::json!({
                "level": "error", "kind": "system", "message": what, "remedy": remedy,
            }),
        };
        format!("{value}\n")
    }
}

/// Whether it is the program, or the directory it was to begin in, that makes the start impossible: docker tells both by
/// the same exit codes.
fn is_about_the_program(error: &Error) -> bool {
    error.phase() == Phase::Execute || matches!(error.system_call(), Some("chdir" | "getcwd"))
}

/// The error and its causes on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn colours() -> bool {
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Tells a command line that could not be read; help and the version are among those.
pub(crate) fn usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let is_run = words
        .iter()
        .skip(1)
        .find(|word| !word.to_string_lossy().starts_with('-'));
    match is_run {
        Some(command) if command == "run" || command == "exec" => ExitCode::from(HOIST_FAILED),
        _ => ExitCode::from(1),
    }
}

#[cfg(test)]
mod tests {
    use hoist_compute::OsCode;

    use super::*;

    #[test]
    fn exit_codes_are_dockers() {
        let failed = |kind, phase| Failure::Error(Error::new(kind, phase, "x")).code();
        assert_eq!(failed(ErrorKind::NotFound, Phase::Execute), 127);
        assert_eq!(failed(ErrorKind::PermissionDenied, Phase::Execute), 126);
        assert_eq!(failed(ErrorKind::System, Phase::Execute), 126);
        assert_eq!(failed(ErrorKind::NotFound, Phase::Plan), 125);
        assert_eq!(Failure::message("x").code(), 125);
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_its_remedy() {
        let error = Error::new(ErrorKind::System, Phase::Start, "mount proc on /proc")
            .code(OsCode::Errno(1))
            .because("a cause")
            .remedy("do this");
        let text = Failure::Error(error).to_text(false);
        assert_eq!(
            text,
            "hoist: mount proc on /proc: Operation not permitted (EPERM): a cause\n  do this\n"
        );
    }
}
