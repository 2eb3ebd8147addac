//! What the driver calls.

use std::time::Duration;

use hoist_spec::ConsoleSize;

use super::{
    CREATE, CREATE_PROCESS, HcsCalls, OPEN, Process, START, System, ending, failed, succeeded,
};
use crate::{
    Guid, Hresult,
    calls::{
        CallError, CallResult, Calls, Ending, Failure, HcsExports, Notification, OnExit, Started,
        Waited, state::Exit,
    },
    documents::{
        modify::{CloseHandle, Resize},
        to_text,
    },
    lower::Pipes,
};

impl<E: HcsExports> Calls for HcsCalls<E> {
    type System = System<E>;
    type Process = Process<E>;

    fn layer_guid(&self, name: &str) -> CallResult<Guid> {
        self.exports
            .name_to_guid(name)
            .map_err(|hresult| CallError::result("NameToGuid", hresult))
    }

    fn create_endpoint(&self, document: &str) -> CallResult<String> {
        let answer = self.hns("POST", "/endpoints/", document)?;
        match answer.get("ID").and_then(serde_json::Value::as_str) {
            Some(id) => Ok(id.to_owned()),
            None => Err(CallError::new(
                "HNSCall",
                Failure::Answer("the endpoint has no id".to_owned()),
            )),
        }
    }

    fn delete_endpoint(&self, id: &str) -> CallResult {
        self.hns("DELETE", &format!("/endpoints/{id}"), "")
            .map(|_| ())
    }

    fn create_system(&self, id: &str, configuration: &str) -> CallResult<System<E>> {
        let (hresult, handle) = self
            .exports
            .create_compute_system(id, configuration)
            .map_err(|issued| failed(CREATE, &issued))?;
        let system = self.system(handle, CREATE)?;
        if hresult.is_pending()
            && let Err(error) =
                self.await_completion(&system, Notification::SystemCreateCompleted, CREATE)
        {
            // One that is still being made is ended; one whose making failed is not there.
            if matches!(error.failure, Failure::TimedOut(_)) {
                self.exports.terminate_compute_system(handle, self.options);
            }
            system.close();
            return Err(error);
        }
        Ok(system)
    }

    fn open_system(&self, id: &str) -> CallResult<System<E>> {
        match self.exports.open_compute_system(id) {
            Ok(handle) => self.system(handle, OPEN),
            Err(issued) => Err(failed(OPEN, &issued)),
        }
    }

    fn enumerate(&self, query: &str) -> CallResult<String> {
        self.exports
            .enumerate(query)
            .map_err(|issued| failed("HcsEnumerateComputeSystems", &issued))
    }

    fn start_system(&self, system: &System<E>) -> CallResult {
        self.complete(
            system,
            START,
            Notification::SystemStartCompleted,
            |exports| exports.start_compute_system(system.handle, self.options),
        )
    }

    fn create_process(
        &self,
        system: &System<E>,
        parameters: &str,
        _pipes: Pipes,
    ) -> CallResult<Started<Process<E>>> {
        let created = self
            .exports
            .create_process(system.handle, parameters)
            .map_err(|issued| failed(CREATE_PROCESS, &issued))?;
        Ok(Started {
            process: self.process(system, created.handle, CREATE_PROCESS)?,
            pid: created.pid,
            stdin: created.stdin,
            stdout: created.stdout,
            stderr: created.stderr,
        })
    }

    fn wait_process(&self, _system: &System<E>, process: &Process<E>) -> Waited {
        const WAIT: &str = "ProcessExited";
        loop {
            let failure = match process.notified.wait_exit(Some(self.limits.poll)) {
                Some(Exit::Exited(status)) if status.is_success() => None,
                Some(Exit::Exited(status)) => Some(CallError::result(WAIT, status)),
                Some(Exit::WithSystem) => Some(CallError::new(WAIT, Failure::SystemExited)),
                Some(Exit::Unheard) => Some(CallError::new(WAIT, Failure::ServiceGone)),
                // A notification may be lost: the process itself knows better.
                None => match self.exit_code(process) {
                    Ok(code) => {
                        return Waited {
                            failure: None,
                            code: Ok(code),
                        };
                    }
                    Err(error) if error.is_gone() => Some(error),
                    Err(_) => continue,
                },
            };
            return Waited {
                failure,
                code: self.exit_code(process),
            };
        }
    }

    const TELLS_EXITS: bool = true;

    fn on_process_exit(&self, process: &Process<E>, then: OnExit) {
        process.notified.on_exit(then);
    }

    fn on_system_exit(&self, system: &System<E>, then: OnExit) {
        system.notified.on_exit(then);
    }

    fn wait_system(&self, system: &System<E>, limit: Duration) -> CallResult {
        match system.notified.wait_exit(Some(limit)) {
            Some(_) => Ok(()),
            None => Err(CallError::new("SystemExited", Failure::TimedOut(limit))),
        }
    }

    fn shutdown_system(&self, system: &System<E>) -> CallResult<Ending> {
        let issued = self
            .exports
            .shutdown_compute_system(system.handle, self.options);
        ending("HcsShutdownComputeSystem", &issued)
    }

    fn terminate_system(&self, system: &System<E>) -> CallResult<Ending> {
        let issued = self
            .exports
            .terminate_compute_system(system.handle, self.options);
        ending("HcsTerminateComputeSystem", &issued)
    }

    fn terminate_process(&self, _system: &System<E>, process: &Process<E>) -> CallResult {
        let issued = self.exports.terminate_process(process.handle);
        succeeded("HcsTerminateProcess", &issued)
    }

    fn terminate_process_by_id(&self, system_id: &str, pid: u32) -> CallResult {
        let hresult = self.exports.terminate_process_by_id(system_id, pid);
        succeeded("TerminateProcessInComputeSystem", &hresult.into())
    }

    fn resize_console(
        &self,
        _system: &System<E>,
        process: &Process<E>,
        size: ConsoleSize,
    ) -> CallResult {
        self.modify(process, &Resize::to(size))
    }

    fn close_stdin(&self, process: &Process<E>) -> CallResult {
        if process.is_closed() {
            return Ok(());
        }
        match self.modify(process, &CloseHandle::stdin()) {
            Err(error) if error.is_gone() => Ok(()),
            done => done,
        }
    }

    fn system_properties(&self, system: &System<E>, query: &str) -> CallResult<String> {
        self.exports
            .system_properties(system.handle, query)
            .map_err(|issued| failed("HcsGetComputeSystemProperties", &issued))
    }

    fn close_process(&self, process: &Process<E>) {
        process.close();
    }

    fn close_system(&self, system: &System<E>) {
        system.close();
    }
}

impl<E: HcsExports> HcsCalls<E> {
    fn modify<T: serde::Serialize>(&self, process: &Process<E>, request: &T) -> CallResult {
        const FUNCTION: &str = "HcsModifyProcess";
        let text = to_text(request)
            .map_err(|error| CallError::new(FUNCTION, Failure::Answer(error.to_string())))?;
        succeeded(
            FUNCTION,
            &self.exports.modify_process(process.handle, &text),
        )
    }

    /// Calls the host networking service: what its answer holds.
    fn hns(&self, method: &str, path: &str, object: &str) -> CallResult<serde_json::Value> {
        const FUNCTION: &str = "HNSCall";
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        #[derive(Default)]
        struct Answer {
            success: bool,
            error: String,
            output: serde_json::Value,
        }
        let text = self
            .exports
            .hns_call(method, path, object)
            .map_err(|hresult| CallError::result(FUNCTION, hresult))?;
        let answer: Answer = serde_json::from_str(&text)
            .map_err(|error| CallError::new(FUNCTION, Failure::Answer(error.to_string())))?;
        if !answer.success {
            let words = Some(answer.error).filter(|words| !words.is_empty());
            return Err(CallError {
                words,
                ..CallError::result(FUNCTION, Hresult(0x8000_4005))
            });
        }
        Ok(answer.output)
    }
}
