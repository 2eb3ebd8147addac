//! `pause` and `resume`.

use hoist_compute::ErrorKind;

use super::kill::not_running;
use super::only_id;
use crate::args::Arguments;
use crate::failure::Failure;
use crate::global::Global;

pub(crate) fn pause(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let container = global.container(only_id("pause", arguments)?)?;
    container.pause().map_err(not_running)?;
    Ok(0)
}

pub(crate) fn resume(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let container = global.container(only_id("resume", arguments)?)?;
    container.resume().map_err(|error| match error.kind() {
        ErrorKind::InvalidState => Failure::new("container not paused"),
        _ => error.into(),
    })?;
    Ok(0)
}
