//! The contract's behaviours on the Host Compute Service: over the double of `vmcompute.dll` that `HOIST_TEST_HCS_DOUBLE` names, which
//! is a service of its own process here; or on Windows, with `HOIST_TEST_REAL_HCS=1`, over the real one. There are cases on Windows alone, and
//! under Wine.

use std::process::ExitCode;

#[cfg(not(windows))]
fn main() -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(windows)]
fn main() -> ExitCode {
    windows_backend::main(windows_backend::BACKEND)
}

#[cfg(windows)]
#[path = "windows_backend/mod.rs"]
mod windows_backend;
