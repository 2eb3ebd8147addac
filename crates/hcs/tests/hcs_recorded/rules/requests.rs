//! What is refused, and what is told instead.

use serde_json::Value;

use super::{each_step, remove_calls};
use crate::recording::{Exit, Failure, Recording, Step, list};

/// A value that an option cannot have is refused, not passed over.
pub(super) fn option_values(recording: &mut Recording) -> bool {
    let mut settings = hoist_hcs::Settings::hoist();
    let options: Vec<String> = list(&recording.input["driver_options"])
        .filter_map(|option| option.as_str().map(str::to_owned))
        .collect();
    let taken = hoist_hcs::driver::parse_options(&mut settings, options.iter().map(String::as_str));
    let refused_there = recording
        .steps
        .iter()
        .any(|step| step.operation == "NewDriver" && step.error != Failure::None);
    if taken.is_ok() || refused_there {
        return false;
    }
    let Some(first) = recording.steps.first().cloned() else {
        return false;
    };
    recording.steps = vec![Step {
        operation: "NewDriver".to_owned(),
        begin: 0.0,
        end: 0.0,
        error: Failure::Some,
        hook: None,
        ..first
    }];
    recording.calls.clear();
    recording.warnings.clear();
    true
}

/// A request that Windows cannot carry out is refused before the service is called, by whatever call it would have been
/// noticed.
pub(super) fn refused_before_the_first_call(recording: &mut Recording) -> bool {
    each_step(
        recording,
        |recording, step| match step.operation.as_str() {
            "Run" => {
                let command = &recording.input["command"];
                let process = &command["process_config"];
                // An error without a call that has failed: the driver itself has refused.
                let itself = step.error != Failure::None
                    && recording
                        .calls_in(step)
                        .iter()
                        .all(|call| !recording.calls[*call].failed());
                itself
                    || process["entrypoint"] == ""
                    || command["readonly_rootfs"] == true
                    || given(&process["user"])
                    || !is_mac(
                        command["network"]["interface"]["mac"]
                            .as_str()
                            .unwrap_or_default(),
                    )
            }
            "Create" => {
                let process = &step.input["spec"]["process"];
                process["args"][0].as_str().unwrap_or_default().is_empty()
                    || step.input["spec"]["root"]["readonly"] == true
                    || given(&process["user"]["user"])
            }
            _ => false,
        },
        |recording, place| {
            let step = recording.steps[place].clone();
            remove_calls(recording, &step);
            let range = step.begin..step.end;
            recording
                .notifications
                .retain(|note| !range.contains(&note.order));
            recording.warnings.clear();
            let step = &mut recording.steps[place];
            step.error = Failure::Some;
            step.exit = step.exit.map(|_| Exit::None);
            step.hook = None;
            step.pid = step.pid.map(|_| 0);
            step.terminal = step.terminal.as_ref().map(|_| "none".to_owned());
            for stream in [&mut step.stdout, &mut step.stderr].into_iter().flatten() {
                stream.clear();
            }
        },
    )
}

fn given(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn is_mac(text: &str) -> bool {
    let six = |separator| {
        let groups: Vec<&str> = text.split(separator).collect();
        groups.len() == 6
            && groups
                .iter()
                .all(|group| group.len() == 2 && group.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    text.is_empty() || six(':') || six('-')
}

/// An error is returned instead of an exit status, not beside the made-up one of -1.
pub(super) fn no_exit_code_beside_an_error(recording: &mut Recording) -> bool {
    each_step(
        recording,
        |_, step| step.error != Failure::None && step.exit == Some(Exit::Code(-1)),
        |recording, place| recording.steps[place].exit = Some(Exit::None),
    )
}

/// A console size that does not fit is refused, not cut down to 16 bits.
pub(super) fn size_out_of_range(recording: &mut Recording) -> bool {
    let too_large = |value: &Value| value.as_u64().is_none_or(|side| side > 0xFFFF);
    each_step(
        recording,
        |_, step| {
            step.operation == "Resize"
                && ["height", "width"]
                    .iter()
                    .any(|side| step.input.get(side).is_some_and(too_large))
        },
        |recording, place| {
            let step = recording.steps[place].clone();
            remove_calls(recording, &step);
            recording.steps[place].error = Failure::Some;
        },
    )
}
