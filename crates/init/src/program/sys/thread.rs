//! Threads of this program.
#![allow(unsafe_code, reason = "raw system calls")]

use core::arch::asm;

use rustix::io::Errno;

use super::call::{Result, syscall};
use super::number;

/// Starts a thread of this program that calls `work`, which must not return (clone(2)). It has its own stack and shares all else.
pub(crate) fn start_thread(work: extern "C" fn() -> !) -> Result<()> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    const STACK_SIZE: usize = 64 * 1024;
    // CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD, CLONE_SYSVSEM.
    const FLAGS: usize = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
    // SAFETY: a fresh mapping at an address of the kernel's choice, never unmapped.
    let stack = unsafe {
        mmap_anonymous(
            core::ptr::null_mut(),
            STACK_SIZE,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }?;
    let top = stack as usize + STACK_SIZE;
    let result: isize;
    // SAFETY: the System V ABI of the kernel. The new thread returns with its stack pointer at the mapping's end, which is
    // aligned, and goes on in `work`, which does not return: it uses nothing of this frame.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number::CLONE as isize => result,
            in("rdi") FLAGS,
            in("rsi") top,
            in("rdx") 0,
            in("r10") 0,
            in("r8") 0,
            in("r12") work,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    match result {
        -4095..0 => Err(Errno::from_raw_os_error(-result as i32)),
        _ => Ok(()),
    }
}

/// exit(2): ends this thread alone.
pub(crate) fn exit_thread() -> ! {
    loop {
        // SAFETY: takes no pointer, and does not return.
        let _ = unsafe { syscall(number::EXIT, [0; 6]) };
    }
}

/// sched_yield(2).
pub(crate) fn sched_yield() {
    // SAFETY: takes no pointer.
    let _ = unsafe { syscall(number::SCHED_YIELD, [0; 6]) };
}
