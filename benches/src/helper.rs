//! The sealed program, and the clone that enters it.

use core::ffi::CStr;

use crate::start::Arguments;
use crate::sys::{self, Fd};

/// `CLONE_INTO_CGROUP`, which does not fit `libc`'s type for it.
pub(crate) const INTO_CGROUP: u64 = 0x2_0000_0000;

/// No less than this program's file has; a write ends with the mapped file's last page.
const IMAGE: usize = 1 << 16;

const NO_ENVIRONMENT: [*const u8; 1] = [core::ptr::null()];

/// Puts this program into a sealed memory file, as Hoist does with its helper, and a plan's worth of bytes into a second.
pub(crate) fn seal() -> Fd {
    let program = sys::memfd(c"init", libc::MFD_EXEC).fd();
    let own = sys::open_read(c"/proc/self/exe").fd();
    let image = sys::map_file(own, IMAGE);
    sys::write(program, image).must();
    sys::seal(program).must();

    let plan = sys::memfd(c"plan", libc::MFD_NOEXEC_SEAL).fd();
    sys::write(plan, &[0; 4096]).must();
    sys::seal(plan).must();
    program
}

/// Starts the sealed program with its end of the socket pair and `flags` for its `clone3`: `h` for a helper that clones,
/// `c` for the container's process itself.
///
/// The answer is the process id; `pidfd` is filled where the flags ask for it.
pub(crate) fn enter(
    program: Fd,
    side: u8,
    socket: Fd,
    flags: i32,
    pidfd: &mut Fd,
    arguments: Arguments,
) -> i32 {
    let zeroth = [
        side,
        b'0' + (socket / 10) as u8,
        b'0' + (socket % 10) as u8,
        0,
    ];
    let mut argv = [core::ptr::null(); 32];
    for (index, slot) in argv.iter_mut().take(31).enumerate() {
        let argument: &CStr = arguments.get(index);
        if index > 0 && argument.is_empty() {
            break;
        }
        *slot = argument.as_ptr().cast();
    }
    argv[0] = zeroth.as_ptr();
    let clone = arguments_for(libc::CLONE_VM | libc::CLONE_VFORK | flags, pidfd);
    sys::clone_and_execute(&clone, program, &argv, &NO_ENVIRONMENT).must() as i32
}

/// Arguments for `clone3` without an exit signal.
pub(crate) fn arguments_for(flags: i32, pidfd: &mut Fd) -> libc::clone_args {
    libc::clone_args {
        flags: flags as u32 as u64,
        pidfd: core::ptr::from_mut(pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: 0,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    }
}
