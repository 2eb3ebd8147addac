//! The commands that Docker's original Windows drivers were given, as they were recorded: each is read with just the
//! field names that it has, and written again as the same JSON.
//!
//! The recordings are no part of this repository. They are looked for in `shared/fixtures/hcs-recorded` beside it, or
//! in the folder that `HOIST_HCS_RECORDED` names; without them the test is counted as ignored.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::{fs, path::PathBuf, process::ExitCode};

use hoist_spec::{Command, ProcessConfig};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::Value;

type Test = (&'static str, fn(&Recorded));

fn main() -> ExitCode {
    let tests: [Test; 3] = [
        (
            "every recorded command is read and written as the same JSON",
            every_command_comes_back,
        ),
        (
            "every recorded process is read and written as the same JSON",
            every_process_comes_back,
        ),
        (
            "a field that a recording does not have is refused by name",
            other_fields_are_refused,
        ),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        Trial::ignorable_test(name, move || match Recorded::read() {
            Some(recorded) => {
                test(&recorded);
                Ok(Completion::Completed)
            }
            None => Ok(Completion::ignored_with(format!(
                "there is no folder {} (set HOIST_HCS_RECORDED)",
                folder().display()
            ))),
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn folder() -> PathBuf {
    std::env::var_os("HOIST_HCS_RECORDED").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/fixtures/hcs-recorded"
            ))
        },
        PathBuf::from,
    )
}

/// What the scenarios gave to the drivers, each with the scenario's name.
#[derive(Default)]
struct Recorded {
    commands: Vec<(String, Value)>,
    processes: Vec<(String, Value)>,
}

impl Recorded {
    fn read() -> Option<Self> {
        let mut recorded = Self::default();
        for entry in fs::read_dir(folder()).ok()? {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let scenario: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let input = &scenario["input"];
            if input["command"].is_object() {
                recorded
                    .commands
                    .push((name.clone(), input["command"].clone()));
                recorded
                    .processes
                    .push((name.clone(), input["command"]["process_config"].clone()));
            }
            let steps = ["during", "after"]
                .iter()
                .flat_map(|list| input[list].as_array().into_iter().flatten());
            recorded.processes.extend(
                steps
                    .filter(|step| step["process_config"].is_object())
                    .map(|step| (name.clone(), step["process_config"].clone())),
            );
        }
        // A folder with something else in it must not look like success.
        assert!(
            recorded.commands.len() >= 50,
            "only {} commands in {}",
            recorded.commands.len(),
            folder().display()
        );
        Some(recorded)
    }
}

fn every_command_comes_back(recorded: &Recorded) {
    for (name, json) in &recorded.commands {
        let command = Command::from_json(&json.to_string())
            .unwrap_or_else(|faults| panic!("{name}: {faults}"));
        let written = serde_json::to_value(&command).unwrap();
        assert_eq!(
            what_is_said(&written),
            what_is_said(json),
            "{name}: {command:?}"
        );
        let again: Command = serde_json::from_value(written).unwrap();
        assert_eq!(again, command, "{name}");
    }
}

fn every_process_comes_back(recorded: &Recorded) {
    for (name, json) in &recorded.processes {
        let process: ProcessConfig = serde_json::from_value(json.clone())
            .unwrap_or_else(|error| panic!("{name}: {error}: {json}"));
        let written = serde_json::to_value(&process).unwrap();
        assert_eq!(
            what_is_said(&written),
            what_is_said(json),
            "{name}: {process:?}"
        );
    }
}

fn other_fields_are_refused(recorded: &Recorded) {
    for (name, json) in &recorded.commands {
        let mut json = json.clone();
        json["layer_path"] = "C:\\layers".into();
        json["process_config"]["argument"] = "x".into();
        let faults = Command::from_json(&json.to_string()).unwrap_err();
        let mut fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            ["layer_path", "process_config.argument"],
            "{name}: {faults}"
        );
    }
}

/// `json` without what says the same as leaving it out: in the original, too, an empty text, an empty list, `null`,
/// `false` and zero are what a field has that was not given. What stands in a list stays.
fn what_is_said(json: &Value) -> Value {
    match json {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| (key.clone(), what_is_said(value)))
                .filter(|(_, value)| !says_nothing(value))
                .collect(),
        ),
        Value::Array(list) => list
            .iter()
            .map(|element| match element {
                Value::Object(_) => what_is_said(element),
                other => other.clone(),
            })
            .collect(),
        other => other.clone(),
    }
}

fn says_nothing(json: &Value) -> bool {
    match json {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
