//! The contract's behaviours on the Host Compute Service: over the double of `vmcompute.dll` that `HOIST_TEST_HCS_DOUBLE` names, which
//! is a service of its own process here. There are cases on Windows alone, and under Wine.

use std::process::ExitCode;

#[cfg(not(windows))]
fn main() -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(windows)]
fn main() -> ExitCode {
    hoist_testing::windows::Double::main(None)
        .unwrap_or_else(|| hoist_testing::windows::main(on_windows::BACKEND))
}

#[cfg(windows)]
mod on_windows {
    use std::{path::PathBuf, sync::Arc};

    use hoist_compute::{ComputeService, Error, ErrorKind, Phase, conformance::Ability};
    use hoist_hcs::{
        Dialect, HcsService, Patience, Settings,
        calls::{HcsCalls, Limits},
        sys::Vmcompute,
    };
    use hoist_testing::windows::{Backend, Double};

    pub(super) const BACKEND: Backend = Backend {
        make,
        lacks,
        missing,
        left,
        records: "",
        is_isolated: true,
    };

    fn make(folder: PathBuf) -> hoist_compute::Result<Arc<dyn ComputeService>> {
        let no_double = || Error::new(ErrorKind::NotFound, Phase::Plan, "load the double");
        let path = Double::path().ok_or_else(no_double)?;
        let dll = Vmcompute::load_double(&path).map_err(|error| no_double().because(error))?;
        let calls = HcsCalls::new(dll, Dialect::Schema1, Limits::default());
        let service = HcsService::new(calls, folder, Settings::hoist(), Patience::default())?;
        Ok(Arc::new(service))
    }

    fn missing() -> Option<String> {
        let named = Double::path().is_some();
        (!named).then(|| "HOIST_TEST_HCS_DOUBLE names no double of vmcompute.dll".to_owned())
    }

    fn left() -> serde_json::Value {
        Double::load().map_or_else(|error| error.to_string().into(), |double| double.report())
    }

    fn lacks(ability: Ability) -> Option<String> {
        let reason = match ability {
            Ability::Signals => {
                "Windows has console events, which end a program; it has no signals to be caught"
            }
            Ability::Console => "the double gives no console",
            Ability::Users => "the double starts processes as its own user",
            Ability::Limits => "the double limits nothing and accounts for nothing",
            Ability::Trees => {
                "the double knows the processes that it has started, and not what those start"
            }
            Ability::ProcessLimits => "the service limits whole containers",
            Ability::Isolation => "the double isolates nothing",
            Ability::Modes => "Windows tells programs by their content",
            Ability::Descriptors => "Windows tells no process which handles it has",
            Ability::GivenDescriptors => {
                "the service makes its own pipes: what is given is copied to and from"
            }
            Ability::Files => "the service gives nobody a container's files",
            Ability::Execs => "the service gives a process no id that outlives its owner",
            Ability::OwnRoot => "the service starts every process in the container's own root",
            Ability::Pause | Ability::Reset => return None,
        };
        Some(reason.to_owned())
    }
}
