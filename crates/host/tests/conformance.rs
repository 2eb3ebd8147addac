//! The contract's behaviours on plain processes of this machine.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    unix::main()
}

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    hoist_testing::windows::main(on_windows::BACKEND)
}

#[cfg(not(any(target_os = "linux", windows)))]
fn main() {}

#[cfg(windows)]
mod on_windows {
    use std::{path::PathBuf, sync::Arc};

    use hoist_compute::{ComputeService, conformance::Ability};
    use hoist_host::HostService;
    use hoist_testing::windows::{Backend, handles};

    pub(super) const BACKEND: Backend = Backend {
        make,
        lacks,
        missing: || None,
        left: || handles().into(),
        records: "unisolated",
        is_isolated: false,
    };

    fn make(folder: PathBuf) -> hoist_compute::Result<Arc<dyn ComputeService>> {
        Ok(Arc::new(HostService::new(folder)?))
    }

    fn lacks(ability: Ability) -> Option<String> {
        let reason = match ability {
            Ability::Signals => {
                "Windows has console events, which end a program; it has no signals to be caught"
            }
            Ability::Console => "a process without isolation has its caller's console",
            Ability::Users => "without isolation a process is its caller's",
            Ability::Limits | Ability::ProcessLimits => {
                "Wine sets no limits of jobs and accounts for nothing; no real Windows was tried"
            }
            Ability::Isolation => "nothing is isolated",
            Ability::Files => "without isolation its files are this machine's",
            Ability::OwnRoot => "without isolation its root is this machine's",
            Ability::Modes => "Windows tells programs by their content",
            Ability::Descriptors => "Windows tells no process which handles it has",
            Ability::Execs => "an exec is a process of its owner's on Windows, and has no id",
            Ability::GivenDescriptors | Ability::Trees | Ability::Pause | Ability::Reset => {
                return None;
            }
        };
        Some(reason.to_owned())
    }
}

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
