//! What cargo builds for the tests of the workspace, for those who run it elsewhere than cargo does.
//!
//! The whole workspace is built in either case: a package by itself has other features of its dependencies, and would be
//! built once more.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::command::{Outcome, cargo};

/// A test binary and the folder that cargo would start it in.
pub(crate) struct TestBinary {
    /// Its target's name.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

/// The test binaries of a package, or of the whole workspace, as cargo tells them. Where `only` names one of a `tests` folder,
/// no other need be among them.
pub(crate) fn built(
    root: &Path,
    package: Option<&str>,
    only: Option<&str>,
) -> Outcome<Vec<TestBinary>> {
    let mut binaries = Vec::new();
    for message in artifacts(root, only)? {
        let id = message["package_id"].as_str().unwrap_or_default();
        if package.is_some_and(|package| !id.contains(&format!("#{package}@"))) {
            continue;
        }
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

/// The program of this name that the tests drive.
pub(crate) fn driven_program(root: &Path, name: &str) -> Outcome<PathBuf> {
    artifacts(root, None)?
        .iter()
        .filter(|message| message["target"]["name"] == name && message["profile"]["test"] == false)
        .find_map(|message| Some(message["executable"].as_str()?.into()))
        .ok_or_else(|| format!("there is no program {name}").into())
}

/// Builds the tests; the messages of cargo.
fn artifacts(root: &Path, only: Option<&str>) -> Outcome<Vec<Value>> {
    let mut cargo = cargo(root);
    cargo.args(["test", "--workspace", "--no-run"]);
    if let Some(name) = only.filter(|name| is_integration_test(root, name)) {
        cargo.args(["--test", name]);
    }
    let output = cargo
        .args(["--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the tests cannot be built".into());
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

fn is_integration_test(root: &Path, name: &str) -> bool {
    let crates = std::fs::read_dir(root.join("crates")).into_iter().flatten();
    crates.flatten().any(|entry| {
        let tests = entry.path().join("tests");
        tests.join(format!("{name}.rs")).is_file() || tests.join(name).join("main.rs").is_file()
    })
}
