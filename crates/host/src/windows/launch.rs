//! Making the process of a plan.

use std::{io, os::windows::io::OwnedHandle, path::Path};

use hoist_compute::{Phase, Result};
use hoist_windows::error::{NO_PROGRAM, system};

use super::sys::{self, Process, Start};
use crate::plan::windows::Plan;

/// Starts the first program of a plan that there is.
pub(super) fn create(plan: &Plan, streams: &[OwnedHandle; 3]) -> Result<Process> {
    /// `ERROR_FILE_NOT_FOUND` and `ERROR_PATH_NOT_FOUND` (winerror.h).
    const NOT_THERE: [i32; 2] = [2, 3];
    /// `ERROR_ACCESS_DENIED`.
    const ACCESS_DENIED: i32 = 5;
    let mut last = io::Error::from_raw_os_error(NOT_THERE[0]);
    for program in &plan.programs {
        let file = Path::new(program);
        let started = match file.metadata() {
            Ok(found) if found.is_dir() => Err(io::Error::from_raw_os_error(ACCESS_DENIED)),
            Ok(_) => sys::start(&Start {
                program,
                command_line: &plan.command_line,
                environment: &plan.environment,
                directory: &plan.directory,
                streams,
            }),
            Err(error) => Err(error),
        };
        match started {
            Ok(process) => return Ok(process),
            Err(error) => {
                let code = error.raw_os_error();
                if code.is_none_or(|code| !NOT_THERE.contains(&code)) {
                    last = error;
                    if code != Some(ACCESS_DENIED) {
                        break;
                    }
                }
            }
        }
    }
    let code = last.raw_os_error().map(i32::cast_unsigned);
    let is_program = code.is_none_or(|code| !NO_PROGRAM.contains(&code));
    Err(match is_program {
        false => system(Phase::Execute, format!("execute {}", plan.name), last).about(&plan.name),
        true => {
            let operation = format!("start {} in {}", plan.name, plan.directory);
            system(Phase::Start, operation, last).about(&plan.name)
        }
    })
}
