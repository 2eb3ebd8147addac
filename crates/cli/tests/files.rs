//! `cp`, `diff` and `export`: what they do with the files of containers, and never do with this machine's.

#[cfg(target_os = "linux")]
#[path = "files/mod.rs"]
mod files;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), files::CASES)
}
