//! `hoist exec`.

use hoist::foreground::SignalFd;
use hoist::{Engine, Hooks};
use hoist_spec::options::ExecOptions;

use super::facts::with_facts;
use super::run::{attend, stdio};
use crate::args::Exec;
use crate::failure::Failure;
use crate::supervisor;

/// Runs a process in a container to its end; the result is its exit code.
pub(crate) fn run(exec: Exec, engine: &Engine) -> Result<u8, Failure> {
    let mut signals = SignalFd::new()?;
    let (interactive, tty) = (exec.interactive, exec.tty);
    let mut words = exec.words.into_iter();
    let id = engine.resolve(&words.next().unwrap_or_default())?;
    let options = ExecOptions {
        tty,
        env: exec.env,
        env_file: exec.env_file,
        workdir: exec.workdir,
        user: exec.user,
        command: words.collect(),
    };
    let config = with_facts(|facts| Ok(options.into_process(facts)?))?;
    let process = engine.container(&id)?.spec().exec_process(&config)?;
    if exec.detach {
        engine.exec_detached(&id, &process, &supervisor::launcher())?;
        return Ok(0);
    }
    let process = engine.exec(
        &id,
        &process,
        stdio(interactive, tty)?,
        &mut Hooks::default(),
    )?;
    let mut failures = Vec::new();
    let status = attend(&*process, interactive, tty, &mut signals, &mut failures)?;
    for failure in failures {
        Failure::from(failure).print(false);
    }
    Ok(status.shell_code() as u8)
}
