//! `hoist export`.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hoist::Engine;

use crate::args::Export;
use crate::failure::Failure;

/// Writes a container's root as a tar archive.
pub(crate) fn run(export: &Export, engine: &Engine) -> Result<u8, Failure> {
    let id = engine.resolve(&export.container)?;
    let container = engine.container(&id)?;
    let Some(file) = &export.output else {
        if io::stdout().is_terminal() {
            return Err(Failure::Message {
                what: "refusing to write an archive to a terminal".to_owned(),
                remedy: Some("name a file with --output, or redirect standard output"),
            });
        }
        let mut out = io::BufWriter::new(io::stdout().lock());
        container.system().files()?.export(&mut out)?;
        out.flush()
            .map_err(|error| Failure::message(format!("write to standard output: {error}")))?;
        return Ok(0);
    };
    // What a link means is written to, and nothing takes the place of a device.
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.clone());
    if fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        let what = format!("write {}: it is no regular file", file.display());
        return Err(Failure::Message {
            what,
            remedy: Some("leave out --output, and redirect standard output there"),
        });
    }
    // Beside it, so that an archive that is not whole never bears the name.
    let draft = draft_of(file);
    let failed = |error| Failure::message(format!("write {}: {error}", file.display()));
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    let written = || -> Result<(), Failure> {
        let mut out = io::BufWriter::new(opened);
        container.system().files()?.export(&mut out)?;
        out.flush().map_err(failed)?;
        fs::rename(&draft, file).map_err(failed)
    };
    written().inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })?;
    Ok(0)
}

fn draft_of(file: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    file.with_file_name(name)
}
