//! `hoist process start`, `attach` and `resize`: what goes through the owner of an exec.

use hoist::Engine;
use hoist::foreground::CallerSignals;
use hoist_spec::ConsoleSize;

use super::supervised::{Manner, Target, launch, only_keys, stay};
use super::supervisor;
use crate::args::{AttachProcess, ResizeProcess, StartProcess};
use crate::commands::process::for_each;
use crate::commands::terminal::refuse_input_that_is_no_terminal;
use crate::failure::Failure;

/// Starts processes in the background, or one of them attached.
pub(crate) fn start(start: &StartProcess, engine: &Engine, json: bool) -> Result<i32, Failure> {
    if start.attach || start.interactive {
        return start_attached(start, engine).map(i32::from);
    }
    let done = for_each(
        engine,
        &start.which.processes,
        json,
        &|process, reference| {
            let launcher = supervisor::launcher();
            engine.start_exec_detached(process, launch(&launcher))?;
            Ok(reference.to_owned())
        },
    );
    done.map(i32::from)
}

fn start_attached(start: &StartProcess, engine: &Engine) -> Result<u8, Failure> {
    let [reference] = start.which.processes.as_slice() else {
        return Err(Failure::message("start with --attach: name one process"));
    };
    let keys = only_keys(start.detach_keys.as_deref())?;
    let mut signals = CallerSignals::new()?;
    let process = engine.resolve_exec(reference)?;
    let launcher = supervisor::launcher();
    let attachment = engine.start_exec_attached(&process, start.interactive, launch(&launcher))?;
    let manner = Manner::foreground(start.interactive, keys);
    stay(
        engine,
        Target::Exec(&process),
        attachment,
        &mut signals,
        manner,
    )
}

/// Attaches to a process that runs.
pub(crate) fn attach(given: &AttachProcess, engine: &Engine) -> Result<u8, Failure> {
    let keys = only_keys(given.detach_keys.as_deref())?;
    let mut signals = CallerSignals::new()?;
    let process = engine.resolve_exec(&given.process)?;
    let input = engine.exec_spec(&process)?.interactive && !given.no_stdin;
    let attachment = engine.attach_exec(&process, input)?;
    if input && attachment.has_console() {
        refuse_input_that_is_no_terminal()?;
    }
    let manner = Manner {
        input,
        signals: !given.no_signals,
        keys,
        is_foreground: false,
    };
    stay(
        engine,
        Target::Exec(&process),
        attachment,
        &mut signals,
        manner,
    )
}

/// Gives the console of a process another size.
pub(crate) fn resize(given: &ResizeProcess, engine: &Engine) -> Result<u8, Failure> {
    let process = engine.resolve_exec(&given.process)?;
    let size = ConsoleSize {
        height: given.rows,
        width: given.columns,
    };
    engine.resize_exec(&process, size)?;
    Ok(0)
}
