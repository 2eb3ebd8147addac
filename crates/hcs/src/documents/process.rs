//! The documents about one process.

use std::collections::BTreeMap;

use hoist_windows::pipe_names::{PipeName, StandardStream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::is_default;
use crate::Hresult;

/// Parameters of a new process, as Docker 1.9 and 1.10 sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Docker110 {
    /// Never set.
    pub application_name: &'static str,
    /// The full command line.
    pub command_line: String,
    /// Where it begins.
    pub working_directory: String,
    /// Name to value.
    pub environment: BTreeMap<String, String>,
    /// Give it a console.
    pub emulate_console: bool,
    /// Height and width of the console; zeros where there is none.
    pub console_size: [u16; 2],
}

/// Parameters of a new process, as Docker 1.12 sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Docker112 {
    /// Never set.
    pub application_name: &'static str,
    /// The full command line.
    pub command_line: String,
    /// Where it begins.
    pub working_directory: String,
    /// Name to value.
    pub environment: BTreeMap<String, String>,
    /// Give it a console.
    pub emulate_console: bool,
    /// Make a pipe for its standard input.
    pub create_std_in_pipe: bool,
    /// Make a pipe for its standard output.
    pub create_std_out_pipe: bool,
    /// Make a pipe for its standard error.
    pub create_std_err_pipe: bool,
    /// Height and width of the console.
    pub console_size: [u16; 2],
}

/// Parameters of a new process as the service's clients send them now, in either schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Current {
    /// The full command line.
    #[serde(skip_serializing_if = "is_default")]
    pub command_line: String,
    /// The account to run as.
    #[serde(skip_serializing_if = "is_default")]
    pub user: String,
    /// Where it begins.
    #[serde(skip_serializing_if = "is_default")]
    pub working_directory: String,
    /// Name to value.
    #[serde(skip_serializing_if = "is_default")]
    pub environment: BTreeMap<String, String>,
    /// Give it a console; then there is no pipe for standard error.
    #[serde(skip_serializing_if = "is_default")]
    pub emulate_console: bool,
    /// Make a pipe for its standard input.
    #[serde(skip_serializing_if = "is_default")]
    pub create_std_in_pipe: bool,
    /// Make a pipe for its standard output.
    #[serde(skip_serializing_if = "is_default")]
    pub create_std_out_pipe: bool,
    /// Make a pipe for its standard error.
    #[serde(skip_serializing_if = "is_default")]
    pub create_std_err_pipe: bool,
    /// Height and width of the console.
    pub console_size: [u16; 2],
}

/// The parameter that asks the service for the pipe of a stream, and the one that names a pipe of the client's (Docker 1.8).
fn parameters_of(stream: StandardStream) -> (&'static str, &'static str) {
    match stream {
        StandardStream::Input => ("CreateStdInPipe", "StdInPipe"),
        StandardStream::Output => ("CreateStdOutPipe", "StdOutPipe"),
        StandardStream::Error => ("CreateStdErrPipe", "StdErrPipe"),
    }
}

/// The streams for which `parameters` of a process ask for a pipe, and the same parameters with the names of pipes instead.
///
/// # Errors
/// The parameters are not those of a process.
pub fn with_named_pipes(
    parameters: &str,
    name: impl Fn(StandardStream) -> PipeName,
) -> serde_json::Result<(String, Vec<(StandardStream, PipeName)>)> {
    let mut document: Map<String, Value> = serde_json::from_str(parameters)?;
    let mut named = Vec::new();
    for stream in StandardStream::ALL {
        let (asks, names) = parameters_of(stream);
        if document.remove(asks) == Some(Value::Bool(true)) {
            let name = name(stream);
            document.insert(names.to_owned(), name.client.clone().into());
            named.push((stream, name));
        }
    }
    Ok((serde_json::to_string(&document)?, named))
}

/// What the service says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProcessStatus {
    /// Its id.
    pub process_id: u32,
    /// Whether it has ended.
    pub exited: bool,
    /// With what code.
    pub exit_code: u32,
    /// What the service's own wait for it came to.
    pub last_wait_result: i32,
}

impl ProcessStatus {
    /// Reads the answer to a query of a process's properties.
    ///
    /// # Errors
    /// Where it is not such a document.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The exit code, signed; `Err` where the document does not tell it: the process has not ended, or the service itself
    /// does not know how it did (`LastWaitResult`).
    pub fn code(&self) -> Result<i32, Option<Hresult>> {
        if !self.exited {
            return Err(None);
        }
        if self.last_wait_result != 0 {
            return Err(Some(Hresult(self.last_wait_result.cast_unsigned())));
        }
        Ok(self.exit_code.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use hoist_windows::pipe_names::PipeSpace;

    use super::*;

    #[test]
    fn an_exit_code_is_valid_only_after_the_exit_and_a_good_wait() {
        let read = |text| ProcessStatus::read(text).unwrap().code();
        assert_eq!(read(r#"{"Exited":true,"ExitCode":4294967295}"#), Ok(-1));
        assert_eq!(read(r#"{"Exited":false,"ExitCode":6}"#), Err(None));
        assert_eq!(
            read(r#"{"Exited":true,"ExitCode":0,"LastWaitResult":-2147024787}"#),
            Err(Some(Hresult(0x8007_006D)))
        );
        assert!(ProcessStatus::read("{").is_err());
    }
    #[test]
    fn only_the_streams_that_are_asked_for_are_named_and_all_else_is_kept() {
        let given = r#"{"CommandLine":"cmd","ConsoleSize":[0,0],"CreateStdInPipe":false,"CreateStdOutPipe":true}"#;
        let space = PipeSpace::Container;
        let (text, named) =
            with_named_pipes(given, |stream| PipeName::of(space, "c1", None, stream)).unwrap();
        assert_eq!(
            text,
            r#"{"CommandLine":"cmd","ConsoleSize":[0,0],"StdOutPipe":"\\\\.\\pipe\\docker-run-stdout"}"#
        );
        assert_eq!(named.len(), 1);
        assert_eq!(named[0].0, StandardStream::Output);
        assert!(with_named_pipes("[]", |stream| PipeName::of(space, "c", None, stream)).is_err());
    }
}
