//! `hoist-oci`: the OCI runtime command line over Hoist's Linux backend, for whoever calls runc.
//!
//! The main path: `commands::dispatch` reads the command line, `commands::create` makes a container and leaves its process
//! waiting, `commands::start` has it execute its program. What a container is and how it is made is
//! [`hoist_linux`]'s; here are flags, output formats, exit codes and words.

#[cfg(target_os = "linux")]
mod args;
#[cfg(target_os = "linux")]
mod bundle;
#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod console;
#[cfg(target_os = "linux")]
mod failure;
#[cfg(target_os = "linux")]
mod global;
#[cfg(target_os = "linux")]
mod help;
#[cfg(target_os = "linux")]
mod log;
#[cfg(target_os = "linux")]
mod notify;
#[cfg(target_os = "linux")]
mod pid_file;
#[cfg(target_os = "linux")]
mod process;

#[cfg(all(target_os = "linux", feature = "fuzzing"))]
pub mod fuzzing;

/// The program; the result is its exit code.
#[cfg(target_os = "linux")]
pub fn main() -> u8 {
    if let Some(code) = hoist_linux::runtime::main_if_called_by_criu() {
        return code;
    }
    hoist_linux::prefault();
    commands::dispatch(std::env::args_os().skip(1))
}

/// The program; the result is its exit code.
#[cfg(not(target_os = "linux"))]
pub fn main() -> u8 {
    eprintln!("hoist-oci is for Linux: on this system use hoist");
    1
}
