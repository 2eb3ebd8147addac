//! On which processors, with which priorities and from which memory this process runs.
#![allow(unsafe_code, reason = "raw system calls")]

use core::mem::size_of;

use rustix::io::Errno;

use super::call::{Result, syscall};
use super::number;

/// sched_setattr(2) on this process; `attributes` is a whole `struct sched_attr`, which tells its own size.
pub(crate) fn sched_setattr(attributes: &[u8]) -> Result<()> {
    if attributes.len() < size_of::<u32>() {
        return Err(Errno::INVAL);
    }
    // SAFETY: the kernel reads as many bytes as the first four say, which the plan has set to the length.
    unsafe {
        syscall(
            number::SCHED_SETATTR,
            [0, attributes.as_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// sched_setaffinity(2) on this process; bit by CPU.
pub(crate) fn sched_setaffinity(mask: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads `mask.len()` bytes.
    unsafe {
        syscall(
            number::SCHED_SETAFFINITY,
            [0, mask.len(), mask.as_ptr() as usize, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// ioprio_set(2) on this process.
pub(crate) fn ioprio_set(priority: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    // SAFETY: takes no pointer.
    unsafe {
        syscall(
            number::IOPRIO_SET,
            [IOPRIO_WHO_PROCESS, 0, priority as usize, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// set_mempolicy(2); bit by node.
pub(crate) fn set_mempolicy(mode: u32, nodes: &[u8]) -> Result<()> {
    // The kernel takes one off the number of bits before it reads them.
    let bits = match nodes.len() {
        0 => 0,
        length => length * 8 + 1,
    };
    // SAFETY: the kernel reads whole words, up to the last bit that counts; `nodes` is made of whole words.
    unsafe {
        syscall(
            number::SET_MEMPOLICY,
            [mode as usize, nodes.as_ptr() as usize, bits, 0, 0, 0],
        )
    }?;
    Ok(())
}
