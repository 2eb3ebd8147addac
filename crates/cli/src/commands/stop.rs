//! `hoist stop`.

use std::time::Duration;

use hoist::{Engine, StopRequest};
use hoist_spec::{ContainerId, Fault, Faults, Signal};

use crate::args::Stop;
use crate::failure::Failure;

/// Reads the options; the result stops one container.
pub(crate) fn act(
    stop: &Stop,
) -> Result<impl Fn(&Engine, &ContainerId, &str) -> Result<String, Failure>, Failure> {
    let request = request(stop)?;
    Ok(move |engine: &Engine, id: &ContainerId, reference: &str| {
        let outcome = engine.stop(id, request)?;
        for failure in outcome.failures {
            Failure::from(failure).warn();
        }
        Ok(reference.to_owned())
    })
}

/// How a container is to be stopped.
pub(crate) fn request(stop: &Stop) -> Result<StopRequest, Faults> {
    let mut faults = Faults::default();
    let signal = stop
        .signal
        .as_deref()
        .and_then(|text| match text.parse::<Signal>() {
            Ok(signal) => Some(signal),
            Err(_) => {
                faults.push(Fault::of_value(
                    "--signal",
                    text,
                    "is no signal: use a name such as TERM, or a number from 1 to 64",
                ));
                None
            }
        });
    let grace = stop
        .timeout
        .as_deref()
        .and_then(|text| match text.parse::<i64>() {
            Ok(-1) => Some(Duration::MAX),
            Ok(seconds) if seconds >= 0 => Some(Duration::from_secs(seconds.unsigned_abs())),
            _ => {
                faults.push(Fault::of_value(
                    "--timeout",
                    text,
                    "is no number of seconds: use 0 or more, or -1 for ever",
                ));
                None
            }
        });
    faults.into_result(StopRequest { signal, grace })
}
