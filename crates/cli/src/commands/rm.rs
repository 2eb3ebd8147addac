//! `hoist rm`.

use hoist::Engine;
use hoist_compute::ErrorKind;

use super::each_told;
use crate::args::Rm;
use crate::failure::Failure;
use crate::output;

/// Removes containers.
pub(crate) fn run(rm: &Rm, engine: &Engine, json: bool) -> Result<u8, Failure> {
    each_told(&rm.containers, json, |reference| {
        let id = match engine.resolve(reference) {
            // One whose making was cut short has no record that could be found, and is named by its whole id.
            Err(error) if error.kind() == ErrorKind::NotFound && rm.force => {
                reference.parse().map_err(|_| error)?
            }
            resolved => resolved?,
        };
        let cleaned = match rm.volumes {
            true => engine.clean_with_volumes(&id, rm.force),
            false => engine.clean(&id, rm.force),
        };
        match cleaned {
            Err(error) if error.kind() == ErrorKind::Damaged && rm.force => {
                let told = engine.clean_damaged(&id, rm.volumes)?.join(", ");
                let what = format!("the record of container {id} was damaged: removed {told}");
                Failure::message(what).warn();
            }
            cleaned => cleaned?,
        }
        output::print(&format!("{reference}\n"))
    })
}
