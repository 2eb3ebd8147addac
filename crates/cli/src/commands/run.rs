//! `hoist run`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist::foreground::{self, DRAIN_LIMIT, ForegroundIo, SignalFd, terminal_size};
use hoist::{Engine, EngineOptions, Hooks, RunRequest, random_id};
use hoist_compute::{Process, Stdio};
use hoist_spec::options::RunOptions;
use hoist_spec::{Command, ConsoleSize, ContainerId, ContainerSpec};

use super::facts::with_facts;
use crate::args::Run;
use crate::failure::Failure;
use crate::timeline::{Bar, Timeline};

/// Runs a container to its end; the result is its exit code.
pub(crate) fn run(run: Run, state_root: Option<PathBuf>) -> Result<u8, Failure> {
    // Before anything else: a signal that comes from here on reaches the container, or ends the command in order.
    let mut signals = SignalFd::new()?;
    let (name, cidfile, remove) = (run.name.clone(), run.cidfile.clone(), run.rm);
    let drawing = run
        .timeline
        .clone()
        .map(|file| (file, run.command.join(" ")));
    let (interactive, tty) = (run.interactive, run.tty);
    let (id, spec) = container(run)?;
    let recorder = drawing.as_ref().map(|_| Arc::default());
    let engine = Engine::open(EngineOptions {
        state_root,
        timeline: recorder.clone(),
    })?;
    let request = RunRequest {
        id,
        name,
        spec,
        remove,
    };
    let stdio = stdio(interactive, tty)?;
    if let Some(file) = &cidfile {
        write_id(file, &request.id)?;
    }
    let mut hooks = Hooks::default();
    let mut failures = Vec::new();
    let ended = engine.run_with(&request, stdio, &mut hooks, |process| {
        if let (Some((file, command)), Some(recorder)) = (&drawing, &recorder) {
            draw(file, command, recorder);
        }
        attend(process, interactive, tty, &mut signals, &mut failures)
    });
    for failure in hooks.failures.into_iter().chain(failures) {
        Failure::from(failure).print(false);
    }
    match ended {
        Ok(status) => Ok(status.shell_code() as u8),
        Err(error) => {
            if let Some(file) = &cidfile {
                // Without a container its id means nothing.
                let _ = std::fs::remove_file(file);
            }
            Err(error.into())
        }
    }
}

/// The container that the options describe, with a new id.
pub(crate) fn container(run: Run) -> Result<(ContainerId, ContainerSpec), Failure> {
    let id = random_id()?;
    let mut command = command(run)?;
    command.id = id.to_string();
    Ok((id, command.to_container_spec()?))
}

/// What the options ask for, without an id.
pub(crate) fn command(run: Run) -> Result<Command, Failure> {
    with_facts(|facts| Ok(options(run).into_command(facts)?))
}

fn options(run: Run) -> RunOptions {
    RunOptions {
        tty: run.tty,
        name: run.name,
        hostname: run.hostname,
        rootfs: run.rootfs,
        layer: run.layer,
        read_only: run.read_only,
        volume: run.volume,
        mount: run.mount,
        tmpfs: run.tmpfs,
        env: run.env,
        env_file: run.env_file,
        workdir: run.workdir,
        user: run.user,
        entrypoint: run.entrypoint,
        init: run.init,
        stop_signal: run.stop_signal,
        stop_timeout: run.stop_timeout,
        memory: run.memory,
        cpus: run.cpus,
        cpu_shares: run.cpu_shares,
        pids_limit: run.pids_limit,
        network: run.network,
        cap_add: run.cap_add,
        cap_drop: run.cap_drop,
        security_opt: run.security_opt,
        command: run.command,
    }
}

/// What the process gets: the caller's own descriptors, or a console of the size of the caller's terminal.
pub(crate) fn stdio(interactive: bool, tty: bool) -> Result<Stdio, Failure> {
    use std::io::IsTerminal;
    if !tty {
        return Ok(foreground::own_streams(interactive)?);
    }
    let (input, output) = (std::io::stdin(), std::io::stdout());
    if interactive && !input.is_terminal() {
        return Err(Failure::Message {
            what: "the input device is not a terminal".to_owned(),
            remedy: Some("leave out --tty, or --interactive"),
        });
    }
    let size = terminal_size(output.as_fd()).or_else(|| terminal_size(input.as_fd()));
    Ok(Stdio::Console(size.unwrap_or(ConsoleSize {
        height: 24,
        width: 80,
    })))
}

/// Attends to a process in the foreground until it has ended.
pub(crate) fn attend(
    process: &dyn Process,
    interactive: bool,
    tty: bool,
    signals: &mut SignalFd,
    failures: &mut Vec<hoist_compute::Error>,
) -> hoist_compute::Result<hoist_compute::ExitStatus> {
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let io = if tty {
        ForegroundIo::Console {
            input: interactive.then(|| input.as_fd()),
            output: output.as_fd(),
            drain_limit: DRAIN_LIMIT,
        }
    } else {
        ForegroundIo::Own
    };
    foreground::attach(process, io, Some(signals), failures)
}

fn write_id(file: &Path, id: &ContainerId) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut open| open.write_all(id.as_str().as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::Message {
            what: format!("container id file {} exists", file.display()),
            remedy: Some("make sure that no container uses it, and remove it"),
        },
        _ => Failure::message(format!(
            "write container id file {}: {error}",
            file.display()
        )),
    })
}

/// Writes the timeline of the start. That it cannot be written is told, and does not end the container.
fn draw(file: &Path, command: &str, recorder: &hoist_compute::Timeline) {
    let bars = recorder.bars().into_iter().map(|bar| Bar {
        lane: bar.lane.to_owned(),
        label: bar.label,
        start_ns: bar.start_ns,
        end_ns: bar.end_ns,
    });
    let timeline = Timeline {
        title: format!("hoist run {command}"),
        bars: bars.collect(),
    };
    if let Err(error) = std::fs::write(file, timeline.render_for(file)) {
        Failure::message(format!("write timeline {}: {error}", file.display())).print(false);
    }
}
