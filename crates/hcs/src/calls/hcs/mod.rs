//! The `Hcs*` exports as the driver's calls: pending operations become waits with limits.

mod driver_calls;
mod handles;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

pub use handles::{Process, System};

use super::{
    CallError, CallResult, Calls, Ending, Failure, HcsExports, Issued, Notification,
    NotificationSink, ProcessHandle, SystemHandle, state::Notified,
};
use crate::{
    Dialect,
    documents::{process::ProcessStatus, properties::SystemProperties},
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
