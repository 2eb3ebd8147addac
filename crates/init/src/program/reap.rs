//! The init process of a container (PID 1): starts the program, forwards signals to it, reaps what it leaves behind, and
//! ends with its exit code.
#![allow(
    unsafe_code,
    reason = "argument arrays that the kernel put on the stack"
)]

use core::ffi::CStr;

use hoist_init::wire::{Call, Message, MessageKind};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

use super::fault::{At, Fault};
use super::start::Arguments;
use super::{control, execute, sys};

const SIGCHLD: u32 = 17;
const SIGTTIN: u32 = 21;
const SIGTTOU: u32 = 22;
const ALL_SIGNALS: sys::SignalSet = !0;

/// What the arguments say: `hoist-init COUNT CANDIDATE… ARGUMENT…`.
const FIRST_CANDIDATE: usize = 2;

/// Runs as init process.
pub(crate) fn run(arguments: &Arguments) -> ! {
    let program = match start(arguments) {
        Ok(program) => program,
        Err(fault) => fail(fault),
    };
    loop {
        match sys::wait_for_signal(ALL_SIGNALS) {
            Ok(SIGCHLD) => {
                while let Ok(Some((pid, status))) = sys::reap_one() {
                    if pid == program {
                        sys::exit(shell_code(status));
                    }
                }
            }
            // These stop a process that asks for the terminal from the background; there is nothing to hand on.
            Ok(SIGTTIN | SIGTTOU) | Err(_) => {}
            Ok(signal) => {
                let _ = sys::kill(program as i32, signal);
            }
        }
    }
}

fn shell_code(status: i32) -> i32 {
    match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

fn start(arguments: &Arguments) -> Result<u32, Fault> {
    let candidates = arguments
        .get(1)
        .and_then(|count| {
            core::str::from_utf8(count.to_bytes())
                .ok()?
                .parse::<usize>()
                .ok()
        })
        .filter(|count| FIRST_CANDIDATE + count <= arguments.count())
        .ok_or(Fault::new(Call::Decode, Errno::INVAL))?;
    fcntl_setfd(control::socket(), FdFlags::CLOEXEC).at(Call::Fcntl)?;
    sys::set_signal_mask(ALL_SIGNALS).at(Call::Prctl)?;
    match sys::fork(SIGCHLD).at(Call::Clone)? {
        Some(program) => {
            // Only the program's copy is left: it closes when the program is executed, which tells the owner.
            control::hang_up();
            Ok(program.get())
        }
        None => execute_program(arguments, candidates),
    }
}

fn execute_program(arguments: &Arguments, candidates: usize) -> ! {
    let _ = take_terminal();
    let _ = sys::set_signal_mask(0);
    let words = arguments.from(FIRST_CANDIDATE + candidates);
    let mut reason = Errno::NOENT;
    for candidate in (0..candidates).filter_map(|index| arguments.get(FIRST_CANDIDATE + index)) {
        reason = try_one(candidate, words, arguments, reason);
        if !execute::goes_on(reason) {
            break;
        }
    }
    fail(Fault::new(Call::Execve, reason))
}

fn try_one(
    candidate: &CStr,
    words: *const *const core::ffi::c_char,
    arguments: &Arguments,
    before: Errno,
) -> Errno {
    // SAFETY: the kernel ends both arrays with a null.
    let now = unsafe { sys::execve(candidate, words, arguments.environment()) };
    execute::combine(before, now)
}

/// Makes the program's process group the terminal's foreground one, where there is a terminal.
fn take_terminal() -> Result<(), Errno> {
    rustix::process::setpgid(None, None)?;
    // SAFETY: a descriptor that is not open makes the call fail, which is all that may happen to it here.
    let terminal = unsafe { sys::descriptor(0) };
    rustix::termios::tcsetpgrp(terminal, rustix::process::getpgrp())
}

fn fail(fault: Fault) -> ! {
    let message = Message {
        errno: fault.errno.raw_os_error(),
        call: fault.call as u32,
        step: u32::MAX,
        ..Message::of(MessageKind::Failed)
    };
    let _ = control::send(message);
    sys::exit(127)
}
