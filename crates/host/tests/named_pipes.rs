//! The contract's behaviours on plain processes of Windows whose streams are carried by named pipes.

#[cfg(not(windows))]
fn main() {}

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    on_windows::main()
}

#[cfg(windows)]
#[path = "windows_backend/mod.rs"]
mod windows_backend;

#[cfg(windows)]
mod on_windows {
    use std::{path::PathBuf, process::ExitCode, sync::Arc};

    use hoist_compute::{ComputeService, StreamTransport, conformance::Ability};
    use hoist_host::{HostOptions, HostService};
    use hoist_testing::windows::{self, Backend};

    use crate::windows_backend;

    pub(super) fn main() -> ExitCode {
        windows::main(Backend {
            make,
            lacks,
            ..windows_backend::BACKEND
        })
    }

    fn make(folder: PathBuf) -> hoist_compute::Result<Arc<dyn ComputeService>> {
        let options = HostOptions {
            transport: StreamTransport::NamedPipes,
        };
        Ok(Arc::new(HostService::with_options(folder, options)?))
    }

    fn lacks(ability: Ability) -> Option<String> {
        match ability {
            Ability::GivenDescriptors => {
                Some("what is given is copied to and from the pipes".to_owned())
            }
            // What works of it is in `pipe_names`.
            Ability::Reset => {
                Some("a run's pipes have the names of the run before, whose output is read to its end and let go of first".to_owned())
            }
            other => windows_backend::lacks(other),
        }
    }
}
