//! `hoist wait`.

use hoist::Engine;
use hoist_spec::ContainerId;

use crate::failure::Failure;
use crate::output;

/// Waits for one container's end and prints its exit code.
pub(crate) fn act(engine: &Engine, id: &ContainerId) -> Result<(), Failure> {
    let status = engine.wait(id, None)?;
    if let Some(reason) = &status.unknown {
        Failure::message(format!(
            "the exit status of container {id} is unknown: {reason}"
        ))
        .print(false);
    }
    output::print(&format!("{}\n", status.shell_code()))
}
