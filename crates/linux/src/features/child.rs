//! Trying something out in a child process, so that the caller itself is left as it is.

#![allow(
    unsafe_code,
    reason = "clone(2), unshare(2), waitpid(2) and calls with no safe wrapper"
)]

use std::io;

use rustix::{
    io::Errno,
    thread::{UnshareFlags, unshare_unsafe},
};

/// Runs `attempt` in a child process and says how it went.
///
/// The child is a copy of the calling thread alone, in a program that may have others: `attempt` must make only
/// system calls, must not allocate, and must take no lock, for another thread may have held it. It sends no signal
/// when it ends, so the program's handling of `SIGCHLD` does not matter.
pub(super) fn try_in_child(attempt: impl FnOnce() -> Result<(), Errno>) -> io::Result<()> {
    // SAFETY: with no flags clone(2) is fork(2) without a signal at the end: the child has memory and descriptors of
    // its own and goes on here. It runs `attempt`, which upholds what is said above, and ends in _exit(2).
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let code = attempt().map_or_else(Errno::raw_os_error, |()| 0);
            // SAFETY: _exit(2) takes any number and does not return; no destructor or handler of the program runs.
            unsafe { libc::_exit(code) }
        }
        pid => wait(pid as libc::pid_t),
    }
}

fn wait(pid: libc::pid_t) -> io::Result<()> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is one int that outlives the call; `__WALL` because the child sends no SIGCHLD.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
        if waited == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    if !libc::WIFEXITED(status) {
        return Err(io::Error::other("a signal ended the attempt"));
    }
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// unshare(2), for use in a child of [`try_in_child`].
pub(super) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: the flags that are unsafe share or split memory and descriptors between threads; namespaces do not.
    unsafe { unshare_unsafe(flags.difference(UnshareFlags::FILES | UnshareFlags::FS)) }
}

/// Whether the kernel knows the system call with this number: it is called with arguments that it must refuse.
pub(super) fn knows_call(number: libc::c_long) -> Result<(), Errno> {
    // SAFETY: the calls asked about (clone3, mount_setattr, seccomp) check the sizes and operations given here and
    // refuse them before they use a pointer.
    let result = unsafe { libc::syscall(number, -1, 0, -1, 0, 0) };
    match result {
        -1 => match Errno::from_io_error(&io::Error::last_os_error()) {
            Some(Errno::NOSYS) | None => Err(Errno::NOSYS),
            // A seccomp filter says EPERM; none of the three says so for such arguments.
            Some(Errno::PERM) => Err(Errno::PERM),
            Some(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn how_the_attempt_went_is_known_and_the_caller_stays_as_it_is() {
        let before = process::id();
        assert!(try_in_child(|| Ok(())).is_ok());
        let error = try_in_child(|| Err(Errno::XDEV)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EXDEV));
        assert_eq!(process::id(), before);
    }

    #[test]
    fn an_attempt_that_a_signal_ends_has_failed() {
        let killed = try_in_child(|| {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        });
        assert!(killed.is_err());
    }

    #[test]
    fn a_call_that_no_kernel_has_is_not_known() {
        assert_eq!(knows_call(100_000), Err(Errno::NOSYS));
    }
}
