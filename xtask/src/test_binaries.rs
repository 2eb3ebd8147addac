//! The test binaries of the workspace, for those who run them elsewhere than cargo does.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::command::{Outcome, cargo};

/// A test binary and the folder that cargo would start it in.
pub(crate) struct TestBinary {
    /// Its target's name.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

/// The test binaries of a package, or of the whole workspace, as cargo tells them.
pub(crate) fn built(root: &Path, package: Option<&str>) -> Outcome<Vec<TestBinary>> {
    let output = cargo(root)
        .arg("test")
        .args(match package {
            Some(package) => vec!["--package", package],
            None => vec!["--workspace"],
        })
        .args(["--no-run", "--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the tests cannot be built".into());
    }
    let mut binaries = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        let manifest = message["manifest_path"].as_str().map(Path::new);
        if let (Some(program), Some(true), Some(folder)) = (
            message["executable"].as_str(),
            message["profile"]["test"].as_bool(),
            manifest.and_then(Path::parent),
        ) {
            binaries.push(TestBinary {
                name: message["target"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                program: program.into(),
                folder: folder.to_path_buf(),
            });
        }
    }
    Ok(binaries)
}
