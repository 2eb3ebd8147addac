//! What is ended and closed so that nothing is left open or unheard.

use serde_json::{Value, json};

use super::each_step;
use crate::recording::{Call, Notified, Recording};

/// A process whose streams nobody takes is ended, and where it is the first one the container with it.
pub(super) fn failed_attach(recording: &mut Recording) -> bool {
    each_step(
        recording,
        |_, step| {
            matches!(step.operation.as_str(), "Create" | "AddProcess")
                && step.input["stdio"].get("attach_error").is_some()
        },
        |recording, place| {
            let step = recording.steps[place].clone();
            let made = recording
                .calls_in(&step)
                .into_iter()
                .map(|call| recording.calls[call].clone())
                .find(|call| call.function == "HcsCreateProcess");
            let Some(made) = made else { return };
            let process = made.returned["process"].clone();
            let callback = recording
                .calls
                .iter()
                .find(|call| {
                    call.function == "HcsRegisterProcessCallback"
                        && call.arguments["process"] == process
                })
                .and_then(|call| call.returned.get("callbackHandle").cloned());
            let Some(callback) = callback else { return };
            let whole = step.operation == "Create";
            let system = made.arguments["computeSystem"].clone();
            let attached = step.end - 0.9;
            let of = |call: &Call| {
                call.arguments.get("process") == Some(&process)
                    || call.arguments.get("callbackHandle") == Some(&callback)
                    || (whole && call.arguments.get("computeSystem") == Some(&system))
                    || (whole && call.function == "HcsUnregisterComputeSystemCallback")
            };
            recording
                .calls
                .retain(|call| call.begin < attached || !of(call));
            recording.notifications.retain(|note| {
                note.order < attached
                    || !(process == note.of.as_str() || (whole && system == note.of.as_str()))
            });
            let name = step.input["process_name"]
                .as_str()
                .unwrap_or("init")
                .to_owned();
            recording
                .events
                .retain(|event| event.order < attached || event.process != name);
            let at = step.end - 0.8;
            let note = |callback: &Value, of: &Value, kind: &str, order| Notified {
                callback: callback.as_str().unwrap().to_owned(),
                of: of.as_str().unwrap().to_owned(),
                kind: kind.to_owned(),
                status: 0,
                order,
            };
            let close = [
                Call::new(
                    "HcsUnregisterProcessCallback",
                    json!({ "callbackHandle": callback }),
                    at + 0.2,
                ),
                Call::new("HcsCloseProcess", json!({ "process": process }), at + 0.25),
            ];
            if whole {
                let registered = system_callback(recording, &system).unwrap();
                recording.calls.push(
                    Call::new(
                        "HcsTerminateComputeSystem",
                        json!({"computeSystem": system, "options": null}),
                        at,
                    )
                    .returning("0xC0370103"),
                );
                recording
                    .notifications
                    .push(note(&registered, &system, "SystemExited", at + 0.1));
            } else {
                recording.calls.push(Call::new(
                    "HcsTerminateProcess",
                    json!({ "process": process }),
                    at,
                ));
                recording
                    .notifications
                    .push(note(&callback, &process, "ProcessExited", at + 0.1));
                let mut read = Call::new(
                    "HcsGetProcessProperties",
                    json!({ "process": process }),
                    at + 0.15,
                );
                let text = r#"{"Exited":true,"ExitCode":1067}"#;
                read.returned
                    .insert("processProperties_text".to_owned(), text.into());
                recording.calls.push(read);
            }
            recording.calls.extend(close);
        },
    )
}

fn system_callback(recording: &Recording, system: &Value) -> Option<Value> {
    let call = recording.calls.iter().find(|call| {
        call.function == "HcsRegisterComputeSystemCallback"
            && call.arguments["computeSystem"] == *system
    })?;
    call.returned.get("callbackHandle").cloned()
}

/// A system or process whose callback cannot be registered is ended: nothing would be heard of it.
pub(super) fn unheard(recording: &mut Recording) -> bool {
    let mut inserted = Vec::new();
    for call in recording.calls.iter().filter(|call| call.failed()) {
        match call.function.as_str() {
            "HcsRegisterComputeSystemCallback" => inserted.push(Call::new(
                "HcsTerminateComputeSystem",
                json!({"computeSystem": call.arguments["computeSystem"], "options": null}),
                call.end + 0.01,
            )),
            "HcsRegisterProcessCallback" => {
                let process = json!({ "process": call.arguments["process"] });
                inserted.push(Call::new(
                    "HcsTerminateProcess",
                    process.clone(),
                    call.end + 0.01,
                ));
                inserted.push(Call::new("HcsCloseProcess", process, call.end + 0.02));
            }
            _ => {}
        }
    }
    let any = !inserted.is_empty();
    recording.calls.extend(inserted);
    any
}

/// Every handle of a system that has ended is closed, after the last that was done with it.
pub(super) fn handles_are_closed(recording: &mut Recording) -> bool {
    let systems: Vec<Value> = recording
        .calls
        .iter()
        .filter(|call| call.function == "HcsCreateComputeSystem" && !call.failed())
        .map(|call| call.returned["computeSystem"].clone())
        .collect();
    let mut any = false;
    for system in systems {
        let of = |call: &Call| call.arguments.get("computeSystem") == Some(&system);
        let closed = recording
            .calls
            .iter()
            .any(|call| call.function == "HcsCloseComputeSystem" && of(call));
        if closed {
            continue;
        }
        any = true;
        let registered = system_callback(recording, &system);
        let calls = recording
            .calls
            .iter()
            .filter(|call| of(call))
            .map(|call| call.end);
        let notes = recording
            .notifications
            .iter()
            .filter(|note| system == note.of.as_str())
            .map(|note| note.order);
        // A process of it that is let go of last is let go of before it.
        let processes: Vec<Value> = recording
            .calls
            .iter()
            .filter(|call| call.function == "HcsCreateProcess" && of(call))
            .filter_map(|call| call.returned.get("process").cloned())
            .collect();
        let process_calls = recording
            .calls
            .iter()
            .filter(|call| {
                call.arguments
                    .get("process")
                    .is_some_and(|process| processes.contains(process))
            })
            .map(|call| call.end);
        let last = calls.chain(notes).chain(process_calls).fold(0.0, f64::max);
        if let Some(callback) = registered {
            recording.calls.push(Call::new(
                "HcsUnregisterComputeSystemCallback",
                json!({ "callbackHandle": callback }),
                last + 0.01,
            ));
        }
        recording.calls.push(Call::new(
            "HcsCloseComputeSystem",
            json!({ "computeSystem": system }),
            last + 0.02,
        ));
    }
    any
}
