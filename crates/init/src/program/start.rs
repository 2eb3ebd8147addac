//! Where the kernel enters the program, and what the compiler expects a libc to provide.
#![allow(unsafe_code, reason = "entry point and memory functions")]

use core::arch::{asm, global_asm};
use core::ffi::{CStr, c_char};

use super::{reap, sys, walk};

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {enter}",
    "ud2",
    enter = sym enter,
);

/// The arguments and environment that the kernel put on the stack (System V ABI, "Process Initialization").
pub(crate) struct Arguments {
    first: *const *const c_char,
    count: usize,
}

impl Arguments {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, index: usize) -> Option<&'static CStr> {
        if index >= self.count {
            return None;
        }
        // SAFETY: the kernel put `count` pointers to NUL-terminated strings here, which stay for the process's life.
        Some(unsafe { CStr::from_ptr(*self.first.add(index)) })
    }

    /// The null-terminated array of pointers that begins at argument `index`.
    pub(crate) fn from(&self, index: usize) -> *const *const c_char {
        self.first.wrapping_add(index)
    }

    /// The null-terminated array of pointers to the environment.
    pub(crate) fn environment(&self) -> *const *const c_char {
        self.first.wrapping_add(self.count + 1)
    }
}

extern "C" fn enter(stack: *const usize) -> ! {
    let arguments = Arguments {
        first: stack.wrapping_add(1).cast(),
        // SAFETY: `_start` hands over the initial stack pointer, at which the kernel put the argument count.
        count: unsafe { *stack },
    };
    if arguments.count() > 1 {
        reap::run(&arguments)
    } else {
        walk::run()
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::exit(125)
}

// The compiler turns copies, fills and comparisons into calls of these four.

/// memcpy(3).
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for `count` readable and writable bytes; `rep movsb` touches no others.
    unsafe {
        asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags))
    };
    to
}

/// memmove(3).
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= count {
        // SAFETY: `to` does not lie within the bytes that are still to be read.
        return unsafe { memcpy(to, from, count) };
    }
    // SAFETY: the caller vouches for the ranges; copying from the end reads each byte before it is overwritten, and
    // the direction flag is cleared again, as the ABI wants it.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") count => _, inout("rdi") to.wrapping_add(count).wrapping_sub(1) => _, inout("rsi") from.wrapping_add(count).wrapping_sub(1) => _, options(nostack))
    };
    to
}

/// memset(3).
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for `count` writable bytes; `rep stosb` touches no others.
    unsafe {
        asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") byte as u8, options(nostack, preserves_flags))
    };
    to
}

/// memcmp(3), and bcmp(3), which asks for less.
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    let mut index = 0;
    while index < count {
        // SAFETY: the caller vouches for `count` readable bytes at both; a volatile read keeps the compiler from turning
        // this loop into a call of itself.
        let (a, b) = unsafe { (a.add(index).read_volatile(), b.add(index).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        index += 1;
    }
    0
}

/// bcmp(3).
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    // SAFETY: handed on.
    unsafe { memcmp(a, b, count) }
}

/// strlen(3).
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    let mut length = 0;
    // SAFETY: the caller vouches for a NUL at the end; a volatile read as above.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
