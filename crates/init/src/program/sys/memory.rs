//! Memory that is mapped and never unmapped.
#![allow(unsafe_code, reason = "raw system calls")]

use core::ffi::c_char;
use core::mem::size_of;

use rustix::fd::AsFd;

use super::call::Result;

/// Maps `file` and forgets it: read-only and private, or writable and shared.
pub(crate) fn map(file: impl AsFd, length: usize, writable: bool) -> Result<&'static mut [u8]> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    let (protection, flags) = if writable {
        (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)
    } else {
        (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    };
    // SAFETY: a fresh mapping at an address of the kernel's choice, never unmapped. The owner keeps the file at this
    // length: the plan is sealed, the file of times is not shortened while this program runs.
    unsafe {
        let start = mmap(core::ptr::null_mut(), length, protection, flags, file, 0)?;
        Ok(core::slice::from_raw_parts_mut(start.cast(), length))
    }
}

/// Fresh zeroed memory for `count` pointers.
pub(crate) fn pointers(count: usize) -> Result<&'static mut [*const c_char]> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    let length = count * size_of::<*const c_char>();
    // SAFETY: a fresh anonymous mapping, page-aligned, never unmapped; null pointers are valid values.
    unsafe {
        let start = mmap_anonymous(
            core::ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )?;
        Ok(core::slice::from_raw_parts_mut(start.cast(), count))
    }
}
