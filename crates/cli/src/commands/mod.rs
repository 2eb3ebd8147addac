//! One file per command.

mod completions;
mod exec;
mod facts;
mod info;
mod inspect;
mod joined;
mod kill;
mod limits;
mod man;
mod plan;
mod platform;
mod process;
mod prune;
mod ps;
mod rm;
mod run;
mod selection;
mod stats;
mod stop;
mod terminal;
mod top;
mod transport;
mod version;
mod wait;

use std::mem::ManuallyDrop;

use hoist::{Engine, EngineOptions};
use hoist_spec::ContainerId;

use crate::args::{Action, Invocation};
use crate::failure::Failure;
use crate::{log, output};

pub(crate) use platform::{LACKS, mode};

/// Does what the command line asks for; the result is the exit code.
pub(crate) fn carry_out(invocation: Invocation) -> Result<i32, Failure> {
    let Invocation {
        state_root,
        log_level: _,
        json_errors,
        action,
    } = invocation;
    // Of a debug exec's own container, where there is one.
    let takes_containers_along =
        platform::TAKES_CONTAINERS_ALONG && matches!(action, Action::Exec(_));
    let transport = transport::read(&action)?;
    let open = || {
        Engine::open(EngineOptions {
            state_root: state_root.clone(),
            timeline: log::recorder(),
            waits_for_each: true,
            takes_containers_along,
            transport,
            ..EngineOptions::default()
        })
    };
    let each =
        |containers: &[String], act: Act<'_>| for_each(&open()?, containers, json_errors, act);
    let done = match action {
        Action::Run(run) => return run::run(*run, state_root, transport),
        // Nothing is freed piece by piece that goes with the process.
        Action::Exec(exec) => return exec::run(exec, &ManuallyDrop::new(open()?)),
        Action::Process(action) => return process::run(*action, &open()?, json_errors),
        Action::Platform(action) => platform::carry_out(action, &open, json_errors),
        Action::Pause(pause) => each(&pause.containers, &limits::pause),
        Action::Unpause(unpause) => each(&unpause.containers, &limits::unpause),
        Action::Update(update) => each(&update.containers, &limits::update(&update)?),
        Action::Stats(stats) => stats::run(&stats, &open()?),
        Action::Rename(rename) => limits::rename(&rename, &open()?),
        Action::Prune(prune) => prune::run(&prune, &open()?, json_errors),
        Action::Man(man) => man::run(&man),
        Action::Ps(ps) => ps::run(&ps, &open()?),
        Action::Inspect(inspect) => inspect::run(&inspect, &open()?, json_errors),
        Action::Top(top) => top::run(&top, &open()?),
        Action::Stop(stop) => each(&stop.containers, &stop::act(&stop)?),
        Action::Kill(kill) => each(&kill.containers, &kill::act(&kill)?),
        Action::Wait(wait) => each(&wait.containers, &wait::act),
        Action::Rm(rm) => rm::run(&rm, &open()?, json_errors),
        Action::Info(report) => info::run(&report, &open()?),
        Action::Plan(plan) => plan::run(*plan, state_root.as_deref(), &open),
        Action::Version(report) => version::run(&report),
        Action::Completions(completions) => completions::run(completions.shell),
    };
    done.map(i32::from)
}

/// What is done to one container; the result is the line that is printed of it.
type Act<'a> = &'a dyn Fn(&Engine, &ContainerId, &str) -> Result<String, Failure>;

/// Acts on each container, whichever of the others fail; what fails is told at once. Beside its id, the container is told by
/// the name or the part of the id by which the caller called it.
fn for_each(
    engine: &Engine,
    containers: &[String],
    json: bool,
    act: Act<'_>,
) -> Result<u8, Failure> {
    for_each_of(containers, json, &|reference| {
        let id = engine.resolve(reference)?;
        log::debug(|| format!("{reference} is container {id}"));
        act(engine, &id, reference)
    })
}

/// Acts on each thing that the caller names, whichever of the others fail; what fails is told at once.
fn for_each_of(
    references: &[String],
    json: bool,
    act: &dyn Fn(&str) -> Result<String, Failure>,
) -> Result<u8, Failure> {
    each_told(references, json, |reference| {
        output::print(&format!("{}\n", act(reference)?))
    })
}

/// Acts on each thing, whichever of the others fail; what fails is told at once.
fn each_told<T>(
    things: impl IntoIterator<Item = T>,
    json: bool,
    mut act: impl FnMut(T) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let mut all_done = true;
    for thing in things {
        if let Err(failure) = act(thing) {
            failure.print(json);
            all_done = false;
        }
    }
    if all_done { Ok(0) } else { Err(Failure::Told) }
}
