//! `hoist kill`.

use hoist::Engine;
use hoist_spec::{ContainerId, Fault, Faults, Signal};

use crate::args::Kill;
use crate::failure::Failure;

/// Reads the options; the result signals one container.
pub(crate) fn act(
    kill: &Kill,
) -> Result<impl Fn(&Engine, &ContainerId, &str) -> Result<String, Failure>, Failure> {
    let signal = signal(&kill.signal)?;
    Ok(move |engine: &Engine, id: &ContainerId, reference: &str| {
        engine.signal(id, signal)?;
        Ok(reference.to_owned())
    })
}

/// Reads a signal.
pub(crate) fn signal(text: &str) -> Result<Signal, Faults> {
    text.parse().map_err(|_| {
        let mut faults = Faults::default();
        let reason = "is no signal: use a name such as TERM, or a number from 1 to 64";
        faults.push(Fault::of_value("--signal", text, reason));
        faults
    })
}
