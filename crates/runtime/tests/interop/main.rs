//! Real engines, with `hoist-oci` as their runtime, beyond the shared smoke suites. Each engine is started here, with folders and a
//! network of its own, and only that is stopped again.
//!
//! `HOIST_TEST_RUNTIME=/usr/sbin/runc` runs the same steps on another runtime, to prove them.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

mod checkpoints;
mod containerd;
mod cycles;
mod docker;
mod kit;
mod podman;

fn main() -> std::process::ExitCode {
    // One at a time: each has a daemon.
    let suite = hoist_testing::Suite::new().serial();
    let suite = docker::add(suite);
    let suite = podman::add(suite);
    let suite = containerd::add(suite);
    let suite = checkpoints::add(suite);
    cycles::add(suite).run()
}
