//! The commands that look at containers or end them, and those that need none.

#[cfg(target_os = "linux")]
#[path = "commands/mod.rs"]
mod commands;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), commands::CASES)
}
