//! `hoist inspect`.

use hoist::Engine;
use serde::Serialize;
use serde_json::Value;

use super::each_told;
use crate::args::Inspect;
use crate::failure::Failure;
use crate::format::ReportFormat;
use crate::output;

/// Writes all that is known of containers.
pub(crate) fn run(inspect: &Inspect, engine: &Engine, json: bool) -> Result<u8, Failure> {
    show(
        &inspect.containers,
        &inspect.written.format,
        json,
        |reference| Ok(engine.inspect(&engine.resolve(reference)?)?),
    )
}

/// Looks at each thing, and writes what was found: one JSON array, or what a template makes of each.
pub(crate) fn show<T: Serialize>(
    references: &[String],
    format: &ReportFormat,
    json: bool,
    look: impl Fn(&str) -> Result<T, Failure>,
) -> Result<u8, Failure> {
    let mut found = Vec::new();
    let outcome = each_told(references, json, |reference| {
        let looked = look(reference)?;
        match format {
            ReportFormat::Template(template) => {
                let filled = template.fill(&with_go_names(serde_json::to_value(looked)?))?;
                output::print(&format!("{filled}\n"))
            }
            ReportFormat::Text | ReportFormat::Json => {
                found.push(looked);
                Ok(())
            }
        }
    });
    if !matches!(format, ReportFormat::Template(_)) {
        output::print_json(&found, true)?;
    }
    outcome
}

/// docker's templates may have the id by the name that it has in Go, too.
fn with_go_names(mut known: Value) -> Value {
    if let Some(members) = known.as_object_mut()
        && let Some(id) = members.get("Id").cloned()
    {
        members.insert("ID".to_owned(), id);
    }
    known
}
