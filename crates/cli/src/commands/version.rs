//! `hoist version`.

use crate::args::{Format, Report};
use crate::failure::Failure;
use crate::output;

/// Writes the version and what the program was built for.
pub(crate) fn run(report: &Report) -> Result<u8, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    match report.format {
        Format::Json => output::print_json(
            &serde_json::json!({ "version": version, "os": os, "arch": arch }),
            true,
        )?,
        Format::Text => output::print(&format!("hoist {version} ({os}/{arch})\n"))?,
    }
    Ok(0)
}
