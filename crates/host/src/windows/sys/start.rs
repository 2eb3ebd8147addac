//! Starting a process, suspended, with three handles and no other.

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsRawHandle, OwnedHandle},
    ptr::{null, null_mut},
};

use windows_sys::Win32::{
    Foundation::{HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation},
    System::{
        Console::GetConsoleProcessList,
        Threading::{
            CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, CREATE_SUSPENDED,
            CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DeleteProcThreadAttributeList,
            EXTENDED_STARTUPINFO_PRESENT, InitializeProcThreadAttributeList,
            LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROCESS_INFORMATION,
            STARTF_USESTDHANDLES, STARTUPINFOEXW, STARTUPINFOW, UpdateProcThreadAttribute,
        },
    },
};

use super::{Process, done, owned, wide};

/// What to start.
pub(crate) struct Start<'a> {
    /// The program's file.
    pub(crate) program: &'a str,
    pub(crate) command_line: &'a str,
    /// Sorted by name.
    pub(crate) environment: &'a [(String, String)],
    pub(crate) directory: &'a str,
    /// Standard input, output and error.
    pub(crate) streams: &'a [OwnedHandle; 3],
}

/// Starts a process that runs nothing yet, in a group of its own.
pub(crate) fn start(what: &Start<'_>) -> io::Result<Process> {
    let handles = what.streams.each_ref().map(AsRawHandle::as_raw_handle);
    for handle in handles {
        // Only for this call's list do these matter, and they are closed after it.
        // SAFETY: the handle is borrowed for the whole call.
        done(unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) })?;
    }
    let mut attributes = Attributes::new()?;
    attributes.set_handles(&handles)?;
    let (program, mut line) = (wide(what.program), wide(what.command_line));
    let block = environment_block(what.environment);
    let directory = wide(what.directory);
    let startup = STARTUPINFOEXW {
        StartupInfo: STARTUPINFOW {
            cb: u32::try_from(size_of::<STARTUPINFOEXW>()).unwrap_or(0),
            dwFlags: STARTF_USESTDHANDLES,
            hStdInput: handles[0],
            hStdOutput: handles[1],
            hStdError: handles[2],
            ..STARTUPINFOW::default()
        },
        lpAttributeList: attributes.list(),
    };
    let mut flags = CREATE_SUSPENDED
        | CREATE_NEW_PROCESS_GROUP
        | CREATE_UNICODE_ENVIRONMENT
        | EXTENDED_STARTUPINFO_PRESENT;
    if !has_console() {
        // Nor shall it open one that people see.
        flags |= CREATE_NO_WINDOW;
    }
    let mut information = PROCESS_INFORMATION::default();
    // SAFETY: all texts end with NUL (the block with two) and outlive the call, as the attributes and their handles do; the line may be
    // written to.
    done(unsafe {
        CreateProcessW(
            program.as_ptr(),
            line.as_mut_ptr(),
            null(),
            null(),
            1,
            flags,
            block.as_ptr().cast(),
            if what.directory.is_empty() {
                null()
            } else {
                directory.as_ptr()
            },
            (&raw const startup).cast(),
            &raw mut information,
        )
    })?;
    // It goes on by its process.
    drop(owned(information.hThread)?);
    Ok(Process::new(
        owned(information.hProcess)?,
        information.dwProcessId,
    ))
}

/// Whether the caller has a console, which what it starts then shares.
fn has_console() -> bool {
    let mut first = [0];
    // SAFETY: the place has room for as many as is said.
    unsafe { GetConsoleProcessList(first.as_mut_ptr(), 1) != 0 }
}

/// `NAME=value` with a NUL each, and one more at the end.
fn environment_block(variables: &[(String, String)]) -> Vec<u16> {
    let mut block = Vec::new();
    for (name, value) in variables {
        block.extend(wide(&format!("{name}={value}")));
    }
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    block
}

/// What a process is started with beside what the call itself says.
struct Attributes<'a> {
    list: Vec<u64>,
    handles: Option<&'a [HANDLE; 3]>,
}

impl<'a> Attributes<'a> {
    fn new() -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: without a list only the size is told.
        unsafe { InitializeProcThreadAttributeList(null_mut(), 1, 0, &raw mut size) };
        let mut list = vec![0_u64; size.div_ceil(8)];
        // SAFETY: the list has room for as many bytes as were asked for.
        done(unsafe {
            InitializeProcThreadAttributeList(list.as_mut_ptr().cast(), 1, 0, &raw mut size)
        })?;
        Ok(Self {
            list,
            handles: None,
        })
    }

    fn list(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.list.as_mut_ptr().cast()
    }

    /// Only these handles are inherited.
    fn set_handles(&mut self, handles: &'a [HANDLE; 3]) -> io::Result<()> {
        self.handles = Some(handles);
        let list = self.list();
        // SAFETY: the list was initialized for one attribute; the handles outlive it, as the field says.
        done(unsafe {
            UpdateProcThreadAttribute(
                list,
                0,
                PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize,
                handles.as_ptr().cast::<c_void>(),
                size_of_val(handles),
                null_mut(),
                null(),
            )
        })
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        let list = self.list();
        // SAFETY: it was initialized, and is let go of once.
        unsafe { DeleteProcThreadAttributeList(list) };
    }
}
