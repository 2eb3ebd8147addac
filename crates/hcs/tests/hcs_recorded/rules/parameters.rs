//! What processes and their hooks are given.

use serde_json::Value;

use super::each_step;
use crate::{
    pieces, probe,
    recording::{Recording, Step, list},
};

/// `A=b=c` is `A` with the value `b=c`.
pub(super) fn environment(recording: &mut Recording) -> bool {
    let mut any = false;
    for (call, asked) in created(recording) {
        let entries: Vec<String> = list(&asked["env"])
            .filter_map(|entry| entry.as_str().map(str::to_owned))
            .collect();
        if entries.iter().any(|entry| entry.matches('=').count() > 1) {
            any = true;
            let block = hoist_hcs::environment::block(&entries);
            let text = hoist_hcs::documents::to_text(&block).unwrap();
            change_parameters(recording, call, "Environment", &text);
        }
    }
    any
}

/// Program and arguments of the execution driver are quoted where they must be, unless they are escaped already.
pub(super) fn arguments_are_quoted(recording: &mut Recording) -> bool {
    if recording.is_libcontainerd() {
        return false;
    }
    let mut any = false;
    for (call, asked) in created(recording) {
        let first = recording.steps.iter().any(|step| {
            step.operation == "Run"
                && step.begin < recording.calls[call].begin
                && !recording.steps.iter().any(|other| {
                    other.operation == "Exec"
                        && (other.begin..other.end).contains(&recording.calls[call].begin)
                })
        });
        let escaped = first && recording.input["command"]["args_escaped"] == true;
        if escaped && !recording.is_docker19() {
            continue;
        }
        let words = std::iter::once(&asked["entrypoint"]).chain(list(&asked["arguments"]));
        let line = hoist_windows::command_line::join(words.filter_map(Value::as_str));
        let (_, text) = recording.calls[call].parameters().unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        if document["CommandLine"] != line.as_str() {
            any = true;
            let quoted = hoist_hcs::documents::to_text(&line).unwrap();
            change_parameters(recording, call, "CommandLine", &quoted);
        }
    }
    any
}

/// The size that an exec's console is asked to begin with is sent.
pub(super) fn exec_console_size(recording: &mut Recording) -> bool {
    if recording.is_libcontainerd() {
        return false;
    }
    let mut any = false;
    for (call, asked) in created(recording) {
        let size = &asked["console_size"];
        let (_, text) = recording.calls[call].parameters().unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let given = size
            .as_array()
            .is_some_and(|size| size.iter().any(|side| *side != 0));
        if asked["tty"] == true && given && document["ConsoleSize"] != *size {
            any = true;
            change_parameters(recording, call, "ConsoleSize", &size.to_string());
        }
    }
    any
}

/// The start hook of an exec is given the exec's process, not the container's.
pub(super) fn exec_hook(recording: &mut Recording) -> bool {
    let differs = |step: &Step| {
        let config = &step.input["process_config"];
        step.operation == "Exec"
            && step.hook.as_ref().is_some_and(|hook| {
                config["entrypoint"] != hook.entrypoint.as_str() || config["tty"] != hook.tty
            })
    };
    each_step(
        recording,
        |_, step| differs(step),
        |recording, place| {
            let step = &mut recording.steps[place];
            let config = step.input["process_config"].clone();
            if let Some(hook) = &mut step.hook {
                hook.entrypoint = config["entrypoint"].as_str().unwrap().to_owned();
                hook.tty = config["tty"] == true;
            }
        },
    )
}

/// The call that creates a process, for each process that was created, with what was asked for.
fn created(recording: &Recording) -> Vec<(usize, Value)> {
    let mut all = Vec::new();
    for (place, call) in recording.calls.iter().enumerate() {
        if call.parameters().is_none() {
            continue;
        }
        let step = recording
            .steps
            .iter()
            .rfind(|step| (step.begin..step.end).contains(&call.begin));
        let asked = match step.map(|step| step.operation.as_str()) {
            Some("Run") => recording.input["command"]["process_config"].clone(),
            Some("Exec") => step.unwrap().input["process_config"].clone(),
            Some("AddProcess") => step.unwrap().input["process"].clone(),
            Some("Create") => step.unwrap().input["spec"]["process"].clone(),
            // A restart, of the one container that the scenario has.
            _ => list(&recording.input["steps"])
                .find(|step| step["operation"] == "Create")
                .map_or(Value::Null, |step| step["spec"]["process"].clone()),
        };
        all.push((place, asked));
    }
    all
}

/// Replaces a member of the parameters of a process, and what the process then prints.
fn change_parameters(recording: &mut Recording, call: usize, member: &str, value: &str) {
    let (name, before) = recording.calls[call].parameters().unwrap();
    let after = pieces::replace(&before, &[member], value);
    let pid = recording.calls[call]
        .returned
        .get("pid")
        .and_then(Value::as_u64);
    let arguments = &mut recording.calls[call].arguments;
    arguments.insert(
        name.trim_end_matches("_text").to_owned(),
        serde_json::from_str(&after).unwrap(),
    );
    arguments.insert(name.to_owned(), after.clone().into());
    let Some(pid) = pid else { return };
    let killed = recording.is_killed(pid);
    let input = recording.input.clone();
    for step in &mut recording.steps {
        let its_own =
            step.pid == Some(pid) || step.hook.as_ref().is_some_and(|hook| hook.pid == pid);
        if !its_own || step.stdout.is_none() {
            continue;
        }
        let stdin = match step.operation.as_str() {
            "Run" => input["stdin"].as_str(),
            _ => step.input["stdin"].as_str(),
        };
        let (stdout, stderr) = probe::output(&before, stdin, killed);
        assert_eq!(
            (Some(&stdout), Some(&stderr)),
            (step.stdout.as_ref(), step.stderr.as_ref()),
            "the probe is played as it was"
        );
        let (stdout, stderr) = probe::output(&after, stdin, killed);
        (step.stdout, step.stderr) = (Some(stdout), Some(stderr));
    }
    let handle = recording.calls[call].returned.get("process").cloned();
    if let Some(place) = handle.and_then(|handle| attached(recording, call, &handle)) {
        let (stdout, stderr) = probe::output(&after, None, killed);
        let streams = &mut recording.streams[place];
        (streams.stdout, streams.stderr) = (stdout, stderr);
    }
}

/// The streams of a libcontainerd process: those attached next after its creation.
fn attached(recording: &Recording, call: usize, _handle: &Value) -> Option<usize> {
    let begin = recording.calls[call].begin;
    recording
        .streams
        .iter()
        .position(|streams| streams.order > begin)
}
