//! Faults at every single step of a start, and the owner's death at each: what the error says, and that nothing is left.

#[cfg(target_os = "linux")]
#[path = "faults/mod.rs"]
mod faults;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    faults::main()
}
