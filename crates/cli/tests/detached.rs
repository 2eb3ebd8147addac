//! Containers in the background: their supervisor, their log, who is attached to them, and their restarts.

#[cfg(target_os = "linux")]
#[path = "detached/mod.rs"]
mod detached;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    detached::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
