//! The options of `run`, each looked at from inside the container.

#[cfg(target_os = "linux")]
#[path = "run/mod.rs"]
mod run;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), run::CASES)
}
