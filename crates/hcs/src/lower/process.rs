//! The parameters of a process.

use hoist_windows::command_line;

use super::check;
use crate::{
    Dialect, Settings,
    documents::{process, to_text},
    environment,
    request::{ProcessRequest, Refusal},
};

/// Which of its streams a process is given a pipe for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pipes {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error; never with a console.
    pub stderr: bool,
}

/// The document for a process, which begins in `working_directory` unless it says where itself.
///
/// # Errors
/// What cannot be asked of Windows.
pub fn process_parameters(
    request: &ProcessRequest,
    working_directory: &str,
    pipes: Pipes,
    settings: &Settings,
) -> Result<String, Refusal> {
    check::process(request, settings)?;
    let command_line = command_line_of(request, settings.dialect);
    let working_directory = match request.working_directory.as_str() {
        "" => working_directory,
        own => own,
    }
    .to_owned();
    let environment = environment::block(&request.environment);
    let console_size = match request.console_size {
        Some(size) if request.console => [size.height, size.width],
        _ => [0, 0],
    };
    let text = match settings.dialect {
        Dialect::Docker19 | Dialect::Docker110 => to_text(&process::Docker110 {
            application_name: "",
            command_line,
            working_directory,
            environment,
            emulate_console: request.console,
            console_size,
        }),
        Dialect::Docker112 => to_text(&process::Docker112 {
            application_name: "",
            command_line,
            working_directory,
            environment,
            emulate_console: request.console,
            create_std_in_pipe: pipes.stdin,
            create_std_out_pipe: pipes.stdout,
            create_std_err_pipe: pipes.stderr,
            console_size,
        }),
        Dialect::Schema1 | Dialect::Schema2 => to_text(&process::Current {
            command_line,
            user: request.user.clone(),
            working_directory,
            environment,
            emulate_console: request.console,
            create_std_in_pipe: pipes.stdin,
            create_std_out_pipe: pipes.stdout,
            create_std_err_pipe: pipes.stderr,
            console_size,
        }),
    };
    text.map_err(|_| Refusal::NotExpressible {
        what: "the process".to_owned(),
        why: "it has no form in JSON",
    })
}

fn command_line_of(request: &ProcessRequest, dialect: Dialect) -> String {
    // Docker 1.9 did not know arguments that are escaped already.
    if request.arguments_escaped && dialect != Dialect::Docker19 {
        return request.arguments.join(" ");
    }
    command_line::join(request.arguments.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use hoist_spec::ConsoleSize;

    use super::*;

    #[test]
    fn todays_parameters_leave_out_what_is_not_given() {
        let mut request = ProcessRequest {
            arguments: vec![r"C:\Program Files\x.exe".to_owned(), "a b".to_owned()],
            user: "ContainerUser".to_owned(),
            ..ProcessRequest::default()
        };
        let pipes = Pipes {
            stdout: true,
            ..Pipes::default()
        };
        let text = process_parameters(&request, "", pipes, &Settings::hoist()).unwrap();
        assert_eq!(
            text,
            r#"{"CommandLine":"\"C:\\Program Files\\x.exe\" \"a b\"","User":"ContainerUser","CreateStdOutPipe":true,"ConsoleSize":[0,0]}"#
        );
        request.arguments_escaped = true;
        request.arguments = vec!["cmd /c echo  hi".to_owned()];
        request.user.clear();
        request.console_size = Some(ConsoleSize {
            height: 24,
            width: 80,
        });
        request.environment = vec!["A=b=c".to_owned()];
        let text = process_parameters(&request, "C:\\", Pipes::default(), &Settings::hoist());
        assert_eq!(
            text.unwrap(),
            r#"{"CommandLine":"cmd /c echo  hi","WorkingDirectory":"C:\\","Environment":{"A":"b=c"},"ConsoleSize":[0,0]}"#
        );
    }
}
