//! How a command fails: what is written to standard error, and the exit code (docker's).

use std::borrow::Cow;
use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use hoist_compute::{Error, ErrorKind, OsCode, Phase};
use hoist_spec::Faults;

use crate::{args, log};

/// Hoist itself failed.
const HOIST_FAILED: u8 = 125;
/// The program cannot be invoked.
const CANNOT_BE_INVOKED: u8 = 126;
/// The program does not exist.
const NOT_FOUND: u8 = 127;

/// The most of one error that is written for people, in bytes. JSON has the whole.
const LONGEST: usize = 4096;

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

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::message(format!("write JSON: {error}"))
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

    /// Writes it to standard error, where it does not end the command: as a warning.
    pub(crate) fn warn(&self) {
        if log::tells(log::Level::Warn) {
            self.print(log::as_json());
        }
    }

    fn to_text(&self, colours: bool) -> String {
        let (red, plain) = if colours {
            ("\x1b[1;31m", "\x1b[0m")
        } else {
            ("", "")
        };
        let mut text = String::new();
        let mut line = |what: &str, remedy: Option<&str>| {
            let _ = writeln!(text, "{red}hoist:{plain} {}", cut(what));
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

/// Warns of what keeps a command from telling of everything, and not from telling of the rest.
pub(crate) fn warn_of_all(errors: Vec<Error>) {
    for error in errors {
        Failure::from(error).warn();
    }
}

/// Whether it is the program, or the directory it was to begin in, that makes the start impossible: docker tells both by
/// the same exit codes.
fn is_about_the_program(error: &Error) -> bool {
    error.phase() == Phase::Execute || matches!(error.system_call(), Some("chdir" | "getcwd"))
}

/// The error and its causes on one line; a cause that only says again what stands there already is left out.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let number = match error.os_code() {
        Some(OsCode::Errno(number)) => Some(number),
        _ => None,
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        let system = error.downcast_ref::<std::io::Error>();
        let is_told = number.is_some() && system.and_then(|error| error.raw_os_error()) == number;
        let words = error.to_string();
        if !is_told && !text.contains(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = error.source();
    }
    text
}

/// `text`, without its middle where it is longer than anybody reads: a container chooses how long its words are, and
/// the reason stands at the end.
fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return Cow::Borrowed(text);
    }
    let first = &text[..text.floor_char_boundary(LONGEST * 3 / 4)];
    let last = &text[text.ceil_char_boundary(text.len() - LONGEST / 4)..];
    let left_out = text.len() - first.len() - last.len();
    Cow::Owned(format!("{first}… ({left_out} bytes) …{last}"))
}

fn colours() -> bool {
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Tells a command line that could not be read; help and the version are among those.
pub(crate) fn usage(error: &clap::Error, words: &[OsString]) -> u8 {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    if !error.use_stderr() {
        return match printed {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Failure::message(format!("write to standard output: {error}")).print(false);
                1
            }
            _ => 0,
        };
    }
    match args::command_name(words).as_deref() {
        Some("run" | "exec") => HOIST_FAILED,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
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
    fn a_cause_that_says_the_same_again_is_not_told() {
        let error = Error::new(ErrorKind::System, Phase::Start, "set pids.max = 0")
            .code(OsCode::Errno(22))
            .because(std::io::Error::from_raw_os_error(22));
        assert_eq!(chain(&error), "set pids.max = 0: Invalid argument (EINVAL)");
        let error = Error::new(ErrorKind::System, Phase::Start, "x").because("y");
        assert_eq!(chain(&error), "x: y");
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_mark() {
        assert_eq!(cut("short"), "short");
        let long = format!("a{}: reason", "ä".repeat(LONGEST));
        let text = cut(&long);
        assert!(text.len() < LONGEST + 50);
        assert!(text.starts_with("aää") && text.ends_with("ä: reason"));
        assert!(text.contains("ä… (4106 bytes) …ä"), "{text}");
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
