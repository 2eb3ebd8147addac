//! What a failed command says, and with which exit code.
//!
//! Engines read these texts: containerd and docker decide by words of runc's what has happened, podman by patterns. The words
//! that they look for are runc's, case included; what is ours stands beside them.

use std::error::Error as StdError;
use std::fmt::Write;

use hoist_compute::{Error, ErrorKind, Phase};

/// The exit code of a failed command.
const FAILED: u8 = 1;
/// That of a failed exec, which no program's own can be taken for.
pub(crate) const EXEC_FAILED: u8 = 255;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What is said of it, on one line.
    pub(crate) message: String,
    /// The exit code.
    pub(crate) code: u8,
}

impl Failure {
    /// A failure with runc's usual code.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: one_line(&message.into()),
            code: FAILED,
        }
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message)
    }

    /// The same, behind what was being done: `hoist-oci create failed: …`.
    pub(crate) fn within(self, what: &str) -> Self {
        Self {
            message: format!("{what}: {}", self.message),
            ..self
        }
    }

    /// The same with another exit code.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(words_of(&error))
    }
}

/// An error in the words that engines look for, where they look for any; else in its own, causes and remedy included.
fn words_of(error: &Error) -> String {
    match (error.kind(), error.phase()) {
        (_, Phase::Execute) => return executable(error),
        (ErrorKind::AlreadyExists, Phase::Create)
            if error.operation().starts_with("create container") =>
        {
            return "container with given ID already exists".to_owned();
        }
        (ErrorKind::NotFound, Phase::Operate)
            if error.operation().starts_with("no such container") =>
        {
            return "container does not exist".to_owned();
        }
        _ => {}
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    if matches!(error.phase(), Phase::Start) {
        text.insert_str(0, "unable to start container process: ");
    }
    if let Some(remedy) = error.what_to_do() {
        let _ = write!(text, " ({remedy})");
    }
    text
}

/// A program that cannot be executed, as Go's `exec` package has it.
fn executable(error: &Error) -> String {
    let program = error.subject().unwrap_or_default();
    let mut words = match error.kind() {
        ErrorKind::NotFound if program.contains('/') => {
            format!("stat {program}: no such file or directory")
        }
        ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error
            .os_code()
            .map_or_else(|| error.to_string(), system_words),
    };
    // Of the others the words that engines look for say it all.
    if let (ErrorKind::PermissionDenied, Some(remedy)) = (error.kind(), error.what_to_do()) {
        let _ = write!(words, " ({remedy})");
    }
    format!("unable to start container process: exec: {program:?}: {words}")
}

fn system_words(code: hoist_compute::OsCode) -> String {
    match code {
        hoist_compute::OsCode::Errno(errno) => hoist_compute::errno::describe(errno),
        hoist_compute::OsCode::Hresult(code) => format!("0x{code:08X}"),
    }
}

/// Lines joined: one failure is one line, for whoever reads a log by lines.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use hoist_compute::OsCode;

    use super::*;

    fn of(kind: ErrorKind, program: &str, errno: i32) -> String {
        let error = Error::new(kind, Phase::Execute, format!("execute {program:?}"))
            .about(program)
            .code(OsCode::Errno(errno));
        Failure::from(error).message
    }

    #[test]
    fn engines_find_the_words_that_they_look_for() {
        assert_eq!(
            of(ErrorKind::NotFound, "/x", 2),
            "unable to start container process: exec: \"/x\": stat /x: no such file or directory"
        );
        assert_eq!(
            of(ErrorKind::NotFound, "x", 2),
            "unable to start container process: exec: \"x\": executable file not found in $PATH"
        );
        assert_eq!(
            of(ErrorKind::PermissionDenied, "/x", 13),
            "unable to start container process: exec: \"/x\": permission denied"
        );
    }

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(Failure::new("a\n  b\n").message, "a; b");
    }
}
