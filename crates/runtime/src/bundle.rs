//! Reading a bundle: `config.json` and its place.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hoist_spec::ContainerSpec;

use crate::failure::Failure;
use crate::log::Log;

/// The largest `config.json` or process file that is read: a spec names thousands of mounts in a tenth of it.
const LARGEST: u64 = 16 << 20;

/// A bundle that was read.
pub(crate) struct Bundle {
    /// What it describes.
    pub(crate) spec: ContainerSpec,
    /// Its absolute path.
    pub(crate) path: PathBuf,
}

/// Reads the bundle in `folder`; the current one where that is not given.
pub(crate) fn read(folder: Option<&str>, log: &mut Log) -> Result<Bundle, Failure> {
    let folder = folder.filter(|folder| !folder.is_empty()).unwrap_or(".");
    let path = fs::canonicalize(folder)
        .map_err(|error| Failure::new(format!("bundle {folder}: {}", go_words(&error))))?;
    let config = path.join("config.json");
    let text = read_text(&config).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(format!(
            "JSON specification file config.json not found in {}",
            path.display()
        )),
        _ => Failure::new(format!("read {}: {}", config.display(), go_words(&error))),
    })?;
    let bundle = ContainerSpec::from_bundle_json(&text, &path)
        .map_err(|faults| Failure::new(faults.to_string()))?;
    if bundle.spec.oci.process().is_none() {
        return Err(Failure::new("process: is missing"));
    }
    for fault in bundle.ignored.iter() {
        log.warning(&format!("{fault}: it has no effect"));
    }
    Ok(Bundle {
        spec: bundle.spec,
        path,
    })
}

/// A text file of a sensible size. `-` is the standard input.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().take(LARGEST).read_to_string(&mut text)?;
        return Ok(text);
    }
    let file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    if length > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // And one byte to see its end by.
    text.reserve(length as usize + 1);
    file.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// An error as runc's callers know it: without the number that Rust puts behind it, and in small letters.
pub(crate) fn go_words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase()
}
