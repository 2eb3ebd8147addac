//! Hooks that run in the container's own namespaces (OCI runtime spec, "POSIX-platform Hooks").
#![allow(unsafe_code, reason = "argument arrays of execve(2)")]

use core::ffi::CStr;

use hoist_init::wire::{Call, List, Slot};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, AtFlags, CWD, SeekFrom, accessat, seek};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::fault::{At, Fault, Result};
use super::slots::Slots;
use super::{execute, sys};

const SIGCHLD: u64 = 17;
const SIGKILL: u32 = 9;
const NOT_EXECUTED: i32 = 127;
const FIRST_BEHIND_STREAMS: u32 = 3;

/// A hook.
pub(crate) struct Hook<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) arguments: List<'a>,
    pub(crate) environment: List<'a>,
    pub(crate) timeout_seconds: u32,
}

/// Runs the hook, with the container's state as its input, and waits until it has ended or its time is up.
pub(crate) fn run(hook: &Hook<'_>, slots: &Slots) -> Result<()> {
    let arguments = execute::array(&[], hook.arguments)?;
    let environment = execute::array(&[], hook.environment)?;
    accessat(CWD, hook.path, Access::EXEC_OK, AtFlags::empty()).at(Call::Faccessat)?;
    // Every hook reads the state from its beginning.
    seek(slots.get(Slot::HOOK_STATE)?, SeekFrom::Start(0)).at(Call::Lseek)?;
    match sys::clone3(0, SIGCHLD, None).at(Call::Clone3)? {
        Some(pid) => wait(pid.get(), hook.timeout_seconds),
        None => {
            if redirect(slots).is_ok() {
                // SAFETY: `array` ends both with a null, and their strings live in the plan's mapping.
                unsafe { sys::execve(hook.path, arguments, environment) };
            }
            sys::exit(NOT_EXECUTED)
        }
    }
}

fn redirect(slots: &Slots) -> Result<()> {
    rustix::stdio::dup2_stdin(slots.get(Slot::HOOK_STATE)?).at(Call::Dup2)?;
    rustix::stdio::dup2_stdout(slots.get(Slot::HOOK_OUTPUT)?).at(Call::Dup2)?;
    rustix::stdio::dup2_stderr(slots.get(Slot::HOOK_OUTPUT)?).at(Call::Dup2)?;
    sys::close_on_exec_from(FIRST_BEHIND_STREAMS).at(Call::CloseRange)
}

fn wait(pid: u32, timeout_seconds: u32) -> Result<()> {
    let mut timed_out = false;
    if timeout_seconds != 0 {
        let process = Pid::from_raw(pid as i32).ok_or(Fault::new(Call::Wait, Errno::SRCH))?;
        let pidfd = pidfd_open(process, PidfdFlags::empty()).at(Call::Poll)?;
        let timeout = Timespec {
            tv_sec: timeout_seconds.into(),
            tv_nsec: 0,
        };
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout));
        timed_out = ended != Ok(1);
        if timed_out {
            sys::kill(pid as i32, SIGKILL).at(Call::Kill)?;
        }
    }
    let status = sys::wait(pid).at(Call::Wait)?;
    let number = |number: i32| Errno::from_raw_os_error(number);
    match status & 0x7f {
        _ if timed_out => Err(Fault::new(Call::HookTimeout, Errno::TIMEDOUT)),
        0 if status >> 8 == 0 => Ok(()),
        // These numbers are a status, which no errno is; the owner knows by the call.
        0 => Err(Fault::new(Call::HookExit, number((status >> 8) & 0xff))),
        signal => Err(Fault::new(Call::HookSignal, number(signal))),
    }
}
