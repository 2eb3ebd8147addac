//! Any system call.
#![allow(unsafe_code, reason = "raw system calls")]

use core::arch::asm;

use rustix::io::Errno;

pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// Any system call of up to six arguments.
///
/// # Safety
/// The call's own conditions: pointers must be valid for what the kernel does with them.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn syscall(number: usize, arguments: [usize; 6]) -> Result<usize> {
    let result: isize;
    // SAFETY: the System V ABI of the kernel; rcx and r11 are its only clobbers, memory is assumed to change.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) {
        Err(Errno::from_raw_os_error(-result as i32))
    } else {
        Ok(result as usize)
    }
}
