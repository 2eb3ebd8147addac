//! `hoist version`.

use crate::args::Report;
use crate::failure::Failure;
use crate::format::ReportFormat;
use crate::output;

/// Writes the version and what the program was built for.
pub(crate) fn run(report: &Report) -> Result<u8, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let known = serde_json::json!({ "version": version, "os": os, "arch": arch });
    match &report.format {
        ReportFormat::Json => output::print_json(&known, true)?,
        ReportFormat::Text => output::print(&format!("hoist {version} ({os}/{arch})\n"))?,
        ReportFormat::Template(template) => {
            output::print(&format!("{}\n", template.fill(&known)?))?;
        }
    }
    Ok(0)
}
