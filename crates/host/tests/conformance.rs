//! The contract's behaviours on plain processes of this machine.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    unix::main()
}

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    hoist_testing::windows::main(windows_backend::BACKEND)
}

#[cfg(not(any(target_os = "linux", windows)))]
fn main() {}

#[cfg(windows)]
#[path = "windows_backend/mod.rs"]
mod windows_backend;

#[cfg(target_os = "linux")]
mod unix {
    use std::{process::ExitCode, sync::Arc};

    use hoist_compute::conformance::Ability;
    use hoist_host::{HostOptions, HostService};
    use hoist_testing::{Need, conformance};

    pub(super) fn main() -> ExitCode {
        conformance::main_without_isolation(
            |folder| {
                // Names are looked up in the tests' own files, which stand beside the records.
                let accounts = folder.with_file_name("root").join("etc");
                let options = HostOptions {
                    accounts,
                    ..HostOptions::default()
                };
                Ok(Arc::new(HostService::with_options(folder, options)))
            },
            lacks,
        )
    }

    fn lacks(ability: Ability) -> Option<String> {
        let reason = match ability {
            Ability::Users => return Need::Root.missing(),
            Ability::Limits | Ability::ProcessLimits => "without a cgroup nothing is limited",
            Ability::Isolation => "nothing is isolated",
            Ability::Files => "without isolation its files are this machine's",
            Ability::OwnRoot => "another root needs a mount namespace",
            Ability::Console
            | Ability::ConsoleSizes
            | Ability::ConsoleBytes
            | Ability::Pause
            | Ability::Signals
            | Ability::Reset
            | Ability::Modes
            | Ability::Descriptors
            | Ability::GivenDescriptors
            | Ability::Trees
            | Ability::Execs => return None,
        };
        Some(reason.to_owned())
    }
}
