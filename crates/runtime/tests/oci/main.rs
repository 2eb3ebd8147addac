//! The OCI runtime's command line, driven as engines drive it.
//!
//! `HOIST_TEST_RUNTIME=/usr/bin/runc` runs the tests on another runtime, to prove them.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

mod agent;
mod apparmor;
mod checkpoint;
mod checkpoint_flags;
mod descriptors;
mod failures;
mod fields;
mod hooks;
mod identity;
mod kit;
mod lean;
mod lifecycle;
mod notify;
mod output;
mod paths;
mod races;
mod reference_policy;
mod refusals;
mod root_fields;
mod schema;
mod seccomp_agent;
mod selinux;
mod systemd;
mod untouched;

fn main() -> std::process::ExitCode {
    notify::main_if_asked();
    hoist_testing::probe::main_if_asked();
    // One at a time: each counts what it leaves behind, descriptors of this process included.
    let suite = hoist_testing::Suite::new().serial();
    let suite = lifecycle::add(suite);
    let suite = notify::add(suite);
    let suite = output::add(suite);
    let suite = refusals::add(suite);
    let suite = hooks::add(suite);
    let suite = fields::add(suite);
    let suite = root_fields::add(suite);
    let suite = schema::add(suite);
    let suite = seccomp_agent::add(suite);
    let suite = systemd::add(suite);
    let suite = apparmor::add(suite);
    let suite = selinux::add(suite);
    let suite = reference_policy::add(suite);
    let suite = checkpoint::add(suite);
    let suite = checkpoint_flags::add(suite);
    let suite = paths::add(suite);
    let suite = untouched::add(suite);
    let suite = races::add(suite);
    let suite = descriptors::add(suite);
    let suite = identity::add(suite);
    let suite = failures::add(suite);
    lean::add(suite).run()
}
