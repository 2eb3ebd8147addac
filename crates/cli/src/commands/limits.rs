//! `hoist pause`, `hoist unpause`, `hoist update` and `hoist rename`.

use hoist::Engine;
use hoist_spec::options::UpdateOptions;
use hoist_spec::{ContainerId, Faults};

use super::platform;
use crate::args::{Rename, Update};
use crate::failure::Failure;

/// Freezes one container.
pub(crate) fn pause(engine: &Engine, id: &ContainerId, reference: &str) -> Result<String, Failure> {
    engine.pause(id)?;
    Ok(reference.to_owned())
}

/// Lets one container go on.
pub(crate) fn unpause(
    engine: &Engine,
    id: &ContainerId,
    reference: &str,
) -> Result<String, Failure> {
    engine.resume(id)?;
    Ok(reference.to_owned())
}

/// Reads the options; the result changes the limits of one container.
pub(crate) fn update(
    update: &Update,
) -> Result<impl Fn(&Engine, &ContainerId, &str) -> Result<String, Failure>, Failure> {
    let given = update.clone();
    let limits = UpdateOptions {
        memory: given.memory,
        memory_reservation: given.memory_reservation,
        memory_swap: given.memory_swap,
        cpus: given.cpus,
        cpu_shares: given.cpu_shares,
        cpuset_cpus: given.cpuset_cpus,
        cpuset_mems: given.cpuset_mems,
        pids_limit: given.pids_limit,
        blkio_weight: given.blkio_weight,
    };
    let mut faults = Faults::default();
    let policy = match &given.restart {
        Some(text) => platform::RestartChange::read(text).map_err(|fault| faults.push(fault)),
        None => Err(()),
    };
    let resources = match given.restart.is_some() && limits == UpdateOptions::default() {
        true => None,
        false => limits
            .into_changes()
            .map_err(|found| faults.extend(found))
            .ok(),
    };
    let (policy, resources) = faults.into_result((policy.ok(), resources))?;
    Ok(move |engine: &Engine, id: &ContainerId, reference: &str| {
        if let Some(resources) = &resources {
            engine.update(id, resources)?;
        }
        if let Some(policy) = &policy {
            policy.apply(engine, id)?;
        }
        Ok(reference.to_owned())
    })
}

/// Gives a container another name.
pub(crate) fn rename(rename: &Rename, engine: &Engine) -> Result<u8, Failure> {
    let id = engine.resolve(&rename.container)?;
    engine.rename(&id, &rename.name)?;
    Ok(0)
}
