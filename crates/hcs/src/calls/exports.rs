//! The exports of `vmcompute.dll`, one method each.

use std::{fs::File, sync::Arc};

use crate::{Guid, Hresult, lower::Pipes};

/// The flat exports of the first builds (Windows Server 2016, previews 3 to 5): systems and processes by their ids, every call
/// waits.
pub trait FlatExports: Send + Sync + 'static {
    /// `NameToGuid`.
    fn name_to_guid(&self, name: &str) -> Result<Guid, Hresult>;
    /// `CreateComputeSystem`.
    fn create_compute_system(&self, id: &str, configuration: &str) -> Hresult;
    /// `StartComputeSystem`.
    fn start_compute_system(&self, id: &str) -> Hresult;
    /// `CreateProcessWithStdHandlesInComputeSystem`; its pipes are those asked for.
    fn create_process_with_std_handles(
        &self,
        id: &str,
        parameters: &str,
        pipes: Pipes,
    ) -> Result<CreatedProcess<()>, Hresult>;
    /// `WaitForProcessInComputeSystem`, in milliseconds.
    fn wait_for_process(&self, id: &str, pid: u32, timeout: u32) -> Result<i32, Hresult>;
    /// `ShutdownComputeSystem`, in milliseconds.
    fn shutdown_compute_system(&self, id: &str, timeout: u32) -> Hresult;
    /// `TerminateComputeSystem`, in milliseconds.
    fn terminate_compute_system(&self, id: &str, timeout: u32) -> Hresult;
    /// `TerminateProcessInComputeSystem`.
    fn terminate_process(&self, id: &str, pid: u32) -> Hresult;
    /// `ResizeConsoleInComputeSystem`, with no flags.
    fn resize_console(&self, id: &str, pid: u32, height: u16, width: u16) -> Hresult;
}

/// A process just made.
#[derive(Debug)]
pub struct CreatedProcess<P> {
    /// Its handle.
    pub handle: P,
    /// Its id.
    pub pid: u32,
    /// The other end of its standard input.
    pub stdin: Option<File>,
    /// Standard output.
    pub stdout: Option<File>,
    /// Standard error.
    pub stderr: Option<File>,
}

/// `HCS_SYSTEM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SystemHandle(pub usize);

/// `HCS_PROCESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessHandle(pub usize);

/// `HCS_CALLBACK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackHandle(pub usize);

/// What a call was answered with: its code and the result document, where it left one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The code; pending is one.
    pub hresult: Hresult,
    /// The result document.
    pub document: Option<String>,
}

impl From<Hresult> for Issued {
    fn from(hresult: Hresult) -> Self {
        Self {
            hresult,
            document: None,
        }
    }
}

/// What the service notifies of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notification {
    /// A system has ended.
    SystemExited,
    /// Its creation is done.
    SystemCreateCompleted,
    /// Its start is done.
    SystemStartCompleted,
    /// It is paused.
    SystemPauseCompleted,
    /// It goes on.
    SystemResumeCompleted,
    /// A shutdown did not work.
    SystemShutdownFailed,
    /// A process has ended.
    ProcessExited,
    /// The service has gone.
    ServiceDisconnect,
    /// Anything else.
    Other(u32),
}

impl From<u32> for Notification {
    fn from(number: u32) -> Self {
        match number {
            0x1 => Self::SystemExited,
            0x2 => Self::SystemCreateCompleted,
            0x3 => Self::SystemStartCompleted,
            0x4 => Self::SystemPauseCompleted,
            0x5 => Self::SystemResumeCompleted,
            0xA => Self::SystemShutdownFailed,
            0x1_0000 => Self::ProcessExited,
            0x100_0000 => Self::ServiceDisconnect,
            other => Self::Other(other),
        }
    }
}

/// What is told of notifications. It is called on a thread of the service's: it hands over and returns at once.
pub trait NotificationSink: Send + Sync {
    /// The service notifies.
    fn notify(&self, notification: Notification, status: Hresult);
}

/// The `Hcs*` exports: systems and processes by handles, operations that complete by notification.
pub trait HcsExports: Send + Sync + 'static {
    /// `NameToGuid`.
    fn name_to_guid(&self, name: &str) -> Result<Guid, Hresult>;
    /// `HcsEnumerateComputeSystems`: the list.
    fn enumerate(&self, query: &str) -> Result<String, Issued>;
    /// `HcsCreateComputeSystem`: the code, success or pending, and the handle.
    fn create_compute_system(
        &self,
        id: &str,
        configuration: &str,
    ) -> Result<(Hresult, SystemHandle), Issued>;
    /// `HcsOpenComputeSystem`.
    fn open_compute_system(&self, id: &str) -> Result<SystemHandle, Issued>;
    /// `HcsCloseComputeSystem`.
    fn close_compute_system(&self, system: SystemHandle) -> Hresult;
    /// `HcsRegisterComputeSystemCallback`.
    fn register_system_callback(
        &self,
        system: SystemHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult>;
    /// `HcsUnregisterComputeSystemCallback`: returns when running callbacks have.
    fn unregister_system_callback(&self, callback: CallbackHandle) -> Hresult;
    /// `HcsStartComputeSystem`.
    fn start_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued;
    /// `HcsShutdownComputeSystem`.
    fn shutdown_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued;
    /// `HcsTerminateComputeSystem`.
    fn terminate_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued;
    /// `HcsPauseComputeSystem`.
    fn pause_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued;
    /// `HcsResumeComputeSystem`.
    fn resume_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued;
    /// `HcsGetComputeSystemProperties`: the answer.
    fn system_properties(&self, system: SystemHandle, query: &str) -> Result<String, Issued>;
    /// `HcsModifyComputeSystem`.
    fn modify_compute_system(&self, system: SystemHandle, request: &str) -> Issued;
    /// `HcsCreateProcess`.
    fn create_process(
        &self,
        system: SystemHandle,
        parameters: &str,
    ) -> Result<CreatedProcess<ProcessHandle>, Issued>;
    /// `HcsOpenProcess`.
    fn open_process(&self, system: SystemHandle, pid: u32) -> Result<ProcessHandle, Issued>;
    /// `HcsCloseProcess`.
    fn close_process(&self, process: ProcessHandle) -> Hresult;
    /// `HcsTerminateProcess`.
    fn terminate_process(&self, process: ProcessHandle) -> Issued;
    /// `HcsSignalProcess`.
    fn signal_process(&self, process: ProcessHandle, options: &str) -> Issued;
    /// `HcsGetProcessProperties`: the answer.
    fn process_properties(&self, process: ProcessHandle) -> Result<String, Issued>;
    /// `HcsModifyProcess`.
    fn modify_process(&self, process: ProcessHandle, request: &str) -> Issued;
    /// `HcsRegisterProcessCallback`.
    fn register_process_callback(
        &self,
        process: ProcessHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult>;
    /// `HcsUnregisterProcessCallback`: returns when running callbacks have.
    fn unregister_process_callback(&self, callback: CallbackHandle) -> Hresult;
    /// The flat `TerminateProcessInComputeSystem`, which Docker 1.12 still used.
    fn terminate_process_by_id(&self, id: &str, pid: u32) -> Hresult;
    /// `HNSCall` of the host networking service: the answer.
    fn hns_call(&self, method: &str, path: &str, object: &str) -> Result<String, Hresult>;
}
