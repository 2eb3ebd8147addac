//! Making a program that was just started a supervisor: it has nothing in common any more with who started it.
#![allow(
    unsafe_code,
    reason = "close_range(2), waitid(2) of any child without reaping it, malloc_trim(3)"
)]

use std::{
    fs::OpenOptions,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{fs::Mode, process::getpid, stdio};

/// Leaves the caller's session, directory and descriptors, and becomes the reaper of what the container leaves behind.
/// Returns the socket that came as standard input.
///
/// Called first thing in a program that is nothing else: it closes every other descriptor.
pub(super) fn become_supervisor() -> io::Result<OwnedFd> {
    // SAFETY: nothing of this program has opened a descriptor yet beside the standard ones, which stay.
    if unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(&null)?;
    stdio::dup2_stderr(&null)?;
    // A program started as the leader of a group is one already: then its session is left as it is.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/")?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::set_child_subreaper(Some(getpid()))?;
    Ok(socket)
}

/// Reaps the orphans that the kernel has given to this process; none that is `owned`, whose status is for who started it.
///
/// One that is owned, has ended and was not reaped yet stands before others: then it is the result.
pub(super) fn reap_orphans(owned: &dyn Fn(u32) -> bool) -> Option<u32> {
    loop {
        // SAFETY: zeroes are a valid `siginfo_t`, which the call fills; `si_pid` is there after one that succeeded.
        let pid = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            if libc::waitid(libc::P_ALL, 0, &raw mut info, flags) < 0 {
                return None;
            }
            info.si_pid()
        };
        match u32::try_from(pid) {
            Err(_) | Ok(0) => return None,
            Ok(pid) if owned(pid) => return Some(pid),
            Ok(_) => {
                let pid = rustix::process::Pid::from_raw(pid);
                let _ = rustix::process::waitpid(pid, rustix::process::WaitOptions::NOHANG);
            }
        }
    }
}

/// Gives memory back to the kernel that starting the container took and waiting does not.
pub(super) fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it only returns free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}
