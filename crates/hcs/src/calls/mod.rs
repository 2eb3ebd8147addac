//! The service's calls: two sets of exports, and one trait over both.
//!
//! [`FlatExports`] and [`HcsExports`] are the functions of `vmcompute.dll`, one method for each, with nothing added: the
//! DLL implements them, and so does the scripted service of the tests. [`FlatCalls`] and [`HcsCalls`] make [`Calls`] of
//! them, in which an operation that is pending has become one that returns when it is done.

mod error;
mod exports;
mod flat;
mod hcs;
mod state;

pub use error::{CallError, Failure};
pub use exports::{
    CallbackHandle, CreatedProcess, FlatExports, HcsExports, Issued, Notification,
    NotificationSink, ProcessHandle, SystemHandle,
};
pub use flat::FlatCalls;
pub use hcs::{HcsCalls, Limits, Look, Process as HcsProcessHandle, System as HcsSystemHandle};

use std::{fs::File, time::Duration};

use hoist_spec::ConsoleSize;

use crate::{Guid, lower::Pipes};

/// What a call comes to.
pub type CallResult<T = ()> = Result<T, CallError>;

/// Code to be run once, when something has happened, on a thread that must not be held up.
pub type OnExit = Box<dyn FnOnce() + Send>;

/// How far a request to end a system has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has ended.
    Ended,
    /// There was nothing left to end.
    Gone,
    /// It goes on; the system's exit tells the end.
    Pending,
}

/// A process just started.
#[derive(Debug)]
pub struct Started<P> {
    /// It.
    pub process: P,
    /// Its id on this machine.
    pub pid: u32,
    /// The other ends of its pipes.
    pub stdin: Option<File>,
    /// Standard output.
    pub stdout: Option<File>,
    /// Standard error.
    pub stderr: Option<File>,
}

/// What is known of a process after its end was waited for.
#[derive(Debug)]
pub struct Waited {
    /// The wait itself failed.
    pub failure: Option<CallError>,
    /// The exit code, or why it is not known.
    pub code: CallResult<i32>,
}

/// The operations on which the driver stands. All block, none for longer than the limits of the call set allow.
pub trait Calls: Send + Sync + 'static {
    /// A compute system.
    type System: Send + Sync;
    /// A process in one.
    type Process: Send + Sync;

    /// The id of a layer folder's name.
    fn layer_guid(&self, name: &str) -> CallResult<Guid>;

    /// Makes an endpoint of the host networking service from this document; its id.
    fn create_endpoint(&self, document: &str) -> CallResult<String>;

    /// Removes an endpoint.
    fn delete_endpoint(&self, id: &str) -> CallResult;

    /// Makes a system. After an error nothing of it is left and no handle is open.
    fn create_system(&self, id: &str, configuration: &str) -> CallResult<Self::System>;

    /// Opens a system that is there.
    fn open_system(&self, id: &str) -> CallResult<Self::System>;

    /// The systems that match a query, as the service lists them.
    fn enumerate(&self, query: &str) -> CallResult<String>;

    /// Starts a system.
    fn start_system(&self, system: &Self::System) -> CallResult;

    /// Starts a process in a system.
    fn create_process(
        &self,
        system: &Self::System,
        parameters: &str,
        pipes: Pipes,
    ) -> CallResult<Started<Self::Process>>;

    /// Waits until a process has ended, and reads its exit code.
    fn wait_process(&self, system: &Self::System, process: &Self::Process) -> Waited;

    /// Whether ends are told to whoever does not wait: [`on_process_exit`](Self::on_process_exit) and
    /// [`on_system_exit`](Self::on_system_exit) work.
    const TELLS_EXITS: bool;

    /// Runs `then` when the process has ended.
    fn on_process_exit(&self, process: &Self::Process, then: OnExit);

    /// Runs `then` when the system has ended.
    fn on_system_exit(&self, system: &Self::System, then: OnExit);

    /// Waits until a system has ended; `TimedOut` after `limit`.
    fn wait_system(&self, system: &Self::System, limit: Duration) -> CallResult;

    /// Asks a system to end.
    fn shutdown_system(&self, system: &Self::System) -> CallResult<Ending>;

    /// Ends a system by force.
    fn terminate_system(&self, system: &Self::System) -> CallResult<Ending>;

    /// Ends a process by force.
    fn terminate_process(&self, system: &Self::System, process: &Self::Process) -> CallResult;

    /// Ends a further process by force, by the ids of system and process.
    fn terminate_process_by_id(&self, system_id: &str, pid: u32) -> CallResult;

    /// Sets the size of a process's console.
    fn resize_console(
        &self,
        system: &Self::System,
        process: &Self::Process,
        size: ConsoleSize,
    ) -> CallResult;

    /// Tells the service that nothing more comes on a process's standard input.
    fn close_stdin(&self, process: &Self::Process) -> CallResult;

    /// The answer to a query of a system's properties.
    fn system_properties(&self, system: &Self::System, query: &str) -> CallResult<String>;

    /// Lets go of a process.
    fn close_process(&self, process: &Self::Process);

    /// Lets go of a system.
    fn close_system(&self, system: &Self::System);
}
