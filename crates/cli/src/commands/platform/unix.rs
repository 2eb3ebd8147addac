//! Unix: containers that have a supervisor, and what is done with a container's root.

mod attach;
mod cp;
mod diff;
mod export;
mod host;
mod local_time;
mod logs;
mod moment;
mod mount;
pub(crate) mod process;
mod start;
mod supervised;
mod supervisor;
mod volume;
mod volume_selection;

use std::ffi::OsString;
use std::fmt::Write;

use hoist::foreground::{CallerSignals, DetachKeys};
use hoist::supervise::{RestartPolicy, SuperviseOptions};
use hoist::{Engine, RunRequest, Volumes};
use hoist_compute::{Error, ExecSpec};
use hoist_linux::features::HostFeatures;
use hoist_linux::plan::plan;
use hoist_linux::root_facts::RootFacts;
use hoist_spec::{Command, ContainerId, ContainerSpec, Faults};

use self::supervised::Manner;
pub(crate) use self::supervised::RestartChange;
use crate::args::{PlatformAction, Supervised};
use crate::commands::plan::Planned;
use crate::failure::Failure;
use crate::output;

/// The commands that there are not.
pub(crate) const LACKS: &[&str] = &[];
/// A container in the foreground ends with the command that has started it.
pub(crate) const TAKES_CONTAINERS_ALONG: bool = true;
/// Whether named pipes can carry the streams of processes.
pub(crate) const HAS_NAMED_PIPES: bool = false;
/// For which platform `plan` plans unless told otherwise.
pub(crate) const DEFAULT_PLAN: &str = "linux";

/// The exit code of the mode that the command line asks for, where that is no command of anybody's.
pub(crate) fn mode(words: &[OsString]) -> Option<u8> {
    let asked = words.get(1).is_some_and(|word| word == supervisor::MODE);
    asked.then(supervisor::main)
}

/// Does what the commands ask for that not every platform has.
pub(crate) fn carry_out(
    action: PlatformAction,
    open: &dyn Fn() -> hoist_compute::Result<Engine>,
    json: bool,
) -> Result<u8, Failure> {
    match action {
        PlatformAction::Create(run) => crate::commands::run::create(*run, &open()?),
        PlatformAction::Start(start) => start::run(&start, &open()?, json),
        PlatformAction::Restart(stop) => {
            let act = start::restart(&stop)?;
            crate::commands::for_each(&open()?, &stop.containers, json, &act)
        }
        PlatformAction::Attach(attach) => attach::run(&attach, &open()?),
        PlatformAction::Logs(logs) => logs::run(&logs, &open()?),
        PlatformAction::Cp(cp) => cp::run(&cp, &open()?),
        PlatformAction::Diff(diff) => diff::run(&diff, &open()?),
        PlatformAction::Volume(volume) => volume::run(volume, &open()?, json),
        PlatformAction::Mount(mount) => mount::run(mount, &open()?),
        PlatformAction::Export(export) => export::run(&export, &open()?),
    }
}

/// Completes what only this machine can say of a command.
pub(crate) fn complete(command: &mut Command, volumes: &Volumes) -> Result<(), Failure> {
    host::complete(command);
    Ok(volumes.locate(command)?)
}

/// The plan of a start, as this machine's kernel and the root have it.
pub(crate) fn plan_for_linux(id: &ContainerId, spec: &ContainerSpec) -> Result<Planned, Failure> {
    let features = HostFeatures::quick()
        .map_err(|error| Failure::message(format!("look at this host: {error}")))?;
    let facts = RootFacts::read(spec).map_err(Error::from)?;
    let steps = plan(id, spec, &features, &facts)
        .map_err(Error::from)?
        .steps();
    let mut text = String::new();
    for (number, step) in (1..).zip(&steps) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{number:>4}  {:<8} {}", step.lane, step.words);
    }
    let json = serde_json::to_value(&steps)
        .map_err(|error| Failure::message(format!("write JSON: {error}")))?;
    Ok(Planned { text, json })
}

/// What the options ask of a supervisor.
pub(crate) struct Supervision {
    options: SuperviseOptions,
    keys: DetachKeys,
}

impl Supervision {
    /// Reads the options.
    pub(crate) fn of(given: &Supervised, interactive: bool, remove: bool) -> Result<Self, Faults> {
        let (options, keys) = supervised::options(given, interactive, remove)?;
        Ok(Self { options, keys })
    }

    /// Whether the container is started once more when it has ended.
    pub(crate) fn restarts(&self) -> bool {
        self.options.restart != RestartPolicy::No
    }

    /// Whether the container has to outlive this command, or may have to: one can detach from a terminal.
    pub(crate) fn is_needed(&self, detach: bool, detachable: bool) -> bool {
        detach || detachable || self.restarts()
    }
}

/// Runs a container that has a supervisor, in the background or attached.
pub(crate) fn run_supervised(
    engine: &Engine,
    request: &RunRequest,
    supervision: &Supervision,
    detach: bool,
    signals: &mut CallerSignals,
) -> Result<i32, Failure> {
    let launcher = supervisor::launcher();
    let launch = supervised::launch(&launcher);
    if detach {
        engine.run_detached(request, &supervision.options, launch)?;
        output::print(&format!("{}\n", request.id))?;
        return Ok(0);
    }
    let attachment = engine.run_attached(request, &supervision.options, launch)?;
    let manner = Manner::foreground(supervision.options.interactive, supervision.keys.clone());
    let target = supervised::Target::Container(&request.id);
    supervised::stay(engine, target, attachment, signals, manner).map(i32::from)
}

/// Makes a container for a later start.
pub(crate) fn create(
    engine: &Engine,
    request: &RunRequest,
    supervision: &Supervision,
) -> Result<(), Failure> {
    engine.create_detached(request, &supervision.options)?;
    Ok(())
}

/// Starts a further process in the background, and prints its id.
pub(crate) fn exec_detached(
    engine: &Engine,
    id: &ContainerId,
    spec: &ExecSpec,
) -> Result<(), Failure> {
    let launcher = supervisor::launcher();
    let made = engine.exec_detached(id, spec, supervised::launch(&launcher))?;
    output::print(&format!("{}\n", made.id))
}
