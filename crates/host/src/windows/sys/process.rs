//! Processes by their handles: such a one is never taken for another that has come to bear the same id.

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle},
    time::Duration,
};

use windows_sys::Win32::{
    Foundation::{ERROR_INVALID_PARAMETER, FILETIME, HANDLE, WAIT_FAILED, WAIT_OBJECT_0},
    System::{
        Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent},
        ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS},
        Threading::{
            GetExitCodeProcess, GetProcessTimes, OpenProcess, PROCESS_NAME_WIN32,
            PROCESS_QUERY_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SUSPEND_RESUME,
            PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, QueryFullProcessImageNameW, TerminateProcess,
            WaitForSingleObject,
        },
    },
};

use super::{done, job::KILLED, milliseconds, owned};

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtResumeProcess(process: HANDLE) -> i32;
    fn NtSuspendProcess(process: HANDLE) -> i32;
    fn NtQueryInformationProcess(
        process: HANDLE,
        class: i32,
        place: *mut c_void,
        size: u32,
        needed: *mut u32,
    ) -> i32;
}

/// Since 1601, in units of 100 ns.
fn since_1601(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// Times of a process, in units of 100 ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When it was made, since 1601: with its id this tells it from every other process.
    pub(crate) created: u64,
    /// Processor time it has used.
    pub(crate) processor: u64,
}

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    handle: OwnedHandle,
    pub(crate) pid: u32,
}

impl AsHandle for Process {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

impl Process {
    pub(super) fn new(handle: OwnedHandle, pid: u32) -> Self {
        Self { handle, pid }
    }

    /// The process that bears an id; none where there is none.
    pub(crate) fn open(pid: u32) -> io::Result<Option<Self>> {
        const RIGHTS: u32 = PROCESS_QUERY_INFORMATION
            | PROCESS_QUERY_LIMITED_INFORMATION
            | PROCESS_SUSPEND_RESUME
            | PROCESS_SYNCHRONIZE
            | PROCESS_TERMINATE;
        // SAFETY: the call has no pointers.
        match owned(unsafe { OpenProcess(RIGHTS, 0, pid) }) {
            Ok(handle) => Ok(Some(Self { handle, pid })),
            Err(error) if error.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed()) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The process that bore an id when it was made at that time; none where there is none any more.
    pub(crate) fn open_exactly(pid: u32, created: u64) -> io::Result<Option<Self>> {
        let Some(process) = Self::open(pid)? else {
            return Ok(None);
        };
        let is_it = process.times()?.created == created;
        Ok(is_it.then_some(process))
    }

    fn raw(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }

    pub(crate) fn times(&self) -> io::Result<Times> {
        let mut times = [FILETIME::default(); 4];
        let [created, ended, kernel, user] = &mut times;
        // SAFETY: the handle is a process's, and the places outlive the call.
        done(unsafe { GetProcessTimes(self.raw(), created, ended, kernel, user) })?;
        let [created, _, kernel, user] = times.map(since_1601);
        Ok(Times {
            created,
            processor: kernel.saturating_add(user),
        })
    }

    /// Waits for its end; false where the time runs out first.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> io::Result<bool> {
        // SAFETY: the handle is borrowed for the whole call.
        match unsafe { WaitForSingleObject(self.raw(), milliseconds(limit)) } {
            WAIT_OBJECT_0 => Ok(true),
            WAIT_FAILED => Err(io::Error::last_os_error()),
            _ => Ok(false),
        }
    }

    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        self.wait(Some(Duration::ZERO))
    }

    /// What it ended with.
    pub(crate) fn code(&self) -> io::Result<u32> {
        let mut code = 0;
        // SAFETY: the handle is a process's, and the place outlives the call.
        done(unsafe { GetExitCodeProcess(self.raw(), &raw mut code) })?;
        Ok(code)
    }

    /// Ends it.
    pub(crate) fn end(&self) -> io::Result<()> {
        // SAFETY: the handle is a process's.
        done(unsafe { TerminateProcess(self.raw(), KILLED) })
    }

    /// Has it stand still, once more each time.
    pub(crate) fn suspend(&self) -> io::Result<()> {
        // SAFETY: the handle is a process's.
        succeeded(unsafe { NtSuspendProcess(self.raw()) })
    }

    /// Takes one [`suspend`](Self::suspend) back, or its start.
    pub(crate) fn resume(&self) -> io::Result<()> {
        // SAFETY: the handle is a process's.
        succeeded(unsafe { NtResumeProcess(self.raw()) })
    }

    /// Sends the group that it has begun Ctrl+Break. It fails where they have another console than the caller.
    pub(crate) fn send_break(&self) -> io::Result<()> {
        // SAFETY: the call has no pointers; the handle that is held keeps the id from another process.
        done(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.pid) })
    }

    /// Memory that it has committed, in bytes.
    pub(crate) fn committed(&self) -> io::Result<u64> {
        let mut counters = PROCESS_MEMORY_COUNTERS::default();
        let size = u32::try_from(size_of_val(&counters)).unwrap_or(0);
        // SAFETY: the place is as long as is said, and outlives the call.
        done(unsafe { K32GetProcessMemoryInfo(self.raw(), &raw mut counters, size) })?;
        Ok(counters.PagefileUsage as u64)
    }

    /// Its arguments as one text.
    pub(crate) fn command_line(&self) -> io::Result<String> {
        /// `ProcessCommandLineInformation` (Windows 8.1).
        const COMMAND_LINE: i32 = 60;
        /// A line has as many bytes at most, behind its head.
        const ROOM: usize = size_of::<Text>() + (1 << 16);
        let mut place = vec![0_u64; ROOM / 8];
        // SAFETY: the place is as long as is said, and outlives the call.
        succeeded(unsafe {
            NtQueryInformationProcess(
                self.raw(),
                COMMAND_LINE,
                place.as_mut_ptr().cast(),
                u32::try_from(ROOM).unwrap_or(0),
                std::ptr::null_mut(),
            )
        })?;
        // SAFETY: the call has put the text's head at the beginning of the place, which is aligned for it.
        let head = unsafe { place.as_ptr().cast::<Text>().read() };
        let offset = head.units.addr().wrapping_sub(place.as_ptr().addr());
        let bytes: Vec<u8> = place.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let units = bytes.get(offset..).unwrap_or_default().chunks_exact(2);
        let line: Vec<u16> = units
            .take(usize::from(head.bytes / 2))
            .map(|unit| u16::from_ne_bytes([unit[0], unit[1]]))
            .collect();
        match line.is_empty() {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(String::from_utf16_lossy(&line)),
        }
    }

    /// The path of its program.
    pub(crate) fn program(&self) -> io::Result<String> {
        let mut text = vec![0_u16; 32 * 1024];
        let mut length = u32::try_from(text.len()).unwrap_or(0);
        // SAFETY: the place is as long as is said, and outlives the call.
        done(unsafe {
            QueryFullProcessImageNameW(
                self.raw(),
                PROCESS_NAME_WIN32,
                text.as_mut_ptr(),
                &raw mut length,
            )
        })?;
        Ok(String::from_utf16_lossy(
            text.get(..length as usize).unwrap_or_default(),
        ))
    }
}

/// `UNICODE_STRING`.
#[repr(C)]
struct Text {
    bytes: u16,
    most: u16,
    units: *const u16,
}

fn succeeded(status: i32) -> io::Result<()> {
    match status {
        0.. => Ok(()),
        status => Err(io::Error::other(format!(
            "status {:#010x}",
            status.cast_unsigned()
        ))),
    }
}
