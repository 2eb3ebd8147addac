//! What the contract's behaviours find on Windows.

use std::{path::PathBuf, sync::Arc};

use hoist_compute::{ComputeService, conformance::Ability};
use hoist_host::HostService;
use hoist_testing::windows::{Backend, handles, is_wine};

pub(crate) const BACKEND: Backend = Backend {
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

pub(crate) fn lacks(ability: Ability) -> Option<String> {
    let reason = match ability {
        Ability::Signals => {
            "Windows has console events, which end a program; it has no signals to be caught"
        }
        Ability::ConsoleSizes if is_wine() => {
            "Wine does not implement ResizePseudoConsole; no real Windows was tried"
        }
        Ability::ConsoleBytes => {
            "a pseudoconsole of Windows draws what is written, and sends what a terminal shows that by"
        }
        Ability::Users => "without isolation a process is its caller's",
        Ability::Limits | Ability::ProcessLimits => {
            "Wine sets no limits of jobs and accounts for nothing; no real Windows was tried"
        }
        Ability::Isolation => "nothing is isolated",
        Ability::Files => "without isolation its files are this machine's",
        Ability::OwnRoot => "without isolation its root is this machine's",
        Ability::Modes => "Windows tells programs by their content",
        Ability::Descriptors => "Windows tells no process which handles it has",
        Ability::Console
        | Ability::ConsoleSizes
        | Ability::GivenDescriptors
        | Ability::Trees
        | Ability::Pause
        | Ability::Reset
        | Ability::Execs => return None,
    };
    Some(reason.to_owned())
}
