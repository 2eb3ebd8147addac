//! Processes: how they are made, become another program, are ended and waited for.
#![allow(unsafe_code, reason = "raw system calls")]

use core::arch::asm;
use core::ffi::{CStr, c_char};
use core::mem::size_of;
use core::num::NonZeroU32;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

use super::call::{Result, syscall};
use super::number;

/// `struct clone_args` (clone(2)).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

pub(crate) const CLONE_PARENT: u64 = 0x8000;
pub(crate) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// clone3(2) with a copy of the memory, as fork(2): `None` in the child, its process id in the parent.
pub(crate) fn clone3(
    flags: u64,
    exit_signal: u64,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Option<NonZeroU32>> {
    let arguments = CloneArguments {
        flags,
        exit_signal,
        cgroup: cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
        ..CloneArguments::default()
    };
    // SAFETY: without CLONE_VM the child has its own copy of this single-threaded process, and goes on where it is.
    let pid = unsafe {
        syscall(
            number::CLONE3,
            [
                &raw const arguments as usize,
                size_of::<CloneArguments>(),
                0,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(NonZeroU32::new(pid as u32))
}

/// clone(2) as fork(2): `None` in the child, its process id in the parent.
///
/// For a process that has its seccomp filter already: docker's profile answers `clone3` with `ENOSYS`, because a filter
/// cannot see its flags.
pub(crate) fn fork(exit_signal: u32) -> Result<Option<NonZeroU32>> {
    // SAFETY: without CLONE_VM the child has its own copy of this single-threaded process, and goes on where it is, on
    // the same stack.
    let pid = unsafe { syscall(number::CLONE, [exit_signal as usize, 0, 0, 0, 0, 0]) }?;
    Ok(NonZeroU32::new(pid as u32))
}

/// execve(2). Returns only to tell why it failed.
///
/// # Safety
/// `arguments` and `environment` must be null-terminated arrays of pointers to C strings.
pub(crate) unsafe fn execve(
    path: &CStr,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> Errno {
    // SAFETY: the caller vouches for the arrays.
    let result = unsafe {
        syscall(
            number::EXECVE,
            [
                path.as_ptr() as usize,
                arguments as usize,
                environment as usize,
                0,
                0,
                0,
            ],
        )
    };
    result.err().unwrap_or(Errno::INVAL)
}

/// execveat(2) of an open file. Returns only to tell why it failed.
///
/// # Safety
/// As [`execve`].
pub(crate) unsafe fn execute_file(
    file: BorrowedFd<'_>,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> Errno {
    const AT_EMPTY_PATH: usize = 0x1000;
    // SAFETY: the path is an empty C string; the caller vouches for the arrays.
    let result = unsafe {
        syscall(
            number::EXECVEAT,
            [
                file.as_raw_fd() as usize,
                c"".as_ptr() as usize,
                arguments as usize,
                environment as usize,
                AT_EMPTY_PATH,
                0,
            ],
        )
    };
    result.err().unwrap_or(Errno::INVAL)
}

/// exit_group(2). Where the container's own filter forbids even that, the process ends all the same.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: takes no pointer, and does not return but for a filter.
    let _ = unsafe { syscall(number::EXIT_GROUP, [code as usize, 0, 0, 0, 0, 0]) };
    trap()
}

/// Ends in an illegal instruction. A signal to itself would not do: the first process of a pid namespace gets none that
/// would end it, but for those of the processor's exceptions (pid_namespaces(7)).
pub(crate) fn trap() -> ! {
    loop {
        // SAFETY: the instruction exists to raise the exception; it touches no memory.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!("ud2")
        };
    }
}

/// wait4(2) for any child that has ended, without waiting: its id and wait status.
pub(crate) fn reap_one() -> Result<Option<(u32, i32)>> {
    const WNOHANG: usize = 1;
    let mut status = 0_i32;
    // SAFETY: the kernel writes one number through the pointer.
    let pid = unsafe {
        syscall(
            number::WAIT4,
            [usize::MAX, &raw mut status as usize, WNOHANG, 0, 0, 0],
        )
    }?;
    Ok((pid != 0).then_some((pid as u32, status)))
}

/// wait4(2) for one child, until it has ended: its wait status.
pub(crate) fn wait(pid: u32) -> Result<i32> {
    let mut status = 0_i32;
    loop {
        // SAFETY: the kernel writes one number through the pointer.
        match unsafe {
            syscall(
                number::WAIT4,
                [pid as usize, &raw mut status as usize, 0, 0, 0, 0],
            )
        } {
            Err(Errno::INTR) => {}
            result => return result.map(|_| status),
        }
    }
}
