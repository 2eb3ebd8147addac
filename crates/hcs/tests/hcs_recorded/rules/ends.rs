//! How starts, waits and ends that fail are dealt with and told.

use serde_json::{Value, json};

use super::{each_step, is_trouble};
use crate::recording::{Call, Exit, Failure, Recording, Step, canonical, list};

/// A system whose start failed is ended.
pub(super) fn failed_start(recording: &mut Recording) -> bool {
    let mut inserted = Vec::new();
    for call in &recording.calls {
        if call.function == "StartComputeSystem" && call.failed() {
            let arguments = json!({"id": call.arguments["id"], "timeout": u32::MAX});
            inserted.push(Call::new(
                "TerminateComputeSystem",
                arguments,
                call.end + 0.1,
            ));
        }
    }
    let any = !inserted.is_empty();
    recording.calls.extend(inserted);
    any
}

/// A wait that failed gives no exit code: an error, or, after the container was ended by force, the knowledge of that.
pub(super) fn failed_wait(recording: &mut Recording) -> bool {
    let waits: Vec<Call> = recording
        .calls
        .iter()
        .filter(|call| call.function == "WaitForProcessInComputeSystem" && call.failed())
        .cloned()
        .collect();
    for wait in &waits {
        let terminated = recording.calls.iter().any(|call| {
            call.function == "TerminateComputeSystem" && !call.failed() && call.begin < wait.end
        });
        let step = recording
            .steps
            .iter_mut()
            .filter(|step| (step.begin..step.end).contains(&wait.begin))
            .min_by(|one, other| (one.end - one.begin).total_cmp(&(other.end - other.begin)));
        // The innermost operation that asked for it: a run and its execs wait side by side.
        let Some(step) = step else { continue };
        if terminated {
            step.exit = Some(Exit::Terminated);
            step.error = Failure::None;
        } else {
            step.exit = Some(Exit::None);
            step.error = Failure::Code(wait.function.clone(), canonical(wait.hresult()));
        }
    }
    !waits.is_empty()
}

/// A system that does not shut down is ended by force.
pub(super) fn failed_shutdown(recording: &mut Recording) -> bool {
    let mut inserted = Vec::new();
    for (place, call) in recording.calls.iter().enumerate() {
        if call.function == "ShutdownComputeSystem"
            && is_trouble(call)
            && is_final(recording, place)
        {
            let arguments = json!({"id": call.arguments["id"], "timeout": u32::MAX});
            inserted.push(Call::new(
                "TerminateComputeSystem",
                arguments,
                call.end + 0.1,
            ));
        }
    }
    let any = !inserted.is_empty();
    recording.calls.extend(inserted);
    any
}

/// What fails and no caller is told of is a warning: a clean-up, a shutdown, a new start.
pub(super) fn trouble_behind_the_scenes(recording: &mut Recording) -> bool {
    let trouble = recording.calls.iter().any(|call| {
        let within = innermost(recording, call.begin).map(|step| step.operation.as_str());
        let told = matches!(
            within,
            Some("Create" | "AddProcess" | "Signal" | "SignalProcess")
        );
        match call.function.as_str() {
            "HcsTerminateComputeSystem" => within != Some("Signal") && is_trouble(call),
            "HcsShutdownComputeSystem"
            | "HcsCreateComputeSystem"
            | "HcsStartComputeSystem"
            | "HcsCreateProcess" => !told && is_trouble(call),
            _ => false,
        }
    });
    if trouble {
        recording
            .warnings
            .push("something failed behind the scenes".to_owned());
    }
    trouble
}

/// Whether a shutdown is the one at the end of a run, not that of a signal.
fn is_final(recording: &Recording, call: usize) -> bool {
    innermost(recording, recording.calls[call].begin).is_some_and(|step| step.operation == "Run")
}

/// The step within which something lies that lies in no step inside it.
fn innermost(recording: &Recording, order: f64) -> Option<&Step> {
    recording
        .steps
        .iter()
        .filter(|step| (step.begin..step.end).contains(&order))
        .max_by(|one, other| one.begin.total_cmp(&other.begin))
}

/// What is to be ended and is not there any more has ended: no failure, no warning, and nothing more to do.
pub(super) fn gone_is_ended(recording: &mut Recording) -> bool {
    let gone = |call: &Call| hoist_hcs::Hresult(call.hresult()).is_gone();
    let mut any = false;
    // After a shutdown that finds nothing to end, nothing is ended by force.
    let found_nothing: Vec<(Value, f64)> = recording
        .calls
        .iter()
        .filter(|call| call.function == "HcsShutdownComputeSystem" && gone(call))
        .map(|call| (call.arguments["computeSystem"].clone(), call.end))
        .collect();
    for (system, after) in found_nothing {
        recording.calls.retain(|call| {
            let needless = call.function == "HcsTerminateComputeSystem"
                && call.arguments["computeSystem"] == system
                && call.begin > after;
            any |= needless;
            !needless
        });
    }
    let warnings = recording.warnings.len();
    recording.warnings.retain(|words| {
        let code = words
            .split_once("{message:0x")
            .and_then(|(_, rest)| u32::from_str_radix(&rest[..8], 16).ok())
            .map(hoist_hcs::Hresult);
        let ending = words.starts_with("Ignoring error from");
        !(ending && code.is_some_and(|code| code.is_gone() || code.is_shutdown_in_progress()))
    });
    any |= recording.warnings.len() != warnings;
    any |= each_step(
        recording,
        |recording, step| {
            let calls = recording.calls_in(step);
            step.operation == "SignalProcess"
                && step.error != Failure::None
                && calls.iter().any(|call| gone(&recording.calls[*call]))
        },
        |recording, place| recording.steps[place].error = Failure::None,
    );
    any
}

/// An exit code that the service does not tell is unknown, not 0.
pub(super) fn lost_exit_code(recording: &mut Recording) -> bool {
    let mut any = false;
    let asked: Vec<Call> = recording
        .calls
        .iter()
        .filter(|call| call.function == "HcsGetProcessProperties")
        .cloned()
        .collect();
    for call in asked {
        let told = call
            .returned
            .get("processProperties_text")
            .and_then(Value::as_str)
            .and_then(|text| hoist_hcs::documents::process::ProcessStatus::read(text).ok())
            .is_some_and(|status| status.code().is_ok());
        if told && !call.failed() {
            continue;
        }
        let event = recording
            .events
            .iter_mut()
            .find(|event| event.order > call.end && event.state != "start-container");
        if let Some(event) = event {
            any = true;
            event.exit = Some(Exit::Unknown);
        }
    }
    any
}

/// A servicing run that ends with another code than 0 has failed.
pub(super) fn servicing_failure(recording: &mut Recording) -> bool {
    let failed = |recording: &Recording, step: &Step| {
        recording.calls_in(step).into_iter().any(|call| {
            let answer = recording.calls[call].returned.get("processProperties");
            answer.is_some_and(|answer| answer["Exited"] != true || answer["ExitCode"] != 0)
        })
    };
    each_step(
        recording,
        |recording, step| {
            let servicing = list(&step.input["options"]).any(|option| option["servicing"] == true);
            step.operation == "Create"
                && servicing
                && step.error == Failure::None
                && failed(recording, step)
        },
        |recording, place| {
            recording.steps[place].error = Failure::Some;
            recording
                .warnings
                .retain(|words| !words.contains("returned non-zero exit code"));
        },
    )
}
