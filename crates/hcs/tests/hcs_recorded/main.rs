//! Replays what the original drivers were recorded to do.
//!
//! Each file of the recordings is a test. Hoist's driver is given the scenario's input, over a scripted service that answers as was
//! recorded; calls, documents, results, streams and events must be those of the recording, after the [`rules`] that say where Hoist
//! deliberately does otherwise.
//!
//! `HOIST_HCS_RECORDED=DIR` replays any folder of such files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

mod compare;
mod execdriver;
mod libcontainerd;
mod pieces;
mod probe;
mod recording;
mod rules;
mod script;
mod service;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use recording::Recording;
use script::Script;

/// Files of a folder of recordings that are no scenarios.
const NO_SCENARIOS: [&str; 2] = ["index.json", "name-to-guid.json"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = folder();
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .map(|entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension().is_some_and(|end| end == "json"))
                .filter(|path| {
                    !NO_SCENARIOS
                        .iter()
                        .any(|name| path.file_name().is_some_and(|file| file == *name))
                })
                .collect()
        })
        .unwrap_or_default();
    files.sort();
    if files.is_empty() {
        let folder = folder.display().to_string();
        let trial = Trial::ignorable_test("recordings", move || {
            Ok(libtest_mimic::Completion::ignored_with(format!(
                "there are no recordings in {folder}"
            )))
        });
        return libtest_mimic::run(&arguments, vec![trial]).exit_code();
    }
    let trials = files
        .into_iter()
        .map(|file| {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            Trial::test(name, move || replay_or_hang(&file))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The recordings that stand beside the repository, unless others are named.
fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("HOIST_HCS_RECORDED") {
        return PathBuf::from(folder);
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .and_then(Path::parent)
        .unwrap();
    repository.join("../shared/fixtures/hcs-recorded")
}

/// A replay that has not ended by then hangs: the longest takes a few seconds.
const HANGS_AFTER: Duration = Duration::from_secs(60);

fn replay_or_hang(file: &Path) -> Result<(), Failed> {
    let (done, result) = mpsc::channel();
    let file = file.to_owned();
    // The thread is abandoned where it hangs.
    thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| replay(&file)));
        let _ = done.send(outcome);
    });
    match result.recv_timeout(HANGS_AFTER) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(format!("it hangs: nothing came within {HANGS_AFTER:?}").into()),
    }
}

fn replay(file: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(file).map_err(|error| format!("read: {error}"))?;
    let mut recording = Recording::read(&text).map_err(|error| format!("understand: {error}"))?;
    let applied = rules::apply(&mut recording);
    let recording = Arc::new(recording);
    let script = Script::new(Arc::clone(&recording));
    if recording.is_libcontainerd() {
        libcontainerd::drive(&recording, &script);
    } else {
        execdriver::drive(&recording, &script);
    }
    compare::compare(&recording, &script, &applied).map_err(Failed::from)
}
