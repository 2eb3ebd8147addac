//! Where Hoist deliberately does otherwise than the originals.
//!
//! Each rule has a name, under which `docs/windows.md` gives its reason, and a condition that is looked for in the recording:
//! never the name of a scenario. It changes what is expected; everything that it does not touch must be equal.

mod ends;
mod handles;
mod operations;
mod parameters;
mod requests;

use crate::recording::{Call, Recording, Step};

type Rule = (&'static str, fn(&mut Recording) -> bool);

/// In the order in which they are applied.
const RULES: &[Rule] = &[
    ("option-values-are-checked", requests::option_values),
    ("signal-ends-a-due-restart", operations::signal_ends_restart),
    (
        "refused-before-the-first-call",
        requests::refused_before_the_first_call,
    ),
    (
        "no-exit-code-beside-an-error",
        requests::no_exit_code_beside_an_error,
    ),
    (
        "unknown-container-is-refused",
        operations::unknown_container_is_refused,
    ),
    (
        "ended-process-is-forgotten",
        operations::ended_process_is_forgotten,
    ),
    (
        "environment-splits-at-the-first-equals-sign",
        parameters::environment,
    ),
    ("arguments-are-quoted", parameters::arguments_are_quoted),
    (
        "exec-has-its-own-console-size",
        parameters::exec_console_size,
    ),
    ("exec-hook-gets-its-own-process", parameters::exec_hook),
    ("failed-start-is-cleaned-up", ends::failed_start),
    ("failed-wait-is-no-exit-code", ends::failed_wait),
    ("failed-shutdown-becomes-terminate", ends::failed_shutdown),
    (
        "trouble-behind-the-scenes-is-a-warning",
        ends::trouble_behind_the_scenes,
    ),
    (
        "signals-report-failures",
        operations::signals_report_failures,
    ),
    ("gone-is-ended", ends::gone_is_ended),
    ("lost-exit-code-is-unknown", ends::lost_exit_code),
    ("servicing-failure-is-an-error", ends::servicing_failure),
    ("failed-attach-ends-the-process", handles::failed_attach),
    ("what-cannot-be-heard-is-ended", handles::unheard),
    ("handles-are-closed", handles::handles_are_closed),
    ("size-out-of-range-is-refused", requests::size_out_of_range),
    ("restore-asks-the-service", operations::restore),
    ("not-implemented-there", operations::not_implemented_there),
];

/// Applies every rule whose condition holds; their names.
pub(crate) fn apply(recording: &mut Recording) -> Vec<&'static str> {
    RULES
        .iter()
        .filter(|(_, rule)| rule(recording))
        .map(|(name, _)| *name)
        .collect()
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

/// Removes the calls that a step has made.
fn remove_calls(recording: &mut Recording, step: &Step) {
    let range = step.begin..step.end;
    recording.calls.retain(|call| !range.contains(&call.begin));
}

/// A failure other than that there is nothing left to end.
fn is_trouble(call: &Call) -> bool {
    let hresult = hoist_hcs::Hresult(call.hresult());
    call.failed() && !hresult.is_gone() && !hresult.is_shutdown_in_progress()
}
