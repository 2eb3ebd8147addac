//! `hoist man`.

use std::fs;

use crate::args::{self, Man};
use crate::failure::Failure;
use crate::output;

/// Writes manual pages.
pub(crate) fn run(man: &Man) -> Result<u8, Failure> {
    let command = args::command(None);
    let failed = |error| Failure::message(format!("write the manual pages: {error}"));
    match &man.folder {
        Some(folder) => {
            fs::create_dir_all(folder).map_err(failed)?;
            clap_mangen::generate_to(command, folder).map_err(failed)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .map_err(failed)?;
            output::print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(0)
}
