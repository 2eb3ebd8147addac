//! `hoist run`.

use std::fs::OpenOptions;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist::foreground::{self, CallerSignals, DRAIN_LIMIT, ForegroundIo, descriptor};
use hoist::{Engine, EngineOptions, Hooks, RunRequest, Volumes, random_id};
use hoist_compute::{Process, Stdio, StreamTransport};
use hoist_spec::options::RunOptions;
use hoist_spec::{Command, ConsoleSize, ContainerId, ContainerSpec, Fault, Faults, Platform};

use super::facts::with_facts_for;
use super::joined;
use super::platform::{self, Supervision};
use super::terminal::{console_size, refuse_input_that_is_no_terminal};
use crate::args::Run;
use crate::failure::Failure;
use crate::timeline::{Bar, Form, Timeline};
use crate::{log, output};

/// Runs a container; the result is the exit code of the command.
pub(crate) fn run(
    run: Run,
    state_root: Option<PathBuf>,
    transport: StreamTransport,
) -> Result<i32, Failure> {
    // Before anything else: a signal that comes from here on reaches the container, or ends the command in order.
    let mut signals = CallerSignals::new()?;
    let given = Given::of(&run)?;
    let recorder = log::recorder().or_else(|| given.timeline.as_ref().map(|_| Arc::default()));
    // The process ends when the container has; freeing memory piece by piece before would only take time.
    let engine = ManuallyDrop::new(Engine::open(EngineOptions {
        state_root,
        timeline: recorder.clone(),
        waits_for_each: true,
        takes_containers_along: platform::TAKES_CONTAINERS_ALONG,
        transport,
        ..EngineOptions::default()
    })?);
    let request = ManuallyDrop::new(request(run, &engine)?);
    if given.interactive && given.tty && !given.detach {
        refuse_input_that_is_no_terminal()?;
    }
    if let Some(file) = &given.cidfile {
        write_id(file, &request.id)?;
    }
    let done = match given.supervised() {
        true => platform::run_supervised(
            &engine,
            &request,
            &given.supervision,
            given.detach,
            &mut signals,
        ),
        false => foreground(&engine, &request, &given, &mut signals, recorder.as_deref()),
    };
    if let (Err(_), Some(file)) = (&done, &given.cidfile) {
        // Without a container its id means nothing.
        let _ = std::fs::remove_file(file);
    }
    done
}

/// Makes a container and prints its id.
pub(crate) fn create(run: Run, engine: &Engine) -> Result<u8, Failure> {
    let given = Given::of(&run)?;
    let request = request(run, engine)?;
    if let Some(file) = &given.cidfile {
        write_id(file, &request.id)?;
    }
    platform::create(engine, &request, &given.supervision).inspect_err(|_| {
        if let Some(file) = &given.cidfile {
            let _ = std::fs::remove_file(file);
        }
    })?;
    output::print(&format!("{}\n", request.id))?;
    Ok(0)
}

/// What the options say beside the container itself.
struct Given {
    supervision: Supervision,
    detach: bool,
    interactive: bool,
    tty: bool,
    cidfile: Option<PathBuf>,
    timeline: Option<Drawing>,
}

/// Where the timeline of the start is drawn, and how.
struct Drawing {
    file: PathBuf,
    form: Form,
    command: String,
}

impl Drawing {
    fn of(run: &Run) -> Result<Option<Self>, Fault> {
        let Some(file) = run.rare.timeline.clone() else {
            return Ok(None);
        };
        match Form::of(&file) {
            Some(form) => Ok(Some(Self {
                file,
                form,
                command: run.common.command.join(" "),
            })),
            None => Err(Fault::of_value(
                "--timeline",
                file.display().to_string(),
                "has no ending that says how to draw: use .svg for a picture, .json for Perfetto",
            )),
        }
    }
}

impl Given {
    fn of(run: &Run) -> Result<Self, Failure> {
        let supervision = Supervision::of(
            &run.common.supervised,
            run.common.interactive,
            run.common.rm,
        )?;
        let mut faults = Faults::default();
        let timeline = Drawing::of(run).unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let timeline = faults.into_result(timeline)?;
        let given = Self {
            supervision,
            detach: run.common.supervised.detach,
            interactive: run.common.interactive,
            tty: run.common.tty,
            cidfile: run.rare.cidfile.clone(),
            timeline,
        };
        if given.timeline.is_some() && (given.detach || given.supervision.restarts()) {
            let mut faults = Faults::default();
            let reason = "is drawn by the owner of the container: leave out --detach and --restart";
            faults.push(Fault::new("--timeline", reason));
            return Err(faults.into());
        }
        Ok(given)
    }

    /// Whether the container has to outlive this command, or may have to: one can detach from a terminal.
    fn supervised(&self) -> bool {
        let detachable = self.tty && self.interactive && self.timeline.is_none();
        self.supervision.is_needed(self.detach, detachable)
    }
}

/// Runs a container to its end.
fn foreground(
    engine: &Engine,
    request: &RunRequest,
    given: &Given,
    signals: &mut CallerSignals,
    recorder: Option<&hoist_compute::Timeline>,
) -> Result<i32, Failure> {
    let stdio = stdio(given.interactive, given.tty)?;
    let mut hooks = Hooks::default();
    let mut failures = Vec::new();
    let ended = engine.run_with(request, stdio, &mut hooks, |process| {
        log::steps();
        log::debug(|| format!("container {}: process {} runs", request.id, process.pid()));
        if let (Some(drawing), Some(recorder)) = (&given.timeline, recorder) {
            draw(drawing, recorder);
        }
        attend(
            process,
            given.interactive,
            given.tty,
            signals,
            &mut failures,
        )
    });
    for failure in hooks.failures.into_iter().chain(failures) {
        Failure::from(failure).warn();
    }
    let ended = ended?;
    log::debug(|| format!("container {}: its process has ended: {ended:?}", request.id));
    Ok(ended.shell_code())
}

fn request(mut run: Run, engine: &Engine) -> Result<RunRequest, Failure> {
    joined::resolve(&mut run, &|| Ok(engine.clone()))?;
    let (name, remove) = (run.common.name.clone(), run.common.rm);
    let (id, spec) = container(run, &engine.volumes())?;
    Ok(RunRequest {
        id,
        name,
        spec,
        remove,
    })
}

/// The container that the options describe, with a new id.
pub(crate) fn container(
    run: Run,
    volumes: &Volumes,
) -> Result<(ContainerId, ContainerSpec), Failure> {
    let id = random_id()?;
    let mut command = command(run, volumes, Platform::HERE)?;
    command.id = id.to_string();
    Ok((id, command.to_container_spec_for(Platform::HERE)?))
}

/// What the options ask for, without an id.
pub(crate) fn command(run: Run, volumes: &Volumes, platform: Platform) -> Result<Command, Failure> {
    let completed = std::cell::Cell::new(Ok(()));
    let complete = |command: &mut Command| {
        if platform == Platform::HERE {
            completed.set(platform::complete(command, volumes));
        }
    };
    let command = with_facts_for(platform, |facts| {
        Ok(options(run).into_command_with(facts, &complete)?)
    })?;
    completed.into_inner()?;
    Ok(command)
}

fn options(run: Run) -> RunOptions {
    RunOptions {
        tty: run.common.tty,
        name: run.common.name,
        hostname: run.common.hostname,
        rootfs: run.common.rootfs,
        layer: run.common.layer,
        read_only: run.common.read_only,
        volume: run.common.volume,
        mount: run.rare.mount,
        tmpfs: run.rare.tmpfs,
        env: run.common.env,
        env_file: run.rare.env_file,
        workdir: run.common.workdir,
        user: run.common.user,
        entrypoint: run.common.entrypoint,
        init: run.common.init,
        stop_signal: run.rare.stop_signal,
        stop_timeout: run.rare.stop_timeout,
        memory: run.common.memory,
        cpus: run.common.cpus,
        cpu_shares: run.rare.cpu_shares,
        pids_limit: run.rare.pids_limit,
        memory_reservation: run.rare.memory_reservation,
        memory_swap: run.rare.memory_swap,
        cpuset_cpus: run.rare.cpuset_cpus,
        cpuset_mems: run.rare.cpuset_mems,
        blkio_weight: run.rare.blkio_weight,
        device: run.rare.device,
        device_cgroup_rule: run.rare.device_cgroup_rule,
        ulimit: run.rare.ulimit,
        sysctl: run.rare.sysctl,
        shm_size: run.rare.shm_size,
        privileged: run.rare.privileged,
        userns: run.rare.userns,
        uidmap: run.rare.uidmap,
        gidmap: run.rare.gidmap,
        pid: run.rare.pid,
        ipc: run.rare.ipc,
        uts: run.rare.uts,
        cgroupns: run.rare.cgroupns,
        group_add: run.rare.group_add,
        cgroup_parent: run.rare.cgroup_parent,
        oom_score_adj: run.rare.oom_score_adj,
        annotation: run.rare.annotation,
        label: run.rare.label,
        layer_folder: run.rare.layer_folder,
        isolation: run.rare.isolation,
        network: run.common.network,
        cap_add: run.rare.cap_add,
        cap_drop: run.rare.cap_drop,
        security_opt: run.common.security_opt,
        command: run.common.command,
    }
}

/// What the process gets: the caller's own descriptors, or a console of the size of the caller's terminal.
pub(crate) fn stdio(interactive: bool, tty: bool) -> Result<Stdio, Failure> {
    if !tty {
        return Ok(foreground::own_streams(interactive)?);
    }
    if interactive {
        refuse_input_that_is_no_terminal()?;
    }
    Ok(Stdio::Console(console_size().unwrap_or(ConsoleSize {
        height: 24,
        width: 80,
    })))
}

/// Attends to a process in the foreground until it has ended.
pub(crate) fn attend(
    process: &dyn Process,
    interactive: bool,
    tty: bool,
    signals: &mut CallerSignals,
    failures: &mut Vec<hoist_compute::Error>,
) -> hoist_compute::Result<hoist_compute::ExitStatus> {
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let io = if tty {
        ForegroundIo::Console {
            input: interactive.then(|| descriptor(&input)),
            output: descriptor(&output),
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
fn draw(drawing: &Drawing, recorder: &hoist_compute::Timeline) {
    let bars = recorder.bars().into_iter().map(|bar| Bar {
        lane: bar.lane.to_owned(),
        label: bar.label,
        start_ns: bar.start_ns,
        end_ns: bar.end_ns,
    });
    let timeline = Timeline {
        title: format!("hoist run {}", drawing.command),
        bars: bars.collect(),
    };
    let file = &drawing.file;
    if let Err(error) = std::fs::write(file, timeline.render(drawing.form)) {
        Failure::message(format!("write timeline {}: {error}", file.display())).warn();
    }
}
