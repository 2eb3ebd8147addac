//! `hoist rm`.

use hoist::Engine;
use hoist_compute::ErrorKind;

use crate::args::Rm;
use crate::failure::Failure;
use crate::output;

/// Removes containers.
pub(crate) fn run(rm: &Rm, engine: &Engine, json: bool) -> Result<u8, Failure> {
    let mut all_done = true;
    for reference in &rm.containers {
        let id = match engine.resolve(reference) {
            // One whose making was cut short has no record that could be found, and is named by its whole id.
            Err(error) if error.kind() == ErrorKind::NotFound && rm.force => {
                match reference.parse() {
                    Ok(id) => Ok(id),
                    Err(_) => Err(error),
                }
            }
            resolved => resolved,
        };
        let done = id.and_then(|id| engine.clean(&id, rm.force));
        match done {
            Ok(()) => output::print(&format!("{reference}\n"))?,
            Err(error) => {
                Failure::from(error).print(json);
                all_done = false;
            }
        }
    }
    if all_done { Ok(0) } else { Err(Failure::Told) }
}
