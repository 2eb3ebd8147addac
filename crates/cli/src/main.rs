//! The `hoist` command: what people type, turned into calls of the engine.
//!
//! `args` reads the command line, `commands` has one file per command, `failure` is how all of them fail.

mod age;
mod args;
mod commands;
mod failure;
mod format;
mod log;
mod output;
mod table;
mod timeline;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Action, PlatformAction};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = commands::mode(&words) {
        return code;
    }
    #[cfg(target_os = "linux")]
    hoist_linux::prefault();
    let invocation = match args::parse(&words) {
        Ok(invocation) => invocation,
        Err(error) => return failure::usage(&error, &words),
    };
    let (json, is_run) = (
        invocation.json_errors,
        matches!(
            invocation.action,
            Action::Run(_) | Action::Platform(PlatformAction::Create(_)) | Action::Exec(_)
        ),
    );
    log::choose(invocation.log_level, json);
    let done = commands::carry_out(invocation);
    log::steps();
    match done {
        Ok(code) => commands::leave(code),
        Err(failure) => {
            failure.print(json);
            ExitCode::from(if is_run { failure.code() } else { 1 })
        }
    }
}
