//! `--stdio`: how the streams of a command are carried.

use hoist_compute::StreamTransport;
use hoist_spec::{Fault, Faults};

use super::platform::HAS_NAMED_PIPES;
use crate::args::Action;

const OPTION: &str = "--stdio";

/// Reads the option.
pub(crate) fn read(action: &Action) -> Result<StreamTransport, Faults> {
    let Some(text) = action.stdio() else {
        return Ok(StreamTransport::default());
    };
    let mut faults = Faults::default();
    if matches!(action, Action::Plan(_)) {
        faults.push(Fault::new(OPTION, "is of a start, and changes no plan"));
    }
    let transport = match text {
        "direct" => StreamTransport::Direct,
        "named-pipes" if HAS_NAMED_PIPES => StreamTransport::NamedPipes,
        "named-pipes" => {
            faults.push(Fault::of_value(
                OPTION,
                text,
                "is there on Windows alone: leave it out",
            ));
            StreamTransport::Direct
        }
        other => {
            faults.push(Fault::of_value(
                OPTION,
                other,
                "is no way to carry streams: direct or named-pipes",
            ));
            StreamTransport::Direct
        }
    };
    faults.into_result(transport)
}
