#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod attaching;
mod damaged;
mod debug;
mod execs;
mod hoist;
mod logs;
mod restarts;
mod stopping;
mod stuck;
mod supervisor;

use std::process::ExitCode;

use hoist_testing::{Suite, probe};

pub(crate) fn main() -> ExitCode {
    probe::main_if_asked();
    let suite = Suite::new();
    let suite = supervisor::add(suite);
    let suite = logs::add(suite);
    let suite = attaching::add(suite);
    let suite = execs::add(suite);
    let suite = debug::add(suite);
    let suite = stopping::add(suite);
    let suite = damaged::add(suite);
    restarts::add(suite).run()
}
