//! Where Hoist deliberately does otherwise than the originals.
//!
//! Each rule has a name, under which `docs/windows.md` gives its reason, and a condition that is looked for in the recording:
//! never the name of a scenario. It changes what is expected; everything that it does not touch must be equal.

use serde_json::{Value, json};

use crate::{
    pieces, probe,
    recording::{Call, Exit, Failure, Notified, Recording, Step, canonical, list},
};

type Rule = (&'static str, fn(&mut Recording) -> bool);

/// In the order in which they are applied.
const RULES: &[Rule] = &[
    ("option-values-are-checked", option_values),
    ("signal-ends-a-due-restart", signal_ends_restart),
    (
        "refused-before-the-first-call",
        refused_before_the_first_call,
    ),
    ("no-exit-code-beside-an-error", no_exit_code_beside_an_error),
    ("unknown-container-is-refused", unknown_container_is_refused),
    ("ended-process-is-forgotten", ended_process_is_forgotten),
    ("environment-splits-at-the-first-equals-sign", environment),
    ("arguments-are-quoted", arguments_are_quoted),
    ("exec-has-its-own-console-size", exec_console_size),
    ("exec-hook-gets-its-own-process", exec_hook),
    ("failed-start-is-cleaned-up", failed_start),
    ("failed-wait-is-no-exit-code", failed_wait),
    ("failed-shutdown-becomes-terminate", failed_shutdown),
    (
        "trouble-behind-the-scenes-is-a-warning",
        trouble_behind_the_scenes,
    ),
    ("signals-report-failures", signals_report_failures),
    ("gone-is-ended", gone_is_ended),
    ("lost-exit-code-is-unknown", lost_exit_code),
    ("servicing-failure-is-an-error", servicing_failure),
    ("failed-attach-ends-the-process", failed_attach),
    ("what-cannot-be-heard-is-ended", unheard),
    ("handles-are-closed", handles_are_closed),
    ("size-out-of-range-is-refused", size_out_of_range),
    ("restore-asks-the-service", restore),
    ("not-implemented-there", not_implemented_there),
];

/// Applies every rule whose condition holds; their names.
pub(crate) fn apply(recording: &mut Recording) -> Vec<&'static str> {
    RULES
        .iter()
        .filter(|(_, rule)| rule(recording))
        .map(|(name, _)| *name)
        .collect()
}

/// A value that an option cannot have is refused, not passed over.
fn option_values(recording: &mut Recording) -> bool {
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

/// A container that is signalled while its restart is due has ended for good.
fn signal_ends_restart(recording: &mut Recording) -> bool {
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

/// Removes the calls that a step has made.
fn remove_calls(recording: &mut Recording, step: &Step) {
    let range = step.begin..step.end;
    recording.calls.retain(|call| !range.contains(&call.begin));
}

/// Does something with each step for which `condition` holds.
fn each_step(
    recording: &mut Recording,
    condition: impl Fn(&Recording, &Step) -> bool,
    act: impl Fn(&mut Recording, usize),
) -> bool {
    let mut any = false;
    for place in 0..recording.steps.len() {
        if condition(recording, &recording.steps[place]) {
            any = true;
            act(recording, place);
        }
    }
    any
}

/// A request that Windows cannot carry out is refused before the service is called, by whatever call it would have been
/// noticed.
fn refused_before_the_first_call(recording: &mut Recording) -> bool {
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
fn no_exit_code_beside_an_error(recording: &mut Recording) -> bool {
    each_step(
        recording,
        |_, step| step.error != Failure::None && step.exit == Some(Exit::Code(-1)),
        |recording, place| recording.steps[place].exit = Some(Exit::None),
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

/// What names a container that does not run is refused without a call: one that has ended is not listed any more.
fn unknown_container_is_refused(recording: &mut Recording) -> bool {
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

/// The further processes that have ended when a step begins, with their ids.
fn ended_processes(recording: &Recording, step: &Step) -> Vec<(String, u64)> {
    recording
        .events
        .iter()
        .filter(|event| event.state == "exit-process" && event.order < step.begin)
        .map(|event| (event.process.clone(), event.pid))
        .collect()
}

/// A further process that has ended is not listed any more, and nothing is done to it.
fn ended_process_is_forgotten(recording: &mut Recording) -> bool {
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

/// `A=b=c` is `A` with the value `b=c`.
fn environment(recording: &mut Recording) -> bool {
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
fn arguments_are_quoted(recording: &mut Recording) -> bool {
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
fn exec_console_size(recording: &mut Recording) -> bool {
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
fn exec_hook(recording: &mut Recording) -> bool {
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

/// A system whose start failed is ended.
fn failed_start(recording: &mut Recording) -> bool {
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
fn failed_wait(recording: &mut Recording) -> bool {
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
fn failed_shutdown(recording: &mut Recording) -> bool {
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

/// A failure other than that there is nothing left to end.
fn is_trouble(call: &Call) -> bool {
    let hresult = hoist_hcs::Hresult(call.hresult());
    call.failed() && !hresult.is_gone() && !hresult.is_shutdown_in_progress()
}

/// What fails and no caller is told of is a warning: a clean-up, a shutdown, a new start.
fn trouble_behind_the_scenes(recording: &mut Recording) -> bool {
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

/// The step within which something lies that lies in no step inside it.
fn innermost(recording: &Recording, order: f64) -> Option<&Step> {
    recording
        .steps
        .iter()
        .filter(|step| (step.begin..step.end).contains(&order))
        .max_by(|one, other| one.begin.total_cmp(&other.begin))
}

/// Whether a shutdown is the one at the end of a run, not that of a signal.
fn is_final(recording: &Recording, call: usize) -> bool {
    innermost(recording, recording.calls[call].begin).is_some_and(|step| step.operation == "Run")
}

/// A signal that could not be carried out is an error.
fn signals_report_failures(recording: &mut Recording) -> bool {
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

/// What is to be ended and is not there any more has ended: no failure, no warning, and nothing more to do.
fn gone_is_ended(recording: &mut Recording) -> bool {
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
fn lost_exit_code(recording: &mut Recording) -> bool {
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
fn servicing_failure(recording: &mut Recording) -> bool {
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

/// A process whose streams nobody takes is ended, and where it is the first one the container with it.
fn failed_attach(recording: &mut Recording) -> bool {
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
fn unheard(recording: &mut Recording) -> bool {
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
fn handles_are_closed(recording: &mut Recording) -> bool {
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

/// A console size that does not fit is refused, not cut down to 16 bits.
fn size_out_of_range(recording: &mut Recording) -> bool {
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

/// A container that is to be restored is looked for; with what it ended is not known.
fn restore(recording: &mut Recording) -> bool {
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
fn not_implemented_there(recording: &mut Recording) -> bool {
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
