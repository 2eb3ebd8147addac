//! What a process holds.

#![allow(
    unsafe_code,
    reason = "the counters of a process have no safe interface"
)]

use windows_sys::Win32::System::{
    ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS, PROCESS_MEMORY_COUNTERS_EX},
    Threading::{GetCurrentProcess, GetProcessHandleCount},
};

/// What this process holds; zero where the system does not say.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Open handles.
    pub handles: u32,
    /// Memory that nobody shares with it, in bytes.
    pub private_bytes: usize,
}

impl Usage {
    /// At this moment.
    pub fn own() -> Self {
        let mut handles = 0;
        // SAFETY: the pseudo handle is always good, and the place outlives the call.
        if unsafe { GetProcessHandleCount(GetCurrentProcess(), &mut handles) } == 0 {
            handles = 0;
        }
        let mut counters = PROCESS_MEMORY_COUNTERS_EX::default();
        let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS_EX>()).unwrap_or(0);
        // SAFETY: as above; the longer form begins as the shorter one, and its size is told.
        unsafe {
            K32GetProcessMemoryInfo(
                GetCurrentProcess(),
                std::ptr::from_mut(&mut counters).cast::<PROCESS_MEMORY_COUNTERS>(),
                size,
            )
        };
        Self {
            handles,
            private_bytes: counters.PrivateUsage,
        }
    }
}
