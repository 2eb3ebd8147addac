//! Real processes: each system's in a job of its own, so that all of them end with it.

#![allow(
    unsafe_code,
    reason = "jobs, suspended processes and handles of other processes have no safe interface"
)]

use std::{
    fs::File,
    io,
    os::windows::{
        io::{AsHandle, AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use windows_sys::Win32::{
    Foundation::{
        DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle, FILETIME, HANDLE,
        SYSTEMTIME,
    },
    System::{
        JobObjects::{AssignProcessToJobObject, CreateJobObjectW, TerminateJobObject},
        LibraryLoader::{GetModuleHandleA, GetProcAddress},
        Threading::{
            CREATE_NO_WINDOW, CREATE_SUSPENDED, DETACHED_PROCESS, GetCurrentProcess,
            GetProcessTimes, OpenProcess, PROCESS_CREATION_FLAGS, PROCESS_DUP_HANDLE,
            TerminateProcess,
        },
        Time::FileTimeToSystemTime,
    },
};

use crate::{console::Console, documents};

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
    pub(crate) fn start(&self, document: &documents::Process) -> io::Result<Started> {
        /// `ERROR_INTERNAL_ERROR`: Wine now and then loses a process while it starts.
        const LOST: i32 = 1359;
        const TRIES: u32 = 5;
        let pipes = named_pipes(document)?;
        for _ in 1..TRIES {
            match self.try_to_start(document, &pipes) {
                Err(error) if error.raw_os_error() == Some(LOST) => {}
                started => return started,
            }
        }
        self.try_to_start(document, &pipes)
    }

    fn try_to_start(
        &self,
        document: &documents::Process,
        pipes: &[Option<File>; 3],
    ) -> io::Result<Started> {
        let mut command = command(document, pipes)?;
        let console = document
            .emulate_console
            .then(|| Console::of(&mut command, document.console_size))
            .transpose()?;
        let mut child = command
            .creation_flags(CREATE_SUSPENDED | without_console())
            .spawn()?;
        // With it go this side's copies of what the process has.
        drop(command);
        let process = child.as_raw_handle();
        // SAFETY: both handles are open; the process runs nothing yet.
        let done = unsafe {
            AssignProcessToJobObject(self.0.as_raw_handle(), process) != 0
                && NtResumeProcess(process) >= 0
        };
        let handle = child.as_handle().try_clone_to_owned();
        let (handle, for_console) = match (handle, child.as_handle().try_clone_to_owned()) {
            (Ok(handle), Ok(for_console)) if done => (handle, for_console),
            (failed, other) => {
                let error = failed.and(other).err();
                let error = error.unwrap_or_else(io::Error::last_os_error);
                // It is of no use.
                let _ = child.kill();
                return Err(error);
            }
        };
        let (streams, console) = match console {
            Some((console, ends)) => {
                let [input, output] = console.connect(ends, pipes, for_console)?;
                ([input, output, None], Some(console))
            }
            None => {
                let streams = [
                    child.stdin.take().map(OwnedHandle::from),
                    child.stdout.take().map(OwnedHandle::from),
                    child.stderr.take().map(OwnedHandle::from),
                ];
                (streams, None)
            }
        };
        Ok(Started {
            child,
            handle,
            streams,
            console,
        })
    }
}

/// Starts a process without a console that anybody sees. For one without a window Wine starts another process, which takes as long again.
fn without_console() -> PROCESS_CREATION_FLAGS {
    // SAFETY: both names end with NUL, and this DLL is always loaded.
    let of_wine = unsafe {
        GetProcAddress(
            GetModuleHandleA(c"ntdll.dll".as_ptr().cast()),
            c"wine_get_version".as_ptr().cast(),
        )
    };
    // On Windows what a process without any console starts would have windows of its own.
    if of_wine.is_some() {
        DETACHED_PROCESS
    } else {
        CREATE_NO_WINDOW
    }
}

/// A process that runs.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) handle: OwnedHandle,
    /// The client's ends of its input, output and errors.
    pub(crate) streams: [Option<OwnedHandle>; 3],
    pub(crate) console: Option<Console>,
}

/// Ends a process.
pub(crate) fn end(process: &OwnedHandle) {
    // SAFETY: the handle is a process's.
    unsafe { TerminateProcess(process.as_raw_handle(), KILLED) };
}

/// When a process was made: RFC 3339 in UTC, to 100 ns.
pub(crate) fn created(process: &OwnedHandle) -> String {
    let mut times = [FILETIME::default(); 4];
    let mut time = SYSTEMTIME::default();
    let [created, exited, kernel, user] = &mut times;
    // SAFETY: the handle is a process's, and all places outlive the calls.
    let is_known = unsafe {
        GetProcessTimes(process.as_raw_handle(), created, exited, kernel, user) != 0
            && FileTimeToSystemTime(created, &mut time) != 0
    };
    if !is_known {
        return String::new();
    }
    let ticks = (u64::from(created.dwHighDateTime) << 32) | u64::from(created.dwLowDateTime);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
        time.wYear,
        time.wMonth,
        time.wDay,
        time.wHour,
        time.wMinute,
        time.wSecond,
        ticks % 10_000_000
    )
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
pub(crate) fn hand_over(end: Option<OwnedHandle>, client: u32) -> usize {
    let Some(end) = end else {
        return 0;
    };
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

/// Connects to the client's own pipes, where it names some.
fn named_pipes(document: &documents::Process) -> io::Result<[Option<File>; 3]> {
    let connect = |name: &str, read: bool| {
        (!name.is_empty())
            .then(|| File::options().read(read).write(!read).open(name))
            .transpose()
    };
    Ok([
        connect(&document.std_in_pipe, true)?,
        connect(&document.std_out_pipe, false)?,
        connect(&document.std_err_pipe, false)?,
    ])
}

fn command(document: &documents::Process, pipes: &[Option<File>; 3]) -> io::Result<Command> {
    let line = document.command_line.trim_start();
    let (program, arguments) = match line.strip_prefix('"') {
        Some(rest) => rest.split_once('"').unwrap_or((rest, "")),
        None => line.split_once(' ').unwrap_or((line, "")),
    };
    let stream = |pipe: &Option<File>, wanted: bool| match pipe {
        Some(pipe) => pipe.try_clone().map(Stdio::from),
        None if wanted => Ok(Stdio::piped()),
        None => Ok(Stdio::null()),
    };
    let [stdin, stdout, stderr] = pipes;
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
        .stdin(stream(stdin, document.create_std_in_pipe)?)
        .stdout(stream(stdout, document.create_std_out_pipe)?)
        .stderr(stream(stderr, document.create_std_err_pipe)?);
    let directory = document.working_directory.as_str();
    if !directory.is_empty() {
        if !Path::new(directory).is_dir() {
            return Err(io::Error::from_raw_os_error(NO_DIRECTORY));
        }
        command.current_dir(directory);
    }
    Ok(command)
}
