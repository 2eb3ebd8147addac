//! `hoist plan`.

use std::fmt::Write;

use hoist_compute::Error;
use hoist_linux::features::HostFeatures;
use hoist_linux::plan::plan;
use hoist_linux::root_facts::RootFacts;

use super::run::container;
use crate::args::Plan;
use crate::failure::Failure;
use crate::output;

/// Writes the steps that a start would take.
pub(crate) fn run(arguments: Plan) -> Result<u8, Failure> {
    let json = arguments.json;
    let (id, spec) = container(arguments.run)?;
    let features = HostFeatures::quick()
        .map_err(|error| Failure::message(format!("look at this host: {error}")))?;
    let facts = RootFacts::read(&spec).map_err(Error::from)?;
    let planned = plan(&id, &spec, &features, &facts).map_err(Error::from)?;
    let steps = planned.steps();
    if json {
        output::print_json(&steps, true)?;
        return Ok(0);
    }
    let mut text = String::new();
    for (number, step) in (1..).zip(&steps) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{number:>4}  {:<8} {}", step.lane, step.words);
    }
    output::print(&text)?;
    Ok(0)
}
