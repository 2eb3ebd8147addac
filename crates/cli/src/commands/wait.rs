//! `hoist wait`.

use hoist::Engine;
use hoist_spec::ContainerId;

use crate::failure::Failure;

/// Waits for one container's end; the result is its exit code.
pub(crate) fn act(engine: &Engine, id: &ContainerId, _: &str) -> Result<String, Failure> {
    let status = engine.wait(id, None)?;
    if let Some(reason) = &status.unknown {
        Failure::message(format!(
            "the exit status of container {id} is unknown: {reason}"
        ))
        .warn();
    }
    Ok(status.shell_code().to_string())
}
