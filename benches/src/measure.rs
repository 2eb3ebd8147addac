//! `measure`: runs a program and prints the largest resident set that it, or a process it waited for, ever had.

use crate::helper::arguments_for;
use crate::start::Arguments;
use crate::sys;

/// Runs the program with this program's own environment and prints KiB; the answer is the program's exit code.
///
/// A program of its own, because the kernel counts the starter's pages as the started program's.
pub(crate) fn measure(arguments: Arguments, program: usize) -> i32 {
    let mut clone = arguments_for(0, &mut -1);
    clone.exit_signal = libc::SIGCHLD as u64;
    let child = sys::clone(&clone).must();
    if child == 0 {
        let vector = arguments.from(program);
        sys::execve_with(sys::first(vector), vector, arguments.environment()).must();
    }
    let mut information = sys::no_information();
    let mut usage = [0u64; 18];
    sys::wait_usage(child as i32, &mut information, &mut usage).must();
    // `ru_maxrss`, after two times of two words each.
    let mut kib = usage[4];
    let mut digits = [b'\n'; 21];
    let mut at = 20;
    loop {
        at -= 1;
        digits[at] = b'0' + (kib % 10) as u8;
        kib /= 10;
        if kib == 0 {
            break;
        }
    }
    sys::write(1, &digits[at..]).must();
    sys::status(&information)
}
