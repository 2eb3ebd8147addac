//! The file that tells the caller a process's id.

use std::fs;
use std::path::Path;

use crate::failure::Failure;

/// Writes `pid` to `path`, so that whoever sees the file sees all of it.
pub(crate) fn write(path: &str, pid: u32) -> Result<(), Failure> {
    let path = Path::new(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&draft, pid.to_string()).and_then(|()| fs::rename(&draft, path));
    written.map_err(|error| {
        // The draft may not be there.
        let _ = fs::remove_file(&draft);
        Failure::new(format!("write pid file {}: {error}", path.display()))
    })
}
