//! Who started whom, of all processes of this machine at one moment.

use std::{io, os::windows::io::AsRawHandle};

use windows_sys::Win32::{
    Foundation::{ERROR_NO_MORE_FILES, INVALID_HANDLE_VALUE},
    System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW,
        TH32CS_SNAPPROCESS,
    },
};

use super::{done, owned};

/// A process as the list shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
}

/// All processes.
pub(crate) fn listed() -> io::Result<Vec<Listed>> {
    // SAFETY: the call has no pointers.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    let snapshot = owned(snapshot)?;
    let mut entry = PROCESSENTRY32W {
        dwSize: u32::try_from(size_of::<PROCESSENTRY32W>()).unwrap_or(0),
        ..PROCESSENTRY32W::default()
    };
    let mut all = Vec::new();
    // SAFETY: the entry says its own size and outlives the call.
    let mut found = done(unsafe { Process32FirstW(snapshot.as_raw_handle(), &raw mut entry) });
    loop {
        match found {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(ERROR_NO_MORE_FILES.cast_signed()) => {
                return Ok(all);
            }
            Err(error) => return Err(error),
        }
        all.push(Listed {
            pid: entry.th32ProcessID,
            parent: entry.th32ParentProcessID,
        });
        // SAFETY: as above.
        found = done(unsafe { Process32NextW(snapshot.as_raw_handle(), &raw mut entry) });
    }
}
