//! Signals: how they are sent, masked, taken and reset.
#![allow(unsafe_code, reason = "raw system calls")]

use core::mem::size_of;
use core::ptr::null;

use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;

use super::call::{Result, syscall};
use super::number;

pub(crate) const SIGKILL: usize = 9;

/// A set of signals, bit `n - 1` for signal `n`.
pub(crate) type SignalSet = u64;

/// kill(2).
pub(crate) fn kill(pid: i32, signal: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { syscall(number::KILL, [pid as usize, signal as usize, 0, 0, 0, 0]) }?;
    Ok(())
}

/// rt_sigprocmask(2): sets the mask.
pub(crate) fn set_signal_mask(mask: SignalSet) -> Result<()> {
    const SIG_SETMASK: usize = 2;
    // SAFETY: the kernel reads eight bytes.
    unsafe {
        syscall(
            number::RT_SIGPROCMASK,
            [
                SIG_SETMASK,
                &raw const mask as usize,
                0,
                size_of::<SignalSet>(),
                0,
                0,
            ],
        )
    }?;
    Ok(())
}

/// Gives every signal its default action: what the caller ignores would stay ignored in the container (execve(2)).
pub(crate) fn reset_signals() -> Result<()> {
    const SIGNALS: core::ops::RangeInclusive<usize> = 1..=64;
    /// `struct sigaction` of the kernel: handler, flags, restorer, mask; the default action is all zeroes.
    static DEFAULT: [usize; 4] = [0; 4];
    for signal in SIGNALS {
        let action = &raw const DEFAULT as usize;
        // SAFETY: the kernel reads one `struct sigaction`; the previous one is not asked for.
        let set = unsafe {
            syscall(
                number::RT_SIGACTION,
                [signal, action, 0, size_of::<SignalSet>(), 0, 0],
            )
        };
        match set {
            // SIGKILL and SIGSTOP cannot be changed.
            Ok(_) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// rt_sigtimedwait(2) without a timeout: takes one pending signal of `set`.
pub(crate) fn wait_for_signal(set: SignalSet) -> Result<u32> {
    // SAFETY: the kernel reads eight bytes; the other pointers are null, which it allows.
    let signal = unsafe {
        syscall(
            number::RT_SIGTIMEDWAIT,
            [
                &raw const set as usize,
                null::<u8>() as usize,
                null::<u8>() as usize,
                size_of::<SignalSet>(),
                0,
                0,
            ],
        )
    }?;
    Ok(signal as u32)
}

/// signalfd4(2): a descriptor that becomes readable when one of `set`, which is blocked, is pending.
pub(crate) fn signalfd(set: SignalSet) -> Result<OwnedFd> {
    const SFD_CLOEXEC: usize = 0o2_000_000;
    const SFD_NONBLOCK: usize = 0o4_000;
    // SAFETY: the kernel reads eight bytes; what it returns is a new descriptor that nobody else has.
    unsafe {
        let number = syscall(
            number::SIGNALFD4,
            [
                usize::MAX,
                &raw const set as usize,
                size_of::<SignalSet>(),
                SFD_CLOEXEC | SFD_NONBLOCK,
                0,
                0,
            ],
        )?;
        Ok(OwnedFd::from_raw_fd(number as i32))
    }
}
