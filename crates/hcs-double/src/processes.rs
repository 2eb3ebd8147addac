//! Real processes: each system's in a job of its own, so that all of them end with it.

#![allow(
    unsafe_code,
    reason = "jobs, suspended processes and handles of other processes have no safe interface"
)]

use std::{
    io,
    os::windows::{
        io::{AsHandle, AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use windows_sys::Win32::{
    Foundation::{DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE},
    System::{
        JobObjects::{AssignProcessToJobObject, CreateJobObjectW, TerminateJobObject},
        Threading::{
            CREATE_NO_WINDOW, CREATE_SUSPENDED, GetCurrentProcess, OpenProcess, PROCESS_DUP_HANDLE,
            TerminateProcess,
        },
    },
};

use crate::documents;

/// What the processes of a system that is ended by force end with (`ERROR_PROCESS_ABORTED`).
const KILLED: u32 = 1067;
/// The variables that a container has from its image; here from this machine.
const OF_THE_SYSTEM: [&str; 7] = [
    "ComSpec",
    "PATH",
    "PATHEXT",
    "SystemRoot",
    "TEMP",
    "TMP",
    "windir",
];
/// `ERROR_ACCESS_DENIED`: what Windows says of a directory that is to be executed, and Wine says in another way.
const ACCESS_DENIED: i32 = 5;
/// `ERROR_DIRECTORY`.
const NO_DIRECTORY: i32 = 267;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtResumeProcess(process: HANDLE) -> i32;
    fn NtSuspendProcess(process: HANDLE) -> i32;
}

/// A job.
pub(crate) struct Job(OwnedHandle);

impl Job {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no attributes and no name are given.
        let job = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is new, and nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(job) }))
    }

    /// Ends all its processes.
    pub(crate) fn end(&self) {
        // SAFETY: the handle is a job's. Processes that have ended are in its way no more.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), KILLED) };
    }

    /// Starts a process in it.
    pub(crate) fn start(&self, document: &documents::Process) -> io::Result<(Child, OwnedHandle)> {
        /// `ERROR_INTERNAL_ERROR`: Wine now and then loses a process while it starts.
        const LOST: i32 = 1359;
        const TRIES: u32 = 5;
        for _ in 1..TRIES {
            match self.try_to_start(document) {
                Err(error) if error.raw_os_error() == Some(LOST) => {}
                started => return started,
            }
        }
        self.try_to_start(document)
    }

    fn try_to_start(&self, document: &documents::Process) -> io::Result<(Child, OwnedHandle)> {
        let mut child = command(document)?
            .creation_flags(CREATE_SUSPENDED | CREATE_NO_WINDOW)
            .spawn()?;
        let process = child.as_raw_handle();
        // SAFETY: both handles are open; the process runs nothing yet.
        let done = unsafe {
            AssignProcessToJobObject(self.0.as_raw_handle(), process) != 0
                && NtResumeProcess(process) >= 0
        };
        let handle = child.as_handle().try_clone_to_owned();
        match handle {
            Ok(handle) if done => Ok((child, handle)),
            failed => {
                let error = failed.err().unwrap_or_else(io::Error::last_os_error);
                // It is of no use.
                let _ = child.kill();
                Err(error)
            }
        }
    }
}

/// Ends a process.
pub(crate) fn end(process: &OwnedHandle) {
    // SAFETY: the handle is a process's.
    unsafe { TerminateProcess(process.as_raw_handle(), KILLED) };
}

/// Stops a process or lets it go on.
pub(crate) fn freeze(process: &OwnedHandle, frozen: bool) {
    let handle = process.as_raw_handle();
    // SAFETY: the handle is a process's.
    unsafe {
        if frozen {
            NtSuspendProcess(handle)
        } else {
            NtResumeProcess(handle)
        }
    };
}

/// Hands a pipe's end over to a client: the number under which it has it.
pub(crate) fn hand_over(end: Option<impl Into<OwnedHandle>>, client: u32) -> usize {
    let Some(end) = end else {
        return 0;
    };
    let end: OwnedHandle = end.into();
    if client == std::process::id() {
        return end.into_raw_handle().addr();
    }
    // SAFETY: the process is another one's, and its handle is closed below.
    let target = unsafe { OpenProcess(PROCESS_DUP_HANDLE, 0, client) };
    if target.is_null() {
        return 0;
    }
    // SAFETY: the handle is new, and nobody else's.
    let target = unsafe { OwnedHandle::from_raw_handle(target) };
    let mut there: HANDLE = std::ptr::null_mut();
    // SAFETY: the source is ours and closed by the call; the place outlives it.
    unsafe {
        DuplicateHandle(
            GetCurrentProcess(),
            end.into_raw_handle(),
            target.as_raw_handle(),
            &mut there,
            0,
            0,
            DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE,
        );
    }
    there.addr()
}

fn command(document: &documents::Process) -> io::Result<Command> {
    let line = document.command_line.trim_start();
    let (program, arguments) = match line.strip_prefix('"') {
        Some(rest) => rest.split_once('"').unwrap_or((rest, "")),
        None => line.split_once(' ').unwrap_or((line, "")),
    };
    let piped = |wanted| {
        if wanted {
            Stdio::piped()
        } else {
            Stdio::null()
        }
    };
    if Path::new(program).is_dir() {
        return Err(io::Error::from_raw_os_error(ACCESS_DENIED));
    }
    let mut command = Command::new(program);
    command
        .raw_arg(arguments.trim_start())
        .env_clear()
        .envs(
            OF_THE_SYSTEM
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .envs(&document.environment)
        .stdin(piped(document.create_std_in_pipe))
        .stdout(piped(document.create_std_out_pipe))
        .stderr(piped(document.create_std_err_pipe));
    let directory = document.working_directory.as_str();
    if !directory.is_empty() {
        if !Path::new(directory).is_dir() {
            return Err(io::Error::from_raw_os_error(NO_DIRECTORY));
        }
        command.current_dir(directory);
    }
    Ok(command)
}
