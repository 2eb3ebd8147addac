//! The contract's behaviours on the Host Compute Service, as in `conformance`, with streams that are carried by named pipes.

use std::process::ExitCode;

#[cfg(not(windows))]
fn main() -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(windows)]
fn main() -> ExitCode {
    use hoist_testing::windows::Backend;
    windows_backend::main(Backend {
        make: windows_backend::make_with_named_pipes,
        lacks,
        ..windows_backend::BACKEND
    })
}

#[cfg(windows)]
fn lacks(ability: hoist_compute::conformance::Ability) -> Option<String> {
    match ability {
        // What works of it is in `dll/pipes.rs`.
        hoist_compute::conformance::Ability::Reset => {
            Some("a run's pipes have the names of the run before, whose output is read to its end and let go of first".to_owned())
        }
        other => (windows_backend::BACKEND.lacks)(other),
    }
}

#[cfg(windows)]
#[path = "windows_backend/mod.rs"]
mod windows_backend;
