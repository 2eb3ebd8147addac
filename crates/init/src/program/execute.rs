//! The last step: executing the program, or the init process that will.
#![allow(unsafe_code, reason = "argument arrays of execve(2)")]

use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use hoist_init::wire::{Call, List, Program, Step};
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

/// A program with the arrays that execve(2) takes: to execute it, nothing is left to be made, which would take a call that a
/// seccomp filter may refuse.
pub(crate) struct Prepared {
    candidates: List<'static>,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    init: bool,
}

impl Prepared {
    /// Prepares the program that the steps of `program` end in.
    pub(crate) fn of(mut program: Program<'static>) -> Result<Self, Fault> {
        let found = program.find_map(|step| match step {
            Step::Execute {
                candidates,
                arguments,
                environment,
                init,
            } => Some((candidates, arguments, environment, init)),
            _ => None,
        });
        let (candidates, arguments, environment, init) =
            found.ok_or(Fault::new(Call::Decode, Errno::NOEXEC))?;
        Ok(Self {
            candidates,
            arguments: match init {
                false => array(&[], arguments)?,
                true => init_arguments(candidates, arguments)?,
            },
            environment: array(&[], environment)?,
            init,
        })
    }

    /// Executes the first of its candidates that can be, or the init process that will: `itself`, this very program. Returns
    /// only to tell why none could.
    pub(crate) fn execute(&self, itself: Option<BorrowedFd<'_>>) -> Fault {
        let reason = match (self.init, itself) {
            (false, _) => self.execute_first(),
            // SAFETY: both arrays end with a null, and their strings are never unmapped.
            (true, Some(itself)) => unsafe {
                sys::execute_file(itself, self.arguments, self.environment)
            },
            (true, None) => Errno::BADF,
        };
        Fault::new(Call::Execve, reason)
    }

    fn execute_first(&self) -> Errno {
        let mut reason = Errno::NOENT;
        for candidate in self.candidates.iter::<&CStr>() {
            // SAFETY: both arrays end with a null, and their strings are never unmapped.
            reason = combine(reason, unsafe {
                sys::execve(candidate, self.arguments, self.environment)
            });
            if !goes_on(reason) {
                break;
            }
        }
        reason
    }
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

/// The digits of a count of candidates.
static DIGITS: [AtomicU8; 8] = [const { AtomicU8::new(0) }; 8];

/// What this program is told as init process: `hoist-init COUNT CANDIDATE… ARGUMENT…`.
fn init_arguments(
    candidates: List<'static>,
    arguments: List<'static>,
) -> Result<*const *const c_char, Fault> {
    let count = decimal(candidates.count).ok_or(Fault::new(Call::Execve, Errno::TOOBIG))?;
    let words = candidates.count as usize + arguments.count as usize;
    let all = sys::pointers(words + 3).at(Call::Mmap)?;
    let texts = candidates
        .iter::<&CStr>()
        .chain(arguments.iter::<&CStr>())
        .map(CStr::as_ptr);
    let texts = [c"hoist-init".as_ptr(), count].into_iter().chain(texts);
    for (place, text) in all.iter_mut().zip(texts) {
        *place = text;
    }
    Ok(all.as_ptr())
}

/// `number` as a C string in [`DIGITS`]; none where it has more digits than fit.
fn decimal(number: u32) -> Option<*const c_char> {
    // The last place keeps the zero that ends the string.
    let (mut rest, mut first) = (number, DIGITS.len() - 1);
    loop {
        first = first.checked_sub(1)?;
        DIGITS[first].store(b'0' + (rest % 10) as u8, Relaxed);
        rest /= 10;
        if rest == 0 {
            return Some(DIGITS[first..].as_ptr().cast());
        }
    }
}
