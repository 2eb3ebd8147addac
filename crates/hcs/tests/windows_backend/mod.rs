//! The service, or its double, as what the contract's behaviours are tried on.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use hoist_compute::{ComputeService, Error, ErrorKind, Phase, conformance::Ability};
use hoist_hcs::{
    Dialect, HcsService, Patience, Settings,
    calls::{Calls, HcsCalls, HcsExports, Limits},
    sys::{NamedPipes, Vmcompute},
};
use hoist_testing::windows::{self, Backend, Double, Layers};
use hoist_windows::pipe_names::PipeSpace;

/// Generous: the machine may be slow.
const UNTIL_CONNECTED: Duration = Duration::from_secs(60);

pub(crate) const BACKEND: Backend = Backend {
    make,
    lacks,
    missing,
    left,
    records: "",
    is_isolated: true,
};

pub(crate) fn main(backend: Backend) -> ExitCode {
    if !Layers::are_asked_for() {
        return Double::main(None).unwrap_or_else(|| windows::main(backend));
    }
    match Layers::of_the_environment() {
        Ok(layers) => windows::main_with(backend, Some(layers)),
        Err(words) => {
            eprintln!("{words}");
            ExitCode::FAILURE
        }
    }
}

/// The one place that chooses between the service and its double.
fn dll() -> hoist_compute::Result<Vmcompute> {
    let missing = || Error::new(ErrorKind::NotFound, Phase::Plan, "load vmcompute.dll");
    let dll = if Layers::are_asked_for() {
        Vmcompute::load()
    } else {
        Vmcompute::load_double(&Double::path().ok_or_else(missing)?)
    };
    dll.map_err(|error| missing().because(error))
}

fn calls<E: HcsExports>(exports: E) -> HcsCalls<E> {
    HcsCalls::new(exports, Dialect::Schema1, Limits::default())
}

fn make(folder: PathBuf) -> hoist_compute::Result<Arc<dyn ComputeService>> {
    service(dll()?, folder)
}

/// The same, with its streams carried by named pipes: of the double, whose processes are this machine's, in this machine's namespace.
#[allow(dead_code, reason = "only the tests of named pipes ask for it")]
pub(crate) fn make_with_named_pipes(
    folder: PathBuf,
) -> hoist_compute::Result<Arc<dyn ComputeService>> {
    let space = match Layers::are_asked_for() {
        true => PipeSpace::Container,
        false => PipeSpace::Machine,
    };
    service(NamedPipes::new(dll()?, space, UNTIL_CONNECTED), folder)
}

fn service<E: HcsExports>(
    exports: E,
    folder: PathBuf,
) -> hoist_compute::Result<Arc<dyn ComputeService>> {
    let settings = Settings::hoist();
    let service = HcsService::new(calls(exports), folder, settings, Patience::default())?;
    Ok(Arc::new(service))
}

fn missing() -> Option<String> {
    let named = Layers::are_asked_for() || Double::path().is_some();
    (!named).then(|| "HOIST_TEST_HCS_DOUBLE names no double of vmcompute.dll".to_owned())
}

fn left() -> serde_json::Value {
    if !Layers::are_asked_for() {
        return Double::load()
            .map_or_else(|error| error.to_string().into(), |double| double.report());
    }
    // The real service tells of its systems alone.
    let owned = format!(r#"{{"Owners":["{}"]}}"#, Settings::hoist().owner);
    dll()
        .map_err(|error| error.to_string())
        .and_then(|dll| {
            calls(dll)
                .enumerate(&owned)
                .map_err(|error| error.to_string())
        })
        .map_or_else(Into::into, |list| {
            serde_json::from_str::<Vec<serde_json::Value>>(&list)
                .map_or_else(|error| error.to_string().into(), |list| list.len().into())
        })
}

fn lacks(ability: Ability) -> Option<String> {
    let reason = match ability {
        Ability::Signals => {
            "Windows has console events, which end a program; it has no signals to be caught"
        }
        Ability::Users => {
            "the double starts processes as its own user, and the probe asks for users in Linux' terms"
        }
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
        Ability::OwnRoot => "the service starts every process in the container's own root",
        Ability::Console
        | Ability::ConsoleSizes
        | Ability::ConsoleBytes
        | Ability::Execs
        | Ability::Pause
        | Ability::Reset => return None,
    };
    Some(reason.to_owned())
}
