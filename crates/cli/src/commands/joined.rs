//! The containers whose namespaces a container joins: named on the command line, told to the engine by id.

use std::borrow::Cow;

use hoist::Engine;
use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_spec::ContainerSpec;

use crate::args::Run;

const CONTAINER: &str = "container:";

/// Puts the ids of containers in place of their names in `container:NAME`.
pub(crate) fn resolve(run: &mut Run, engine: &dyn Fn() -> Result<Engine>) -> Result<()> {
    let mut opened = None;
    for mode in [
        &mut run.common.network,
        &mut run.rare.pid,
        &mut run.rare.ipc,
        &mut run.rare.uts,
        &mut run.rare.cgroupns,
    ] {
        if let Some(name) = mode
            .as_deref()
            .and_then(|mode| mode.strip_prefix(CONTAINER))
        {
            let engine = match &opened {
                Some(engine) => engine,
                None => opened.insert(engine()?),
            };
            *mode = Some(format!("{CONTAINER}{}", engine.resolve(name)?));
        }
    }
    Ok(())
}

/// The spec as it would be planned now: with the namespaces that the containers have that it joins.
pub(crate) fn with_paths<'a>(
    spec: &'a ContainerSpec,
    engine: &dyn Fn() -> Result<Engine>,
) -> Result<Cow<'a, ContainerSpec>> {
    spec.with_joined(|id, kind| {
        engine()?.summary(id)?.pid.ok_or_else(|| {
            let operation = format!("join the {kind} namespace of container {id}");
            Error::new(ErrorKind::InvalidState, Phase::Plan, operation).because("it is not running")
        })
    })
}
