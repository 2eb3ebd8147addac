//! What a process holds.

#![allow(
    unsafe_code,
    reason = "the counters of a process have no safe interface"
)]

use std::{ffi::c_void, io};

use windows_sys::Win32::System::{
    ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS},
    Threading::GetCurrentProcess,
};

/// `SystemExtendedHandleInformation`: every open handle of the machine. Wine counts handles in no other way.
const HANDLES: u32 = 64;
/// `STATUS_INFO_LENGTH_MISMATCH`.
const TOO_SHORT: i32 = 0xC000_0004_u32.cast_signed();
/// The longest list that is asked for, in bytes.
const LONGEST: usize = 256 << 20;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtQuerySystemInformation(
        class: u32,
        place: *mut c_void,
        length: u32,
        returned: *mut u32,
    ) -> i32;
}

/// `SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Entry {
    object: usize,
    process: usize,
    handle: usize,
    access: u32,
    trace: u16,
    kind: u16,
    attributes: u32,
    reserved: u32,
}

/// What this process holds.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Open handles.
    pub handles: usize,
    /// Memory that nobody shares with it, in bytes: what it has committed.
    pub private_bytes: usize,
}

impl Usage {
    /// At this moment.
    ///
    /// # Errors
    /// The system does not say.
    pub fn own() -> io::Result<Self> {
        let mut counters = PROCESS_MEMORY_COUNTERS::default();
        let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).map_err(io::Error::other)?;
        // SAFETY: the pseudo handle is always good, and the place has the size that is told and outlives the call.
        let told = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, size) };
        if told == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            handles: handles()?,
            private_bytes: counters.PagefileUsage,
        })
    }
}

/// How many handles this process has open.
fn handles() -> io::Result<usize> {
    let entry = size_of::<Entry>();
    let mut length = 1 << 20;
    while length <= LONGEST {
        // The count and a reserved word stand before the entries, together no longer than one.
        let mut place = vec![Entry::default(); length / entry + 1];
        let bytes = u32::try_from(place.len() * entry).map_err(io::Error::other)?;
        // SAFETY: the place has the length that is told, is aligned for the list, and outlives the call.
        let status = unsafe {
            NtQuerySystemInformation(
                HANDLES,
                place.as_mut_ptr().cast(),
                bytes,
                std::ptr::null_mut(),
            )
        };
        if status == TOO_SHORT {
            length *= 2;
            continue;
        }
        if status < 0 {
            return Err(io::Error::other(format!(
                "the handles cannot be listed: {status:#x}"
            )));
        }
        let begin = place.as_ptr().cast::<usize>();
        // SAFETY: the call has filled in the count, and that many entries after two words, within the place.
        let list = unsafe {
            let count = begin.read().min(place.len() - 1);
            std::slice::from_raw_parts(begin.add(2).cast::<Entry>(), count)
        };
        let own = std::process::id() as usize;
        return Ok(list.iter().filter(|entry| entry.process == own).count());
    }
    Err(io::Error::other("there are too many handles to list"))
}
