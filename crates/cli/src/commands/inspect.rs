//! `hoist inspect`.

use hoist::Engine;

use super::each_told;
use crate::args::Inspect;
use crate::failure::Failure;
use crate::output;

/// Writes all that is known of containers, as one JSON array.
pub(crate) fn run(inspect: &Inspect, engine: &Engine, json: bool) -> Result<u8, Failure> {
    let mut found = Vec::new();
    let outcome = each_told(&inspect.containers, json, |reference| {
        found.push(engine.inspect(&engine.resolve(reference)?)?);
        Ok(())
    });
    output::print_json(&found, true)?;
    outcome
}
