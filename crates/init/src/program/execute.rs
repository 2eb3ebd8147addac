//! The last step: executing the program, or the init process that will.
#![allow(unsafe_code, reason = "argument arrays of execve(2)")]

use core::ffi::{CStr, c_char};

use hoist_init::wire::{Call, List};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::fault::{At, Fault};
use super::sys;

/// A list of strings as execve(2) wants it: pointers, and a null behind them.
pub(crate) fn array(prefix: &[&CStr], list: List<'_>) -> Result<*const *const c_char, Fault> {
    let count = prefix.len() + list.count as usize;
    let pointers = sys::pointers(count + 1).at(Call::Mmap)?;
    let texts = prefix.iter().copied().chain(list.iter::<&CStr>());
    for (place, text) in pointers.iter_mut().zip(texts) {
        *place = text.as_ptr();
    }
    Ok(pointers.as_ptr())
}

/// Executes the first of `candidates` that can be. Returns only to tell why none could.
pub(crate) fn execute(candidates: List<'_>, arguments: List<'_>, environment: List<'_>) -> Fault {
    let (arguments, environment) = match (array(&[], arguments), array(&[], environment)) {
        (Ok(arguments), Ok(environment)) => (arguments, environment),
        (Err(fault), _) | (_, Err(fault)) => return fault,
    };
    let mut reason = Errno::NOENT;
    for candidate in candidates.iter::<&CStr>() {
        // SAFETY: `array` ends both with a null, and their strings live in the plan's mapping.
        reason = combine(reason, unsafe {
            sys::execve(candidate, arguments, environment)
        });
        if !goes_on(reason) {
            break;
        }
    }
    Fault::new(Call::Execve, reason)
}

/// Whether a failure lets the search along PATH go on, as execvp(3) has it.
pub(crate) fn goes_on(reason: Errno) -> bool {
    matches!(reason, Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)
}

/// Of two failures along PATH, the one to tell: "not permitted" says more than "not there".
pub(crate) fn combine(before: Errno, now: Errno) -> Errno {
    if before == Errno::ACCESS && matches!(now, Errno::NOENT | Errno::NOTDIR) {
        before
    } else {
        now
    }
}

/// Executes this program again, as init process: `hoist-init COUNT CANDIDATE… ARGUMENT…`.
pub(crate) fn execute_init(
    program: BorrowedFd<'_>,
    candidates: List<'_>,
    arguments: List<'_>,
    environment: List<'_>,
) -> Fault {
    let mut digits = [0_u8; 8];
    let count = match decimal(candidates.count, &mut digits) {
        Some(count) => count,
        None => return Fault::new(Call::Execve, Errno::TOOBIG),
    };
    let words = candidates.count as usize + arguments.count as usize;
    let all = match sys::pointers(words + 3) {
        Ok(all) => all,
        Err(errno) => return Fault::new(Call::Mmap, errno),
    };
    let texts = [c"hoist-init", count]
        .into_iter()
        .chain(candidates.iter::<&CStr>())
        .chain(arguments.iter::<&CStr>());
    for (place, text) in all.iter_mut().zip(texts) {
        *place = text.as_ptr();
    }
    let environment = match array(&[], environment) {
        Ok(environment) => environment,
        Err(fault) => return fault,
    };
    // SAFETY: both arrays end with a null, and their strings outlive the call.
    Fault::new(Call::Execve, unsafe {
        sys::execute_file(program, all.as_ptr(), environment)
    })
}

fn decimal(number: u32, digits: &mut [u8; 8]) -> Option<&CStr> {
    let (mut rest, mut first) = (number, digits.len() - 1);
    loop {
        first = first.checked_sub(1)?;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return CStr::from_bytes_with_nul(&digits[first..]).ok();
        }
    }
}
