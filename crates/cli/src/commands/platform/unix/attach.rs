//! `hoist attach`.

use hoist::Engine;
use hoist::foreground::CallerSignals;

use super::supervised::{Manner, Target, only_keys, stay};
use crate::args::Attach;
use crate::commands::terminal::refuse_input_that_is_no_terminal;
use crate::failure::Failure;

/// Attaches to a container until it has ended; the result is its exit code.
pub(crate) fn run(attach: &Attach, engine: &Engine) -> Result<u8, Failure> {
    let keys = only_keys(attach.detach_keys.as_deref())?;
    let mut signals = CallerSignals::new()?;
    let id = engine.resolve(&attach.container)?;
    let options = engine.supervise_options(&id)?.unwrap_or_default();
    let input = options.interactive && !attach.no_stdin;
    let attachment = engine.attach(&id, input)?;
    if input && attachment.has_console() {
        refuse_input_that_is_no_terminal()?;
    }
    let manner = Manner {
        input,
        signals: !attach.no_signals,
        keys,
        is_foreground: false,
    };
    stay(
        engine,
        Target::Container(&id),
        attachment,
        &mut signals,
        manner,
    )
}
