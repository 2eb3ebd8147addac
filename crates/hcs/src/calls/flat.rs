//! The flat exports as the driver's calls. A call inside the DLL waits there, and its thread with it.

use std::time::Duration;

use hoist_spec::ConsoleSize;

use super::{CallError, CallResult, Calls, Ending, Failure, FlatExports, OnExit, Started, Waited};
use crate::{Guid, Hresult, lower::Pipes};

/// The timeout that never comes: clients of that time passed no other.
const INFINITE: u32 = u32::MAX;

/// [`Calls`] over the flat exports.
#[derive(Debug)]
pub struct FlatCalls<E>(E);

impl<E: FlatExports> FlatCalls<E> {
    /// Over these exports.
    pub fn new(exports: E) -> Self {
        Self(exports)
    }
}

fn succeeded(function: &'static str, hresult: Hresult) -> CallResult {
    if hresult.is_success() {
        return Ok(());
    }
    Err(CallError::result(function, hresult))
}

fn ended(function: &'static str, hresult: Hresult) -> CallResult<Ending> {
    // A shutdown that has begun already ends the system as well.
    if hresult.is_gone() || hresult.is_shutdown_in_progress() {
        return Ok(Ending::Gone);
    }
    succeeded(function, hresult).map(|()| Ending::Ended)
}

fn not_there<T>(function: &'static str) -> CallResult<T> {
    Err(CallError::new(function, Failure::NotThere))
}

impl<E: FlatExports> Calls for FlatCalls<E> {
    type System = String;
    type Process = u32;

    fn layer_guid(&self, name: &str) -> CallResult<Guid> {
        self.0
            .name_to_guid(name)
            .map_err(|hresult| CallError::result("NameToGuid", hresult))
    }

    fn create_endpoint(&self, _document: &str) -> CallResult<String> {
        not_there("HNSCall")
    }

    fn delete_endpoint(&self, _id: &str) -> CallResult {
        not_there("HNSCall")
    }

    fn create_system(&self, id: &str, configuration: &str) -> CallResult<String> {
        succeeded(
            "CreateComputeSystem",
            self.0.create_compute_system(id, configuration),
        )?;
        Ok(id.to_owned())
    }

    /// Systems are named by their ids: there is nothing to open, and no telling whether it is there.
    fn open_system(&self, id: &str) -> CallResult<String> {
        Ok(id.to_owned())
    }

    fn start_system(&self, system: &String) -> CallResult {
        succeeded("StartComputeSystem", self.0.start_compute_system(system))
    }

    fn create_process(
        &self,
        system: &String,
        parameters: &str,
        pipes: Pipes,
    ) -> CallResult<Started<u32>> {
        let created = self
            .0
            .create_process_with_std_handles(system, parameters, pipes)
            .map_err(|hresult| {
                CallError::result("CreateProcessWithStdHandlesInComputeSystem", hresult)
            })?;
        Ok(Started {
            process: created.pid,
            pid: created.pid,
            stdin: created.stdin,
            stdout: created.stdout,
            stderr: created.stderr,
        })
    }

    fn wait_process(&self, system: &String, process: &u32) -> Waited {
        match self.0.wait_for_process(system, *process, INFINITE) {
            Ok(code) => Waited {
                failure: None,
                code: Ok(code),
            },
            Err(hresult) => {
                let error = CallError::result("WaitForProcessInComputeSystem", hresult);
                Waited {
                    failure: Some(error.clone()),
                    code: Err(error),
                }
            }
        }
    }

    /// The flat exports tell of an end only to whoever waits inside them.
    const TELLS_EXITS: bool = false;

    fn on_process_exit(&self, _process: &u32, _then: OnExit) {}

    fn on_system_exit(&self, _system: &String, _then: OnExit) {}

    fn wait_system(&self, _system: &String, _limit: Duration) -> CallResult {
        Ok(())
    }

    fn shutdown_system(&self, system: &String) -> CallResult<Ending> {
        ended(
            "ShutdownComputeSystem",
            self.0.shutdown_compute_system(system, INFINITE),
        )
    }

    fn terminate_system(&self, system: &String) -> CallResult<Ending> {
        ended(
            "TerminateComputeSystem",
            self.0.terminate_compute_system(system, INFINITE),
        )
    }

    fn terminate_process(&self, system: &String, process: &u32) -> CallResult {
        self.terminate_process_by_id(system, *process)
    }

    fn terminate_process_by_id(&self, system_id: &str, pid: u32) -> CallResult {
        succeeded(
            "TerminateProcessInComputeSystem",
            self.0.terminate_process(system_id, pid),
        )
    }

    fn resize_console(&self, system: &String, process: &u32, size: ConsoleSize) -> CallResult {
        succeeded(
            "ResizeConsoleInComputeSystem",
            self.0
                .resize_console(system, *process, size.height, size.width),
        )
    }

    /// The pipe's own end is the end of the input.
    fn close_stdin(&self, _process: &u32) -> CallResult {
        Ok(())
    }

    fn system_properties(&self, _system: &String, _query: &str) -> CallResult<String> {
        not_there("GetComputeSystemProperties")
    }

    fn close_process(&self, _process: &u32) {}

    fn close_system(&self, _system: &String) {}
}
