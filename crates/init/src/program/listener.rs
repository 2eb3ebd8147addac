//! Loading a seccomp filter that asks an agent, and handing the listener's descriptor to the owner.
//!
//! The process that has loaded the filter may make no call that the filter could refuse, or that an agent would have to answer
//! which does not even have the descriptor yet. So a second thread, which has no filter, sends the descriptor and closes it; the
//! first one meanwhile waits by looking at memory, which is no call. The thread is gone before the program is executed: it ends
//! by itself, and execve(2) would end it.
#![allow(
    unsafe_code,
    reason = "the descriptor is known to the second thread by its number"
)]

use core::sync::atomic::{AtomicI32, Ordering};

use hoist_init::wire::{Call, Message, MessageKind};
use rustix::io::Errno;

use super::fault::{At, Fault, Result};
use super::{control, sys};

/// What [`LISTENER`] is before the filter is loaded.
const NOT_LOADED: i32 = -1;
/// What [`OUTCOME`] is before the descriptor was sent, and when it was; else it is an errno.
const NOT_SENT: i32 = -1;
const SENT: i32 = 0;

/// The number of the listener's descriptor.
static LISTENER: AtomicI32 = AtomicI32::new(NOT_LOADED);
/// What became of the sending.
static OUTCOME: AtomicI32 = AtomicI32::new(NOT_SENT);

/// Loads the filter; returns when the owner's socket has its listener and this process holds it no more: the agent's end is the
/// listener's end then, and calls that wait for an answer fail instead of waiting for ever (`ENOSYS`, seccomp_unotify(2)).
pub(crate) fn load(filter: &[u8], flags: u32) -> Result<()> {
    sys::start_thread(hand_over).at(Call::Clone)?;
    let listener = sys::load_seccomp(filter, flags).at(Call::Seccomp)?;
    LISTENER.store(listener as i32, Ordering::Release);
    loop {
        match OUTCOME.load(Ordering::Acquire) {
            NOT_SENT => core::hint::spin_loop(),
            SENT => return Ok(()),
            errno => return Err(Fault::new(Call::Sendmsg, Errno::from_raw_os_error(errno))),
        }
    }
}

/// The second thread: waits until the filter is loaded; the kernel tells nobody else of it.
extern "C" fn hand_over() -> ! {
    let listener = loop {
        match LISTENER.load(Ordering::Acquire) {
            NOT_LOADED => sys::sched_yield(),
            number => break number,
        }
    };
    // SAFETY: seccomp(2) has just made it, and the first thread leaves it to this one, which closes it once.
    let sent = unsafe {
        let sent = control::send_with(
            Message::of(MessageKind::Listener),
            sys::descriptor(listener),
        );
        rustix::io::close(listener);
        sent
    };
    let outcome = sent.map_or_else(|fault| fault.errno.raw_os_error(), |()| SENT);
    OUTCOME.store(outcome, Ordering::Release);
    sys::exit_thread()
}
