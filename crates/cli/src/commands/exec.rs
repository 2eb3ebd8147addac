//! `hoist exec`.

use std::time::Duration;

use hoist::foreground::CallerSignals;
use hoist::{Engine, Hooks, RunRequest, random_id};
use hoist_compute::{Confinement, Error, ExecSpec, ExitStatus, Process, State, Stdio};
use hoist_spec::options::{ExecOptions, UpdateOptions};
use hoist_spec::{ContainerId, Fault, Faults, ProcessConfig, ProcessSpec};

use super::facts::with_facts;
use super::platform;
use super::run::{attend, stdio};
use crate::args::{Exec, Further};
use crate::failure::Failure;
use crate::log;

/// Runs a process in a container to its end; the result is its exit code.
pub(crate) fn run(exec: Exec, engine: &Engine) -> Result<i32, Failure> {
    let mut signals = CallerSignals::new()?;
    let (interactive, tty) = (exec.further.interactive, exec.further.tty);
    let (id, spec) = read(exec.further, engine)?;
    if exec.detach {
        platform::exec_detached(engine, &id, &spec)?;
        return Ok(0);
    }
    let stdio = stdio(interactive, tty)?;
    if spec.confinement.root.is_some() && engine.summary(&id)?.state == State::Stopped {
        return in_kept_root(engine, &id, &spec, stdio, |process, failures| {
            attend(process, interactive, tty, &mut signals, failures)
        });
    }
    let process = match spec.confinement == Confinement::default() {
        true => engine.exec(&id, &spec.process, stdio, &mut Hooks::default())?,
        false => engine.exec_confined(&id, &spec.process, &spec.confinement, stdio)?,
    };
    log::steps();
    log::debug(|| format!("container {id}: process {} runs", process.pid()));
    let mut failures = Vec::new();
    let status = attend(&*process, interactive, tty, &mut signals, &mut failures);
    told(&status?, failures)
}

/// Runs a process beside the root of a container that has ended.
fn in_kept_root(
    engine: &Engine,
    id: &ContainerId,
    spec: &ExecSpec,
    stdio: Stdio,
    attend: impl FnOnce(&dyn Process, &mut Vec<Error>) -> hoist_compute::Result<ExitStatus>,
) -> Result<i32, Failure> {
    let request = RunRequest {
        id: random_id()?,
        name: None,
        spec: engine.spec_beside_kept_root(id, spec)?,
        remove: true,
    };
    let mut hooks = Hooks::default();
    let mut failures = Vec::new();
    let status = engine.run_with(&request, stdio, &mut hooks, |process| {
        attend(process, &mut failures)
    })?;
    failures.append(&mut hooks.failures);
    told(&status, failures)
}

/// Tells how a process has ended; the result is the exit code.
pub(crate) fn told(status: &ExitStatus, failures: Vec<Error>) -> Result<i32, Failure> {
    for failure in failures {
        Failure::from(failure).warn();
    }
    if status.timed_out {
        let told = match &status.left_behind {
            None => "the command took too long and was ended with all it had started".to_owned(),
            Some(why) => format!(
                "the command took too long and was ended, but not all it had started: {why}"
            ),
        };
        Failure::message(told).warn();
    }
    Ok(status.shell_code())
}

/// The container and the further process that the options describe.
pub(crate) fn read(given: Further, engine: &Engine) -> Result<(ContainerId, ExecSpec), Failure> {
    let confinement = confinement(&given)?;
    let has_own_root = confinement.root.is_some();
    let mut words = given.words.into_iter();
    let id = engine.resolve(&words.next().unwrap_or_default())?;
    let options = ExecOptions {
        tty: given.tty,
        env: given.env,
        env_file: given.env_file,
        workdir: given.workdir,
        user: given.user,
        command: words.collect(),
    };
    let config = with_facts(|facts| Ok(options.into_process(facts)?))?;
    let spec = ExecSpec {
        process: process(engine, &id, &config, has_own_root)?,
        confinement,
        interactive: given.interactive,
    };
    Ok((id, spec))
}

/// The further process; with a root of its own it begins there, unless told otherwise.
fn process(
    engine: &Engine,
    id: &ContainerId,
    config: &ProcessConfig,
    has_own_root: bool,
) -> Result<ProcessSpec, Failure> {
    let mut process = engine.with_spec(id, |spec| spec.exec_process(config))??;
    if has_own_root && config.working_dir.is_empty() {
        process.oci.set_cwd("/".into());
    }
    Ok(process)
}

/// What the process has for itself.
fn confinement(given: &Further) -> Result<Confinement, Faults> {
    let mut faults = Faults::default();
    let timeout = given.timeout.as_deref().and_then(|text| {
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
        memory: given.memory.clone(),
        cpus: given.cpus.clone(),
        pids_limit: given.pids_limit.clone(),
        ..UpdateOptions::default()
    };
    let root = given.with_root.as_deref().map(std::path::absolute);
    let mut confinement = Confinement {
        timeout,
        root: root.transpose().unwrap_or_else(|error| {
            faults.push(Fault::new("--with-root", error.to_string()));
            None
        }),
        ..Confinement::default()
    };
    if options != UpdateOptions::default() {
        match options.into_resources() {
            Ok(limits) => confinement.limits = limits,
            Err(found) => faults.extend(found),
        }
    }
    faults.into_result(confinement)
}
