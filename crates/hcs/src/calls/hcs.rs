//! The `Hcs*` exports as the driver's calls: pending operations become waits with limits.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hoist_spec::ConsoleSize;

use super::{
    CallError, CallResult, CallbackHandle, Calls, Ending, Failure, HcsExports, Issued,
    Notification, NotificationSink, OnExit, ProcessHandle, Started, SystemHandle, Waited,
    state::{Exit, Notified},
};
use crate::{
    Dialect, Guid, Hresult,
    documents::{
        modify::{CloseHandle, Resize},
        process::ProcessStatus,
        properties::SystemProperties,
        to_text,
    },
    lower::Pipes,
};

/// How long pending operations may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Creating, starting, pausing and resuming a system.
    pub operation: Duration,
    /// How often a process is asked whether it has ended, and a system how far a pending operation has come, in case the notification
    /// was lost.
    pub poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operation: Duration::from_secs(240),
            poll: Duration::from_secs(10),
        }
    }
}

/// What the service says of a system, and of one of its processes where that was asked for.
#[derive(Debug)]
pub struct Look {
    /// The system.
    pub properties: SystemProperties,
    /// The process.
    pub process: Option<CallResult<ProcessStatus>>,
}

/// [`Calls`] over the `Hcs*` exports.
pub struct HcsCalls<E> {
    exports: Arc<E>,
    options: Option<&'static str>,
    limits: Limits,
}

/// A system with its callback. It is closed once, at the latest when it is dropped.
pub struct System<E: HcsExports> {
    exports: Arc<E>,
    handle: SystemHandle,
    notified: Arc<Notified>,
    callback: Mutex<Option<CallbackHandle>>,
}

/// A process with its callback. It is closed once, at the latest when it is dropped.
pub struct Process<E: HcsExports> {
    exports: Arc<E>,
    handle: ProcessHandle,
    notified: Arc<Notified>,
    system: Arc<Notified>,
    callback: Mutex<Option<CallbackHandle>>,
}

impl<E: HcsExports> System<E> {
    /// Waits until it has ended; false where `limit` runs out first.
    pub fn wait_exit(&self, limit: Option<Duration>) -> bool {
        self.notified.wait_exit(limit).is_some()
    }

    /// Whether it has ended, or nothing more will be heard of it.
    pub fn has_exited(&self) -> bool {
        self.notified.exit().is_some()
    }

    /// Whether its end was notified.
    pub fn has_ended(&self) -> bool {
        matches!(self.notified.exit(), Some(Exit::Exited(_)))
    }

    fn close(&self) {
        if let Some(callback) = take(&self.callback) {
            self.exports.unregister_system_callback(callback);
            self.exports.close_compute_system(self.handle);
            self.notified.close();
        }
    }
}

impl<E: HcsExports> Process<E> {
    /// Whether it has ended, or nothing more will be heard of it.
    pub fn has_exited(&self) -> bool {
        self.notified.exit().is_some()
    }

    /// Waits until it has ended; false where `limit` runs out first.
    pub fn wait_exit(&self, limit: Option<Duration>) -> bool {
        self.notified.wait_exit(limit).is_some()
    }

    fn is_closed(&self) -> bool {
        self.callback
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .is_none()
    }

    fn close(&self) {
        if let Some(callback) = take(&self.callback) {
            self.exports.unregister_process_callback(callback);
            self.exports.close_process(self.handle);
            self.system.leave(self.handle.0);
            self.notified.close();
        }
    }
}

impl<E: HcsExports> Drop for System<E> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<E: HcsExports> Drop for Process<E> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whoever takes it closes; no lock is held while the service is called.
fn take(callback: &Mutex<Option<CallbackHandle>>) -> Option<CallbackHandle> {
    callback
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .take()
}

fn failed(function: &'static str, issued: &Issued) -> CallError {
    CallError::result(function, issued.hresult).with_document(issued.document.as_deref())
}

fn succeeded(function: &'static str, issued: &Issued) -> CallResult {
    if issued.hresult.is_success() {
        return Ok(());
    }
    Err(failed(function, issued))
}

fn ending(function: &'static str, issued: &Issued) -> CallResult<Ending> {
    // Another has begun the same, or it goes on.
    if issued.hresult.is_pending() || issued.hresult.is_shutdown_in_progress() {
        return Ok(Ending::Pending);
    }
    if issued.hresult.is_gone() {
        return Ok(Ending::Gone);
    }
    succeeded(function, issued).map(|()| Ending::Ended)
}

impl<E: HcsExports> HcsCalls<E> {
    /// Over these exports, with the options that clients of `dialect` pass.
    pub fn new(exports: E, dialect: Dialect, limits: Limits) -> Self {
        Self {
            exports: Arc::new(exports),
            options: (dialect != Dialect::Docker112).then_some(""),
            limits,
        }
    }

    /// The exports.
    pub fn exports(&self) -> &E {
        &self.exports
    }

    fn system(&self, handle: SystemHandle, function: &'static str) -> CallResult<System<E>> {
        let notified = Arc::new(Notified::default());
        let sink = Arc::clone(&notified) as Arc<dyn NotificationSink>;
        match self.exports.register_system_callback(handle, sink) {
            Ok(callback) => Ok(System {
                exports: Arc::clone(&self.exports),
                handle,
                notified,
                callback: Mutex::new(Some(callback)),
            }),
            Err(hresult) => {
                // Nothing would be heard of it. One that was only opened is another's: it is left alone.
                if function == CREATE {
                    self.exports.terminate_compute_system(handle, self.options);
                }
                self.exports.close_compute_system(handle);
                Err(CallError::result(
                    "HcsRegisterComputeSystemCallback",
                    hresult,
                ))
            }
        }
    }

    fn process(
        &self,
        system: &System<E>,
        handle: ProcessHandle,
        function: &'static str,
    ) -> CallResult<Process<E>> {
        let notified = Arc::new(Notified::default());
        let sink = Arc::clone(&notified) as Arc<dyn NotificationSink>;
        match self.exports.register_process_callback(handle, sink) {
            Ok(callback) => {
                system.notified.join(handle.0, &notified);
                Ok(Process {
                    exports: Arc::clone(&self.exports),
                    handle,
                    notified,
                    system: Arc::clone(&system.notified),
                    callback: Mutex::new(Some(callback)),
                })
            }
            Err(hresult) => {
                // As with systems.
                if function == CREATE_PROCESS {
                    self.exports.terminate_process(handle);
                }
                self.exports.close_process(handle);
                Err(CallError::result("HcsRegisterProcessCallback", hresult))
            }
        }
    }

    fn complete(
        &self,
        system: &System<E>,
        function: &'static str,
        completion: Notification,
        call: impl FnOnce(&E) -> Issued,
    ) -> CallResult {
        system.notified.expect(completion);
        let issued = call(&self.exports);
        if issued.hresult.is_pending() {
            return self.await_completion(system, completion, function);
        }
        succeeded(function, &issued)
    }

    /// Waits for a completion. The notification may be lost: where the system itself says that it has come that far, it has.
    fn await_completion(
        &self,
        system: &System<E>,
        completion: Notification,
        function: &'static str,
    ) -> CallResult {
        let reached = match completion {
            Notification::SystemCreateCompleted => "Created",
            Notification::SystemPauseCompleted => "Paused",
            _ => "Running",
        };
        let deadline = Instant::now() + self.limits.operation;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let slice = left.min(self.limits.poll);
            match system.notified.wait_for(completion, function, slice) {
                Err(error) if matches!(error.failure, Failure::TimedOut(_)) => {}
                done => return done,
            }
            let state = self
                .system_properties(system, "{}")
                .ok()
                .and_then(|text| SystemProperties::read(&text).ok())
                .map(|properties| properties.state);
            if state.as_deref() == Some(reached) {
                return Ok(());
            }
            if left.is_zero() {
                return Err(CallError::new(
                    function,
                    Failure::TimedOut(self.limits.operation),
                ));
            }
        }
    }

    /// Opens a process of a system by its id.
    pub fn open_process(&self, system: &System<E>, pid: u32) -> CallResult<Process<E>> {
        match self.exports.open_process(system.handle, pid) {
            Ok(handle) => self.process(system, handle, "HcsOpenProcess"),
            Err(issued) => Err(failed("HcsOpenProcess", &issued)),
        }
    }

    /// Freezes a system.
    pub fn pause_system(&self, system: &System<E>) -> CallResult {
        self.complete(
            system,
            "HcsPauseComputeSystem",
            Notification::SystemPauseCompleted,
            |exports| exports.pause_compute_system(system.handle, self.options),
        )
    }

    /// Lets a paused system go on.
    pub fn resume_system(&self, system: &System<E>) -> CallResult {
        self.complete(
            system,
            "HcsResumeComputeSystem",
            Notification::SystemResumeCompleted,
            |exports| exports.resume_compute_system(system.handle, self.options),
        )
    }

    /// Changes a running system.
    pub fn modify_system(&self, system: &System<E>, request: &str) -> CallResult {
        let issued = self.exports.modify_compute_system(system.handle, request);
        if issued.hresult.is_pending() {
            return Ok(());
        }
        succeeded("HcsModifyComputeSystem", &issued)
    }

    /// Delivers a console event to a process.
    pub fn signal_process(&self, process: &Process<E>, options: &str) -> CallResult {
        let issued = self.exports.signal_process(process.handle, options);
        succeeded("HcsSignalProcess", &issued)
    }

    /// What the service says of a process.
    pub fn process_status(&self, process: &Process<E>) -> CallResult<ProcessStatus> {
        self.status_by_handle(process.handle)
    }

    fn status_by_handle(&self, process: ProcessHandle) -> CallResult<ProcessStatus> {
        const FUNCTION: &str = "HcsGetProcessProperties";
        let text = self
            .exports
            .process_properties(process)
            .map_err(|issued| failed(FUNCTION, &issued))?;
        ProcessStatus::read(&text)
            .map_err(|error| CallError::new(FUNCTION, Failure::Answer(error.to_string())))
    }

    /// What the service says of a system that is opened for this alone, and of the process `pid` of it.
    pub fn look(&self, id: &str, query: &str, pid: Option<u32>) -> CallResult<Look> {
        let system = self
            .exports
            .open_compute_system(id)
            .map_err(|issued| failed(OPEN, &issued))?;
        let looked = self.look_at(system, query, pid);
        self.exports.close_compute_system(system);
        looked
    }

    fn look_at(&self, system: SystemHandle, query: &str, pid: Option<u32>) -> CallResult<Look> {
        const FUNCTION: &str = "HcsGetComputeSystemProperties";
        let text = self
            .exports
            .system_properties(system, query)
            .map_err(|issued| failed(FUNCTION, &issued))?;
        let properties = SystemProperties::read(&text)
            .map_err(|error| CallError::new(FUNCTION, Failure::Answer(error.to_string())))?;
        let process = pid.map(|pid| {
            let process = self
                .exports
                .open_process(system, pid)
                .map_err(|issued| failed("HcsOpenProcess", &issued))?;
            let status = self.status_by_handle(process);
            self.exports.close_process(process);
            status
        });
        Ok(Look {
            properties,
            process,
        })
    }

    /// The exit code of a process that has ended.
    pub fn exit_code(&self, process: &Process<E>) -> CallResult<i32> {
        self.code_of(self.status_by_handle(process.handle)?)
    }

    /// The exit code in what the service said of a process.
    pub fn code_of(&self, status: ProcessStatus) -> CallResult<i32> {
        const FUNCTION: &str = "HcsGetProcessProperties";
        status.code().map_err(|reason| match reason {
            Some(hresult) => CallError::result(FUNCTION, hresult),
            None => CallError::new(
                FUNCTION,
                Failure::Answer("it says that the process has not ended".to_owned()),
            ),
        })
    }
}

const CREATE: &str = "HcsCreateComputeSystem";
const CREATE_PROCESS: &str = "HcsCreateProcess";
const OPEN: &str = "HcsOpenComputeSystem";
const START: &str = "HcsStartComputeSystem";

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
