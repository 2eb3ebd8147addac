//! The entry point, the panic handler and the memory functions that the compiler calls.
#![allow(
    unsafe_code,
    reason = "a program without a C library starts with a raw stack pointer"
)]

use core::arch::global_asm;
use core::ffi::{CStr, c_char};

global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {entry}",
    "ud2",
    entry = sym entry,
);

/// The argument vector, as the kernel laid it on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Arguments(*const *const u8);

impl Arguments {
    /// The argument at `index`; empty behind the last.
    pub(crate) fn get(self, index: usize) -> &'static CStr {
        // SAFETY: the vector ends with a null pointer and callers walk it from the front, looking no further than one
        // behind the first empty answer; each entry is a string that lives as long as the process.
        unsafe {
            let argument = *self.0.add(index);
            if argument.is_null() {
                c""
            } else {
                CStr::from_ptr(argument.cast::<c_char>())
            }
        }
    }

    /// The environment, which follows the arguments.
    pub(crate) fn environment(self) -> *const *const u8 {
        let mut index = 0;
        while !self.get(index).is_empty() {
            index += 1;
        }
        self.from(index + 1)
    }

    /// The vector from `index` on.
    pub(crate) fn from(self, index: usize) -> *const *const u8 {
        self.0.wrapping_add(index)
    }
}

/// The decimal number in `digits`.
pub(crate) fn number(digits: &[u8]) -> i32 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + i32::from(digit - b'0'))
}

extern "C" fn entry(stack: *const *const u8) -> ! {
    // SAFETY: `_start` hands over the initial stack, which holds the argument count and then the vector.
    let arguments = Arguments(unsafe { stack.add(1) });
    crate::sys::exit(crate::main(arguments))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    crate::sys::exit(101)
}

/// As memcpy(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller promises `count` bytes on both sides; the string instruction is not turned into a call of memcpy.
    unsafe {
        core::arch::asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") count => _);
    }
    to
}

/// As memset(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: as for memcpy.
    unsafe {
        core::arch::asm!("rep stosb", inout("rdi") to => _, in("al") byte as u8, inout("rcx") count => _);
    }
    to
}

/// As memcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut at = 0;
    while at < count {
        // SAFETY: the caller promises `count` bytes on both sides.
        let (left, right) =
            unsafe { (left.add(at).read_volatile(), right.add(at).read_volatile()) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
        at += 1;
    }
    0
}

/// As bcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: the same promise.
    unsafe { memcmp(left, right, count) }
}

/// As strlen(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller promises a NUL.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
