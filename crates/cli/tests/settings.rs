//! The options of `run` beside the main ones, and the commands that change containers that run: each effect is looked at from
//! inside the container.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    settings::main()
}

#[cfg(target_os = "linux")]
#[path = "detached/hoist.rs"]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "this is test code"
)]
mod hoist;

#[cfg(target_os = "linux")]
#[path = "settings/mod.rs"]
mod settings;
