//! `hoist prune`.

use std::io::{self, Write};

use hoist::Engine;

use super::each_told;
use crate::args::Prune;
use crate::failure::{Failure, warn_of_all};
use crate::output;

/// Removes all containers that have ended, and prints their ids.
pub(crate) fn run(prune: &Prune, engine: &Engine, json: bool) -> Result<u8, Failure> {
    if !prune.force && !agreed("Remove all containers that have ended?")? {
        return Ok(1);
    }
    let pruned = engine.prune()?;
    warn_of_all(pruned.unreadable);
    for id in &pruned.removed {
        output::print(&format!("{id}\n"))?;
    }
    each_told(pruned.failures, json, |error| Err(error.into()))
}

/// Asks whoever writes to standard input; who does not answer does not agree.
pub(super) fn agreed(question: &str) -> Result<bool, Failure> {
    let mut errors = io::stderr().lock();
    let asked = write!(errors, "{question} [y/N] ");
    let mut answer = String::new();
    asked
        .and_then(|()| errors.flush())
        .and_then(|()| io::stdin().read_line(&mut answer))
        .map_err(|error| Failure::message(format!("ask: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
