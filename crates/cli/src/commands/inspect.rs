//! `hoist inspect`.

use hoist::Engine;

use crate::args::Inspect;
use crate::failure::Failure;
use crate::output;

/// Writes all that is known of containers, as one JSON array.
pub(crate) fn run(inspect: &Inspect, engine: &Engine, json: bool) -> Result<u8, Failure> {
    let mut found = Vec::new();
    let mut all_found = true;
    for reference in &inspect.containers {
        match engine.resolve(reference).and_then(|id| engine.inspect(&id)) {
            Ok(container) => found.push(container),
            Err(error) => {
                Failure::from(error).print(json);
                all_found = false;
            }
        }
    }
    output::print_json(&found, true)?;
    if all_found { Ok(0) } else { Err(Failure::Told) }
}
