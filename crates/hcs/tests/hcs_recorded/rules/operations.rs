//! What is done with containers and processes that run, have ended, or never were.

use serde_json::{Value, json};

use super::{each_step, is_trouble, remove_calls};
use crate::recording::{Call, Exit, Failure, Recording, Step, canonical};

/// A container that is signalled while its restart is due has ended for good.
pub(super) fn signal_ends_restart(recording: &mut Recording) -> bool {
    let due = |recording: &Recording, step: &Step| {
        let last = recording
            .events
            .iter()
            .rfind(|event| event.order < step.begin && event.state != "exit-process");
        last.filter(|event| event.state == "restart").cloned()
    };
    each_step(
        recording,
        |recording, step| step.operation == "Signal" && due(recording, step).is_some(),
        |recording, place| {
            let step = recording.steps[place].clone();
            let mut exit = due(recording, &step).unwrap();
            recording.calls.retain(|call| call.begin < step.begin);
            recording
                .notifications
                .retain(|note| note.order < step.begin);
            recording.events.retain(|event| event.order < step.begin);
            recording
                .streams
                .retain(|streams| streams.order < step.begin);
            recording.warnings.clear();
            recording.steps[place].error = Failure::None;
            exit.state = "exit".to_owned();
            exit.order = step.end + 0.5;
            recording.events.push(exit);
        },
    )
}

/// What names a container that does not run is refused without a call: one that has ended is not listed any more.
pub(super) fn unknown_container_is_refused(recording: &mut Recording) -> bool {
    const OPERATIONS: [&str; 9] = [
        "Kill",
        "Terminate",
        "Exec",
        "Signal",
        "SignalProcess",
        "AddProcess",
        "Summary",
        "GetPidsForContainer",
        "Resize",
    ];
    each_step(
        recording,
        |recording, step| OPERATIONS.contains(&step.operation.as_str()) && !runs(recording, step),
        |recording, place| {
            let step = recording.steps[place].clone();
            remove_calls(recording, &step);
            // Warnings of these operations are errors now.
            recording
                .warnings
                .retain(|words| !words.to_lowercase().contains("failed to terminate"));
            let step = &mut recording.steps[place];
            step.error = Failure::Some;
            step.exit = step.exit.map(|_| Exit::None);
            step.hook = None;
            step.result = match step.operation.as_str() {
                "Summary" => Some("[]".to_owned()),
                "GetPidsForContainer" => Some("null".to_owned()),
                _ => step.result.take(),
            };
        },
    )
}

/// A further process that has ended is not listed any more, and nothing is done to it.
pub(super) fn ended_process_is_forgotten(recording: &mut Recording) -> bool {
    let named = each_step(
        recording,
        |recording, step| {
            let name = step.input["process_name"].as_str().unwrap_or_default();
            let ended = ended_processes(recording, step)
                .iter()
                .any(|(ended, _)| ended == name);
            matches!(step.operation.as_str(), "SignalProcess" | "Resize") && ended
        },
        |recording, place| {
            let step = recording.steps[place].clone();
            remove_calls(recording, &step);
            recording.steps[place].error = Failure::Some;
        },
    );
    let listed = each_step(
        recording,
        |recording, step| {
            matches!(step.operation.as_str(), "Summary" | "GetPidsForContainer")
                && step.error == Failure::None
                && !ended_processes(recording, step).is_empty()
        },
        |recording, place| {
            let ended = ended_processes(recording, &recording.steps[place]);
            let step = &mut recording.steps[place];
            let list: Value = serde_json::from_str(step.result.as_deref().unwrap()).unwrap();
            let left: Vec<&Value> = list
                .as_array()
                .unwrap()
                .iter()
                .filter(|entry| {
                    let pid = entry.get("pid").unwrap_or(entry);
                    !ended.iter().any(|(_, ended)| pid == ended)
                })
                .collect();
            step.result = Some(json!(left).to_string());
        },
    );
    named || listed
}

/// The further processes that have ended when a step begins, with their ids.
fn ended_processes(recording: &Recording, step: &Step) -> Vec<(String, u64)> {
    recording
        .events
        .iter()
        .filter(|event| event.state == "exit-process" && event.order < step.begin)
        .map(|event| (event.process.clone(), event.pid))
        .collect()
}

/// A signal that could not be carried out is an error.
pub(super) fn signals_report_failures(recording: &mut Recording) -> bool {
    const ENDS: [&str; 5] = [
        "TerminateComputeSystem",
        "ShutdownComputeSystem",
        "HcsTerminateComputeSystem",
        "HcsShutdownComputeSystem",
        "HcsTerminateProcess",
    ];
    let failure = |recording: &Recording, step: &Step| {
        recording
            .calls_in(step)
            .into_iter()
            .map(|call| recording.calls[call].clone())
            .rfind(|call| ENDS.contains(&call.function.as_str()))
            .filter(is_trouble)
    };
    let mut any = false;
    for place in 0..recording.steps.len() {
        let step = recording.steps[place].clone();
        if !["Kill", "Terminate", "Signal"].contains(&step.operation.as_str()) {
            continue;
        }
        if let Some(call) = failure(recording, &step) {
            any = true;
            recording.steps[place].error =
                Failure::Code(call.function.clone(), canonical(call.hresult()));
            if call.function == "HcsTerminateProcess" {
                recording
                    .warnings
                    .retain(|words| !words.contains("failed to terminate pid"));
            }
        } else if step.error != Failure::None && runs(recording, &step) {
            any = true;
            recording.steps[place].error = Failure::None;
        }
    }
    any
}

/// A container that is to be restored is looked for; with what it ended is not known.
pub(super) fn restore(recording: &mut Recording) -> bool {
    each_step(
        recording,
        |_, step| step.operation == "Restore",
        |recording, place| {
            let step = recording.steps[place].clone();
            let open = Call::new(
                "HcsOpenComputeSystem",
                json!({"id": step.input["container_id"]}),
                step.begin + 0.1,
            );
            recording.calls.push(open.returning("0xC037010E"));
            for event in &mut recording.events {
                if (step.begin..step.end).contains(&event.order) {
                    event.exit = Some(Exit::Unknown);
                }
            }
        },
    )
}

/// What the originals had no code for is Hoist's own: it fails where no container runs, and its results are not compared.
pub(super) fn not_implemented_there(recording: &mut Recording) -> bool {
    each_step(
        recording,
        |_, step| {
            matches!(
                step.operation.as_str(),
                "UpdateResources" | "Info.IsRunning" | "SupportsHooks" | "Name"
            )
        },
        |recording, place| {
            let running = runs(recording, &recording.steps[place]);
            let step = &mut recording.steps[place];
            match step.operation.as_str() {
                "UpdateResources" => step.error = Failure::Some,
                "Info.IsRunning" => step.result = Some(running.to_string()),
                "SupportsHooks" => step.result = Some("true".to_owned()),
                _ => step.result = Some("\"docker\"".to_owned()),
            }
        },
    )
}

/// Whether a container runs when a step begins: it was started, and has not ended.
fn runs(recording: &Recording, step: &Step) -> bool {
    if recording.is_libcontainerd() {
        let id = &step.input["container_id"];
        let last = recording
            .events
            .iter()
            .filter(|event| event.container == id.as_str().unwrap_or_default())
            .filter(|event| event.order < step.begin)
            .rfind(|event| event.state != "exit-process");
        return last.is_some_and(|event| event.state != "exit");
    }
    if step.input["id"]
        .as_str()
        .is_some_and(|id| recording.input["command"]["id"] != id)
    {
        return false;
    }
    recording.steps.iter().any(|run| {
        let started = run.hook.as_ref().map_or(f64::MAX, |hook| hook.order);
        run.operation == "Run" && started < step.begin && step.begin < run.end
    })
}
