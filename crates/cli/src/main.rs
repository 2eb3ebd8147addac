//! The `hoist` command: what people type, turned into calls of the engine.
//!
//! `args` reads the command line, `commands` has one file per command, `failure` is how all of them fail.
#![cfg_attr(all(target_os = "linux", target_env = "gnu", not(test)), no_main)]

mod age;
mod args;
mod commands;
#[cfg(all(target_os = "linux", target_env = "gnu", not(test)))]
#[path = "../../entry.rs"]
mod entry;
mod failure;
mod format;
mod log;
mod output;
mod table;
mod timeline;

use std::ffi::OsString;

use args::{Action, PlatformAction};

#[cfg(not(all(target_os = "linux", target_env = "gnu", not(test))))]
fn main() {
    std::process::exit(run())
}

/// Does what the command line asks for; the result is the exit code, of which Unix tells eight bits.
fn run() -> i32 {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = commands::mode(&words) {
        return code.into();
    }
    #[cfg(target_os = "linux")]
    hoist_linux::prefault();
    let invocation = match args::parse(&words) {
        Ok(invocation) => invocation,
        Err(error) => return failure::usage(&error, &words).into(),
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
        Ok(code) => code,
        Err(failure) => {
            failure.print(json);
            if is_run { failure.code().into() } else { 1 }
        }
    }
}
