//! `hoist start` and `hoist restart`.

use hoist::foreground::CallerSignals;
use hoist::{Engine, StopRequest};
use hoist_compute::{ErrorKind, State};
use hoist_spec::ContainerId;

use super::supervised::{Manner, Target, launch, only_keys, stay};
use super::supervisor;
use crate::args::{Start, Stop};
use crate::failure::Failure;

/// Starts containers, in the background or one in the foreground.
pub(crate) fn run(start: &Start, engine: &Engine, json: bool) -> Result<u8, Failure> {
    if !(start.attach || start.interactive) {
        return crate::commands::for_each(engine, &start.containers, json, &act);
    }
    let [reference] = start.containers.as_slice() else {
        return Err(Failure::message("start with --attach: name one container"));
    };
    let keys = only_keys(start.detach_keys.as_deref())?;
    let mut signals = CallerSignals::new()?;
    let id = engine.resolve(reference)?;
    let launcher = supervisor::launcher();
    let attachment = engine.start_attached(&id, start.interactive, launch(&launcher))?;
    let manner = Manner::foreground(start.interactive, keys);
    stay(
        engine,
        Target::Container(&id),
        attachment,
        &mut signals,
        manner,
    )
}

/// Starts one container in the background. One that runs is started enough.
fn act(engine: &Engine, id: &ContainerId, reference: &str) -> Result<String, Failure> {
    let launcher = supervisor::launcher();
    match engine.start_detached(id, launch(&launcher)) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidState | ErrorKind::InProgress
            ) =>
        {
            let is_started =
                engine.summary(id)?.state == State::Running || engine.is_restarting(id)?;
            if !is_started {
                return Err(error.into());
            }
        }
        started => drop(started?),
    }
    Ok(reference.to_owned())
}

/// Reads the options; the result stops one container and starts it once more.
pub(crate) fn restart(
    stop: &Stop,
) -> Result<impl Fn(&Engine, &ContainerId, &str) -> Result<String, Failure>, Failure> {
    let request: StopRequest = crate::commands::stop::request(stop)?;
    Ok(move |engine: &Engine, id: &ContainerId, reference: &str| {
        let launcher = supervisor::launcher();
        engine.restart(id, request, launch(&launcher))?;
        Ok(reference.to_owned())
    })
}
