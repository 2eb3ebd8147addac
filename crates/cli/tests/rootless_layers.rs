//! An ordinary user's layers where the kernel's overlayfs is not for that user: each fallback is forced, by a kernel that calls
//! itself an old one (personality(2), `UNAME26`) and by what is on `PATH`.

#[cfg(target_os = "linux")]
#[path = "rootless_layers/mod.rs"]
mod rootless_layers;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), rootless_layers::CASES)
}
