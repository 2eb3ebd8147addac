//! Starting the helper: a child that borrows this program's memory for the few calls up to its own execve(2), so that the
//! cost does not grow with the caller, and neither its threads nor its libc matter.
#![allow(unsafe_code, reason = "clone(2) with shared memory")]

use std::ffi::{c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null;

/// The descriptor at which the helper finds its control socket.
const CONTROL: RawFd = 3;
const STACK_SIZE: usize = 16 * 1024;

/// What the child needs; it lives in the frame of a caller that is suspended meanwhile.
struct Child {
    program: RawFd,
    /// What becomes of descriptors 0 to 3.
    descriptors: [RawFd; 4],
    errno: c_int,
}

/// Starts `program` with these standard streams and control socket, and no other descriptor. It has no environment, and no
/// exit signal: a caller that handles `SIGCHLD` never hears of it.
///
/// Returns its pidfd when it was executed.
pub fn spawn(
    program: BorrowedFd<'_>,
    streams: [BorrowedFd<'_>; 3],
    control: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let [stdin, stdout, stderr] = streams;
    let mut child = Child {
        program: program.as_raw_fd(),
        descriptors: [
            stdin.as_raw_fd(),
            stdout.as_raw_fd(),
            stderr.as_raw_fd(),
            control.as_raw_fd(),
        ],
        errno: 0,
    };
    let mut stack = Vec::<MaybeUninit<u8>>::with_capacity(STACK_SIZE);
    let mut pidfd: c_int = -1;
    let restore = block_signals()?;
    // SAFETY: CLONE_VFORK suspends this thread until the child has executed or ended, so `child`, `stack` and `pidfd`
    // outlive the child's use of them; the stack grows down from its aligned end. `enter` makes system calls only,
    // takes no lock, allocates nothing and does not unwind; every signal is blocked in it.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(STACK_SIZE).cast::<c_void>();
        let top = top.wrapping_byte_sub(top as usize % 16);
        libc::clone(
            enter,
            top,
            libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD,
            (&raw mut child).cast(),
            &raw mut pidfd,
        )
    };
    let error = io::Error::last_os_error();
    restore_signals(&restore);
    if pid < 0 {
        return Err(error);
    }
    // SAFETY: clone succeeded, so the kernel put a fresh descriptor there.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if child.errno != 0 {
        super::reap::reap(&pidfd)?;
        return Err(io::Error::from_raw_os_error(child.errno));
    }
    Ok(pidfd)
}

extern "C" fn enter(child: *mut c_void) -> c_int {
    // SAFETY: `spawn` hands over a pointer to its own `Child`, which nothing else uses meanwhile.
    let child = unsafe { &mut *child.cast::<Child>() };
    child.errno = execute(child);
    1
}

/// Arranges the descriptors and executes the program. Returns only to tell why it could not.
fn execute(child: &Child) -> c_int {
    let arguments: [*const c_char; 2] = [c"hoist-init".as_ptr(), null()];
    let environment: [*const c_char; 1] = [null()];
    let mut program = child.program;
    let mut descriptors = child.descriptors;
    // SAFETY: plain system calls on descriptors that the caller holds open; this process has its own table of them. The
    // arrays are null-terminated.
    unsafe {
        // First out of the way of 0 to 3, then into place.
        for descriptor in descriptors.iter_mut().chain([&mut program]) {
            if *descriptor <= CONTROL {
                *descriptor = libc::fcntl(*descriptor, libc::F_DUPFD_CLOEXEC, CONTROL + 1);
                if *descriptor < 0 {
                    return *libc::__errno_location();
                }
            }
        }
        for (place, descriptor) in (0..).zip(descriptors) {
            if libc::dup2(descriptor, place) < 0 {
                return *libc::__errno_location();
            }
        }
        let (first, last, flags) = (CONTROL as u32 + 1, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if libc::syscall(libc::SYS_close_range, first, last, flags) < 0 {
            return *libc::__errno_location();
        }
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        *libc::__errno_location()
    }
}

/// Calls `work` with every signal of this thread blocked.
pub fn without_signals<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let before = block_signals()?;
    let result = work();
    restore_signals(&before);
    Ok(result)
}

/// Blocks every signal of this thread: a handler of the caller's must not run in the child, in memory that both share.
fn block_signals() -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: `sigfillset` fills the set that `pthread_sigmask` reads, which fills the other.
    unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        match libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) {
            0 => Ok(before.assume_init()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: a set that `pthread_sigmask` filled; setting a mask fails only for a wrong operation.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
}
