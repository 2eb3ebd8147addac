//! `hoist process start`, `attach` and `resize`: a process is the command's own that starts it, and runs in the foreground.

use hoist::Engine;
use hoist::foreground::CallerSignals;

use super::{SUPERVISOR, unsupported};
use crate::args::{AttachProcess, ResizeProcess, StartProcess};
use crate::commands::exec::told;
use crate::commands::run::{attend, stdio};
use crate::failure::Failure;

/// Starts one process attached; without that it has no owner.
pub(crate) fn start(start: &StartProcess, engine: &Engine, _json: bool) -> Result<i32, Failure> {
    if !(start.attach || start.interactive) {
        return Err(unsupported(
            "hoist process start",
            "there is no supervisor on Windows yet: use --attach, and stay until it ends",
        ));
    }
    let [reference] = start.which.processes.as_slice() else {
        return Err(Failure::message("start with --attach: name one process"));
    };
    let mut signals = CallerSignals::new()?;
    let exec = engine.resolve_exec(reference)?;
    let tty = engine.exec_spec(&exec)?.process.oci.terminal() == Some(true);
    let stdio = stdio(start.interactive, tty)?;
    let process = engine.start_exec(&exec, stdio)?;
    let mut failures = Vec::new();
    let status = attend(
        &*process,
        start.interactive,
        tty,
        &mut signals,
        &mut failures,
    );
    told(&status?, failures)
}

/// Attaches to a process that runs: refused.
pub(crate) fn attach(_given: &AttachProcess, _engine: &Engine) -> Result<u8, Failure> {
    Err(unsupported("hoist process attach", SUPERVISOR))
}

/// Gives the console of a process another size: refused, since only its owner can.
pub(crate) fn resize(_given: &ResizeProcess, _engine: &Engine) -> Result<u8, Failure> {
    Err(unsupported("hoist process resize", SUPERVISOR))
}
