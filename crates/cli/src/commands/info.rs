//! `hoist info`.

use std::fmt::Write;

use hoist::Engine;

use crate::args::Report;
use crate::failure::Failure;
use crate::format::ReportFormat;
use crate::output;

/// Writes what this host can do, and why not what it cannot.
pub(crate) fn run(report: &Report, engine: &Engine) -> Result<u8, Failure> {
    let features = engine.features();
    match &report.format {
        ReportFormat::Text => {}
        ReportFormat::Json => {
            output::print_json(&features, true)?;
            return Ok(0);
        }
        ReportFormat::Template(template) => {
            let filled = template.fill(&serde_json::to_value(&features)?)?;
            output::print(&format!("{filled}\n"))?;
            return Ok(0);
        }
    }
    let longest = features
        .features
        .iter()
        .map(|feature| feature.name.len())
        .max()
        .unwrap_or(0);
    let mut text = format!(
        "hoist {}, backend {}\n\n",
        env!("CARGO_PKG_VERSION"),
        features.backend
    );
    for feature in &features.features {
        let mark = if feature.available { "yes" } else { "no " };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{mark}  {:longest$}  {}",
            feature.name, feature.detail
        );
        if let Some(remedy) = &feature.remedy {
            let _ = writeln!(text, "     {:longest$}  {remedy}", "");
        }
    }
    output::print(&text)?;
    Ok(0)
}
