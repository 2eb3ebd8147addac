//! `hoist mount`.

use std::path::Path;

use hoist::Engine;
use hoist_spec::options::MountOptions;

use crate::args::{MountAction, MountAdd, MountCommand, MountRm};
use crate::commands::facts::with_facts;
use crate::failure::Failure;

/// Adds mounts to a running container, or takes those away.
pub(crate) fn run(command: MountCommand, engine: &Engine) -> Result<u8, Failure> {
    match command.action {
        MountAction::Add(add) => run_add(add, engine),
        MountAction::Rm(rm) => run_rm(&rm, engine),
    }
}

fn run_add(add: MountAdd, engine: &Engine) -> Result<u8, Failure> {
    let MountAdd {
        volume,
        mount,
        tmpfs,
        container,
    } = add;
    let options = MountOptions {
        volume,
        mount,
        tmpfs,
    };
    let mounts = with_facts(|facts| Ok(options.into_mounts(facts)?))?;
    let container = engine.container(&engine.resolve(&container)?)?;
    for mount in mounts {
        container.system().add_mount(&mount)?;
    }
    Ok(0)
}

fn run_rm(rm: &MountRm, engine: &Engine) -> Result<u8, Failure> {
    let container = engine.container(&engine.resolve(&rm.container)?)?;
    for target in &rm.targets {
        let target = hoist_spec::clean_path(target);
        container.system().remove_mount(Path::new(&target))?;
    }
    Ok(0)
}
