//! `hoist exec`.

use std::thread;
use std::time::Duration;

use hoist::foreground::SignalFd;
use hoist::{Engine, Hooks};
use hoist_compute::{ErrorKind, Process};
use hoist_spec::options::{ExecOptions, UpdateOptions};
use hoist_spec::{Fault, Faults, oci::LinuxResources};

use super::facts::with_facts;
use super::run::{attend, stdio};
use crate::args::Exec;
use crate::failure::Failure;
use crate::supervisor;

/// The exit code of a command that took too long, as timeout(1) has it.
const TOOK_TOO_LONG: u8 = 124;

/// Runs a process in a container to its end; the result is its exit code.
pub(crate) fn run(exec: Exec, engine: &Engine) -> Result<u8, Failure> {
    let mut signals = SignalFd::new()?;
    let (interactive, tty) = (exec.interactive, exec.tty);
    let confinement = Confinement::of(&exec)?;
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
    let process = engine.spec(&id)?.exec_process(&config)?;
    if exec.detach {
        engine.exec_detached(&id, &process, &supervisor::launcher())?;
        return Ok(0);
    }
    let stdio = stdio(interactive, tty)?;
    let process = match &confinement.limits {
        Some(limits) => engine.exec_limited(&id, &process, limits, stdio)?,
        None => engine.exec(&id, &process, stdio, &mut Hooks::default())?,
    };
    let mut failures = Vec::new();
    let (status, timed_out) = ended_in_time(&*process, confinement.timeout, || {
        attend(&*process, interactive, tty, &mut signals, &mut failures)
    });
    for failure in failures {
        Failure::from(failure).print(false);
    }
    let status = status?;
    if timed_out {
        Failure::message("the command took too long and was ended with all it had started")
            .print(false);
        return Ok(TOOK_TOO_LONG);
    }
    Ok(status.shell_code() as u8)
}

/// Attends to a process, and ends it with all it has started when the time runs out; whether it did.
fn ended_in_time<T>(
    process: &dyn Process,
    timeout: Option<Duration>,
    attend: impl FnOnce() -> T,
) -> (T, bool) {
    let Some(timeout) = timeout else {
        return (attend(), false);
    };
    thread::scope(|scope| {
        let watch = scope.spawn(|| match process.wait(Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Timeout => match process.terminate() {
                Ok(()) => true,
                Err(error) => {
                    Failure::from(error).print(false);
                    true
                }
            },
            _ => false,
        });
        let attended = attend();
        (attended, watch.join().unwrap_or(false))
    })
}

/// What the command has for itself.
struct Confinement {
    limits: Option<LinuxResources>,
    timeout: Option<Duration>,
}

impl Confinement {
    fn of(exec: &Exec) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let timeout = exec.timeout.as_deref().and_then(|text| {
            let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
            let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            if duration.is_none() {
                faults.push(Fault::of_value(
                    "--timeout",
                    text,
                    "is no number of seconds above zero",
                ));
            }
            duration
        });
        let options = UpdateOptions {
            memory: exec.memory.clone(),
            cpus: exec.cpus.clone(),
            pids_limit: exec.pids_limit.clone(),
            ..UpdateOptions::default()
        };
        let limits = match options == UpdateOptions::default() {
            // Without limits it still has a cgroup of its own, by which all of it is found at the end.
            true => timeout.map(|_| LinuxResources::default()),
            false => match options.into_resources() {
                Ok(limits) => Some(limits),
                Err(found) => {
                    faults.extend(found);
                    None
                }
            },
        };
        faults.into_result(Self { limits, timeout })
    }
}
