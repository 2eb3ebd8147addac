//! The contract's behaviours on the Linux backend.

use std::process::ExitCode;
use std::sync::Arc;

use hoist_compute::conformance::Ability;
use hoist_linux::LinuxService;
use hoist_testing::{Need, conformance};

fn main() -> ExitCode {
    conformance::main(
        |folder| Ok(Arc::new(LinuxService::new(folder)?)),
        &[Need::Namespaces],
        lacks,
    )
}

/// An ordinary user makes no cgroups and has a single id.
fn lacks(ability: Ability) -> Option<String> {
    let missing = Need::Root.missing();
    match ability {
        Ability::Pause
        | Ability::Limits
        | Ability::ProcessLimits
        | Ability::Trees
        | Ability::OwnRoot
        | Ability::Users => missing,
        Ability::Console
        | Ability::ConsoleSizes
        | Ability::ConsoleBytes
        | Ability::Signals
        | Ability::Isolation
        | Ability::Reset
        | Ability::Files
        | Ability::Modes
        | Ability::Descriptors
        | Ability::GivenDescriptors
        | Ability::Execs => None,
    }
}
