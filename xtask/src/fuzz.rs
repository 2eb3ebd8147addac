//! `cargo xtask fuzz [TARGET]… [--seconds N]`: the fuzz targets of `fuzz`, mutated towards code that was not reached before.
//!
//! The fuzzer is built with counters on the edges of the code, which rustc's stable options can ask LLVM for; nothing else
//! is needed for it. A document that ends it badly is kept below `target/fuzz/faults`: it belongs into the target's corpus,
//! with the mend.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::command::{Outcome, cargo, root};

/// How long each target is fuzzed, where nothing is said.
const SECONDS: &str = "60";

/// LLVM's pass, and what it counts: how often each edge was taken.
const COUNTERS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
];

pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    match fuzz(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether no target had a fault.
fn fuzz(mut arguments: impl Iterator<Item = String>) -> Outcome<bool> {
    let root = root();
    let known = targets(&root)?;
    let (mut chosen, mut seconds) = (Vec::new(), SECONDS.to_owned());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().ok_or("--seconds needs a number")?,
            name if known.iter().any(|target| target == name) => chosen.push(argument),
            other => {
                return Err(format!("no target {other}; there are {}", known.join(", ")).into());
            }
        }
    }
    seconds
        .parse::<u64>()
        .map_err(|error| format!("--seconds {seconds}: {error}"))?;
    let chosen = if chosen.is_empty() { known } else { chosen };
    let fuzzer = build(&root)?;
    let mut well = true;
    for target in &chosen {
        well &= run(&root, &fuzzer, target, &seconds)?;
    }
    Ok(well)
}

/// The targets' names, which are those of the corpus' folders.
fn targets(root: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/corpus"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Builds the fuzzer with counters, beside the usual target folder: everything in it is built otherwise.
fn build(root: &Path) -> Outcome<PathBuf> {
    let folder = root.join("target/fuzz");
    let mut host = Command::new("rustc");
    let host = String::from_utf8(host.args(["--print", "host-tuple"]).output()?.stdout)?;
    let host = host.trim();
    let flags = COUNTERS.join("\u{1f}");
    let status = cargo(root)
        .args([
            "build",
            "--package",
            "hoist-fuzz",
            "--bin",
            "hoist-fuzz",
            "--target",
            host,
        ])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
        .status()?;
    match status.success() {
        true => Ok(folder.join(host).join("debug/hoist-fuzz")),
        false => Err("the fuzzer cannot be built".into()),
    }
}

/// Fuzzes one target; `false` where it came to a bad end, whose document is kept.
fn run(root: &Path, fuzzer: &Path, target: &str, seconds: &str) -> Outcome<bool> {
    let folder = root.join("target/fuzz");
    // It is written before each document is read: in memory, where there is such a folder.
    let memory = Path::new("/dev/shm");
    let memory = if memory.is_dir() { memory } else { &folder };
    let current = memory.join(format!("hoist-fuzz-{}-{target}", std::process::id()));
    let status = Command::new(fuzzer)
        .args([target, seconds])
        .arg(folder.join("found").join(target))
        .arg(&current)
        .status()?;
    let document = fs::read(&current);
    let _ = fs::remove_file(&current);
    if status.success() {
        return Ok(true);
    }
    let faults = folder.join("faults");
    fs::create_dir_all(&faults)?;
    let kept = (0..)
        .map(|number| faults.join(format!("{target}-{number}")))
        .find(|path| !path.exists())
        .ok_or("too many faults")?;
    fs::write(&kept, document?)?;
    println!("{target}: {status}; the document is {}", kept.display());
    Ok(false)
}
