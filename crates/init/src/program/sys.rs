//! System calls that `rustix` does not offer, or not to a program without libc: one function per call, named as in the
//! manual.
#![allow(unsafe_code, reason = "raw system calls")]

use core::arch::asm;
use core::ffi::{CStr, c_char};
use core::mem::{offset_of, size_of};
use core::num::NonZeroU32;
use core::ptr::null;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

pub(crate) type Result<T> = core::result::Result<T, Errno>;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const RT_SIGACTION: usize = 13;
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const IOCTL: usize = 16;
    pub(super) const DUP2: usize = 33;
    pub(super) const SCHED_YIELD: usize = 24;
    pub(super) const CLONE: usize = 56;
    pub(super) const EXIT: usize = 60;
    pub(super) const EXECVE: usize = 59;
    pub(super) const KILL: usize = 62;
    pub(super) const WAIT4: usize = 61;
    pub(super) const GETCWD: usize = 79;
    pub(super) const GETGROUPS: usize = 115;
    pub(super) const GETRESUID: usize = 118;
    pub(super) const GETRESGID: usize = 120;
    pub(super) const CAPGET: usize = 125;
    pub(super) const CAPSET: usize = 126;
    pub(super) const RT_SIGTIMEDWAIT: usize = 128;
    pub(super) const SIGNALFD4: usize = 289;
    pub(super) const PRCTL: usize = 157;
    pub(super) const PERSONALITY: usize = 135;
    pub(super) const SCHED_SETAFFINITY: usize = 203;
    pub(super) const SET_MEMPOLICY: usize = 238;
    pub(super) const IOPRIO_SET: usize = 251;
    pub(super) const SCHED_SETATTR: usize = 314;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const KEYCTL: usize = 250;
    pub(super) const SECCOMP: usize = 317;
    pub(super) const EXECVEAT: usize = 322;
    pub(super) const CLONE3: usize = 435;
    pub(super) const CLOSE_RANGE: usize = 436;
    pub(super) const MOUNT_SETATTR: usize = 442;
}

/// Any system call of up to six arguments.
///
/// # Safety
/// The call's own conditions: pointers must be valid for what the kernel does with them.
#[cfg(target_arch = "x86_64")]
unsafe fn syscall(number: usize, arguments: [usize; 6]) -> Result<usize> {
    let result: isize;
    // SAFETY: the System V ABI of the kernel; rcx and r11 are its only clobbers, memory is assumed to change.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) {
        Err(Errno::from_raw_os_error(-result as i32))
    } else {
        Ok(result as usize)
    }
}

/// exit_group(2). Where the container's own filter forbids even that, the process ends all the same.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: takes no pointer, and does not return but for a filter.
    let _ = unsafe { syscall(number::EXIT_GROUP, [code as usize, 0, 0, 0, 0, 0]) };
    trap()
}

/// Ends in an illegal instruction. A signal to itself would not do: the first process of a pid namespace gets none that
/// would end it, but for those of the processor's exceptions (pid_namespaces(7)).
pub(crate) fn trap() -> ! {
    loop {
        // SAFETY: the instruction exists to raise the exception; it touches no memory.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!("ud2")
        };
    }
}

/// `struct clone_args` (clone(2)).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

pub(crate) const CLONE_PARENT: u64 = 0x8000;
pub(crate) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// clone3(2) with a copy of the memory, as fork(2): `None` in the child, its process id in the parent.
pub(crate) fn clone3(
    flags: u64,
    exit_signal: u64,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Option<NonZeroU32>> {
    let arguments = CloneArguments {
        flags,
        exit_signal,
        cgroup: cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
        ..CloneArguments::default()
    };
    // SAFETY: without CLONE_VM the child has its own copy of this single-threaded process, and goes on where it is.
    let pid = unsafe {
        syscall(
            number::CLONE3,
            [
                &raw const arguments as usize,
                size_of::<CloneArguments>(),
                0,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(NonZeroU32::new(pid as u32))
}

/// clone(2) as fork(2): `None` in the child, its process id in the parent.
///
/// For a process that has its seccomp filter already: docker's profile answers `clone3` with `ENOSYS`, because a filter
/// cannot see its flags.
pub(crate) fn fork(exit_signal: u32) -> Result<Option<NonZeroU32>> {
    // SAFETY: without CLONE_VM the child has its own copy of this single-threaded process, and goes on where it is, on
    // the same stack.
    let pid = unsafe { syscall(number::CLONE, [exit_signal as usize, 0, 0, 0, 0, 0]) }?;
    Ok(NonZeroU32::new(pid as u32))
}

/// `struct mount_attr` (mount_setattr(2)).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// mount_setattr(2) on what `mount` refers to, with everything below it where `recursive`.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    set: u32,
    clear: u32,
    propagation: u32,
    recursive: bool,
) -> Result<()> {
    const AT_EMPTY_PATH: usize = 0x1000;
    const AT_RECURSIVE: usize = 0x8000;
    let attributes = MountAttributes {
        set: set.into(),
        clear: clear.into(),
        propagation: propagation.into(),
        user_namespace: 0,
    };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, the structure is of the size given; both outlive the call.
    unsafe {
        syscall(
            number::MOUNT_SETATTR,
            [
                mount.as_raw_fd() as usize,
                c"".as_ptr() as usize,
                flags,
                &raw const attributes as usize,
                size_of::<MountAttributes>(),
                0,
            ],
        )
    }?;
    Ok(())
}

/// close_range(2) from `first` up: marks every descriptor close-on-exec.
pub(crate) fn close_on_exec_from(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    // SAFETY: takes no pointer; no descriptor is closed before the execve that ends this program.
    unsafe {
        syscall(
            number::CLOSE_RANGE,
            [
                first as usize,
                u32::MAX as usize,
                CLOSE_RANGE_CLOEXEC,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(())
}

/// execve(2). Returns only to tell why it failed.
///
/// # Safety
/// `arguments` and `environment` must be null-terminated arrays of pointers to C strings.
pub(crate) unsafe fn execve(
    path: &CStr,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> Errno {
    // SAFETY: the caller vouches for the arrays.
    let result = unsafe {
        syscall(
            number::EXECVE,
            [
                path.as_ptr() as usize,
                arguments as usize,
                environment as usize,
                0,
                0,
                0,
            ],
        )
    };
    result.err().unwrap_or(Errno::INVAL)
}

/// execveat(2) of an open file. Returns only to tell why it failed.
///
/// # Safety
/// As [`execve`].
pub(crate) unsafe fn execute_file(
    file: BorrowedFd<'_>,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> Errno {
    const AT_EMPTY_PATH: usize = 0x1000;
    // SAFETY: the path is an empty C string; the caller vouches for the arrays.
    let result = unsafe {
        syscall(
            number::EXECVEAT,
            [
                file.as_raw_fd() as usize,
                c"".as_ptr() as usize,
                arguments as usize,
                environment as usize,
                AT_EMPTY_PATH,
                0,
            ],
        )
    };
    result.err().unwrap_or(Errno::INVAL)
}

/// Whether the working directory can be named from the root (getcwd(2)).
pub(crate) fn working_directory_is_below_root() -> Result<bool> {
    let mut path = [0_u8; 4096];
    // SAFETY: the buffer is as long as is said.
    unsafe {
        syscall(
            number::GETCWD,
            [path.as_mut_ptr() as usize, path.len(), 0, 0, 0, 0],
        )
    }?;
    // The kernel writes `(unreachable)` before the path of a directory that lies elsewhere.
    Ok(path[0] == b'/')
}

/// getresuid(2) and getresgid(2): real, effective and saved ids.
pub(crate) fn ids() -> Result<([u32; 3], [u32; 3])> {
    let (mut users, mut groups) = ([0_u32; 3], [0_u32; 3]);
    for (number, ids) in [
        (number::GETRESUID, &mut users),
        (number::GETRESGID, &mut groups),
    ] {
        let [real, effective, saved] = ids.each_mut().map(|id| id as *mut u32 as usize);
        // SAFETY: the kernel writes one id through each pointer.
        unsafe { syscall(number, [real, effective, saved, 0, 0, 0]) }?;
    }
    Ok((users, groups))
}

/// getgroups(2) into `groups`; how many there are. More than fit is `EINVAL`.
pub(crate) fn getgroups(groups: &mut [u32]) -> Result<usize> {
    // SAFETY: the kernel writes at most as many ids as the slice is long.
    unsafe {
        syscall(
            number::GETGROUPS,
            [groups.len(), groups.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    }
}

/// The three classic capability sets, bit by number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
}

/// `_LINUX_CAPABILITY_VERSION_3`, for the calling thread (capget(2)).
static CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];

/// capget(2).
pub(crate) fn capget() -> Result<Capabilities> {
    let mut data = [[0_u32; 3]; 2];
    // SAFETY: version 3 of the header goes with two structures of three numbers.
    unsafe {
        syscall(
            number::CAPGET,
            [
                &raw const CAPABILITY_HEADER as usize,
                data.as_mut_ptr() as usize,
                0,
                0,
                0,
                0,
            ],
        )
    }?;
    let set = |index: usize| u64::from(data[0][index]) | u64::from(data[1][index]) << 32;
    Ok(Capabilities {
        effective: set(0),
        permitted: set(1),
        inheritable: set(2),
    })
}

/// capset(2).
pub(crate) fn capset(sets: Capabilities) -> Result<()> {
    let half = |shift: u32| {
        [
            (sets.effective >> shift) as u32,
            (sets.permitted >> shift) as u32,
            (sets.inheritable >> shift) as u32,
        ]
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 of the header goes with two structures of three numbers.
    unsafe {
        syscall(
            number::CAPSET,
            [
                &raw const CAPABILITY_HEADER as usize,
                data.as_ptr() as usize,
                0,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(())
}

pub(crate) const PR_SET_DUMPABLE: usize = 4;
pub(crate) const PR_SET_PDEATHSIG: usize = 1;
pub(crate) const SIGKILL: usize = 9;
pub(crate) const PR_SET_KEEPCAPS: usize = 8;
pub(crate) const PR_CAPBSET_READ: usize = 23;
pub(crate) const PR_CAPBSET_DROP: usize = 24;
pub(crate) const PR_SET_CHILD_SUBREAPER: usize = 36;
pub(crate) const PR_SET_NO_NEW_PRIVS: usize = 38;
pub(crate) const PR_GET_NO_NEW_PRIVS: usize = 39;
pub(crate) const PR_CAP_AMBIENT: usize = 47;
pub(crate) const PR_CAP_AMBIENT_RAISE: usize = 2;
pub(crate) const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;

/// prctl(2), for the operations above, which take numbers only.
pub(crate) fn prctl(operation: usize, second: usize, third: usize) -> Result<usize> {
    // SAFETY: none of the operations named in this module takes a pointer.
    unsafe { syscall(number::PRCTL, [operation, second, third, 0, 0, 0]) }
}

/// `struct sock_fprog` (seccomp(2)).
#[repr(C)]
struct FilterProgram {
    length: u16,
    instructions: *const u8,
}

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` (seccomp(2)).
pub(crate) const NEW_LISTENER: u32 = 1 << 3;

/// seccomp(2): loads a filter, `struct sock_filter` after `struct sock_filter`. With [`NEW_LISTENER`] the result is the number
/// of the listener's descriptor.
pub(crate) fn load_seccomp(filter: &[u8], flags: u32) -> Result<usize> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    const INSTRUCTION_SIZE: usize = 8;
    let program = FilterProgram {
        length: u16::try_from(filter.len() / INSTRUCTION_SIZE).map_err(|_| Errno::INVAL)?,
        instructions: filter.as_ptr(),
    };
    // SAFETY: the kernel copies `length` instructions of eight bytes each, which `filter` holds, from any alignment.
    unsafe {
        syscall(
            number::SECCOMP,
            [
                SECCOMP_SET_MODE_FILTER,
                flags as usize,
                &raw const program as usize,
                0,
                0,
                0,
            ],
        )
    }
}

/// sched_yield(2).
pub(crate) fn sched_yield() {
    // SAFETY: takes no pointer.
    let _ = unsafe { syscall(number::SCHED_YIELD, [0; 6]) };
}

/// Starts a thread of this program that calls `work`, which must not return (clone(2)). It has its own stack and shares all else.
pub(crate) fn start_thread(work: extern "C" fn() -> !) -> Result<()> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    const STACK_SIZE: usize = 64 * 1024;
    // CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD, CLONE_SYSVSEM.
    const FLAGS: usize = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
    // SAFETY: a fresh mapping at an address of the kernel's choice, never unmapped.
    let stack = unsafe {
        mmap_anonymous(
            core::ptr::null_mut(),
            STACK_SIZE,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }?;
    let top = stack as usize + STACK_SIZE;
    let result: isize;
    // SAFETY: the System V ABI of the kernel. The new thread returns with its stack pointer at the mapping's end, which is
    // aligned, and goes on in `work`, which does not return: it uses nothing of this frame.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number::CLONE as isize => result,
            in("rdi") FLAGS,
            in("rsi") top,
            in("rdx") 0,
            in("r10") 0,
            in("r8") 0,
            in("r12") work,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    match result {
        -4095..0 => Err(Errno::from_raw_os_error(-result as i32)),
        _ => Ok(()),
    }
}

/// exit(2): ends this thread alone.
pub(crate) fn exit_thread() -> ! {
    loop {
        // SAFETY: takes no pointer, and does not return.
        let _ = unsafe { syscall(number::EXIT, [0; 6]) };
    }
}

/// `struct ifreq` with flags (netdevice(7)).
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Brings the interface `lo` up (`SIOCSIFFLAGS`, netdevice(7)).
pub(crate) fn bring_loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u16 = 1;
    const _: () =
        assert!(offset_of!(InterfaceRequest, flags) == 16 && size_of::<InterfaceRequest>() == 40);
    let mut request = InterfaceRequest {
        name: [0; 16],
        flags: IFF_UP,
        rest: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: the kernel reads one `struct ifreq`.
    unsafe {
        syscall(
            number::IOCTL,
            [
                socket.as_raw_fd() as usize,
                SIOCSIFFLAGS,
                &raw const request as usize,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(())
}

/// A set of signals, bit `n - 1` for signal `n`.
pub(crate) type SignalSet = u64;

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

/// kill(2).
pub(crate) fn kill(pid: i32, signal: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { syscall(number::KILL, [pid as usize, signal as usize, 0, 0, 0, 0]) }?;
    Ok(())
}

/// wait4(2) for any child that has ended, without waiting: its id and wait status.
pub(crate) fn reap_one() -> Result<Option<(u32, i32)>> {
    const WNOHANG: usize = 1;
    let mut status = 0_i32;
    // SAFETY: the kernel writes one number through the pointer.
    let pid = unsafe {
        syscall(
            number::WAIT4,
            [usize::MAX, &raw mut status as usize, WNOHANG, 0, 0, 0],
        )
    }?;
    Ok((pid != 0).then_some((pid as u32, status)))
}

/// wait4(2) for one child, until it has ended: its wait status.
pub(crate) fn wait(pid: u32) -> Result<i32> {
    let mut status = 0_i32;
    loop {
        // SAFETY: the kernel writes one number through the pointer.
        match unsafe {
            syscall(
                number::WAIT4,
                [pid as usize, &raw mut status as usize, 0, 0, 0, 0],
            )
        } {
            Err(Errno::INTR) => {}
            result => return result.map(|_| status),
        }
    }
}

/// keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`: joins a new session keyring.
pub(crate) fn join_new_keyring(name: &CStr) -> Result<()> {
    const JOIN_SESSION_KEYRING: usize = 1;
    // SAFETY: the kernel reads a string that ends with NUL.
    unsafe {
        syscall(
            number::KEYCTL,
            [JOIN_SESSION_KEYRING, name.as_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// keyctl(2), `KEYCTL_GET_KEYRING_ID`: the session keyring of this process.
pub(crate) fn session_keyring() -> Result<i32> {
    const GET_KEYRING_ID: usize = 0;
    /// `KEY_SPEC_SESSION_KEYRING` of `linux/keyctl.h`.
    const SESSION_KEYRING: isize = -3;
    // SAFETY: takes no pointer.
    let id = unsafe {
        syscall(
            number::KEYCTL,
            [GET_KEYRING_ID, SESSION_KEYRING.cast_unsigned(), 0, 0, 0, 0],
        )
    }?;
    Ok(id as i32)
}

/// dup2(2): makes `number` a copy of `descriptor`, whatever it was.
pub(crate) fn duplicate(descriptor: BorrowedFd<'_>, number: i32) -> Result<()> {
    // SAFETY: takes no pointer; the plan places descriptors when nothing else refers to these numbers any more.
    unsafe {
        syscall(
            number::DUP2,
            [descriptor.as_raw_fd() as usize, number as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// personality(2): sets the execution domain.
pub(crate) fn personality(personality: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { syscall(number::PERSONALITY, [personality as usize, 0, 0, 0, 0, 0]) }?;
    Ok(())
}

/// sched_setattr(2) on this process; `attributes` is a whole `struct sched_attr`, which tells its own size.
pub(crate) fn sched_setattr(attributes: &[u8]) -> Result<()> {
    if attributes.len() < size_of::<u32>() {
        return Err(Errno::INVAL);
    }
    // SAFETY: the kernel reads as many bytes as the first four say, which the plan has set to the length.
    unsafe {
        syscall(
            number::SCHED_SETATTR,
            [0, attributes.as_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// ioprio_set(2) on this process.
pub(crate) fn ioprio_set(priority: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    // SAFETY: takes no pointer.
    unsafe {
        syscall(
            number::IOPRIO_SET,
            [IOPRIO_WHO_PROCESS, 0, priority as usize, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// sched_setaffinity(2) on this process; bit by CPU.
pub(crate) fn sched_setaffinity(mask: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads `mask.len()` bytes.
    unsafe {
        syscall(
            number::SCHED_SETAFFINITY,
            [0, mask.len(), mask.as_ptr() as usize, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// set_mempolicy(2); bit by node.
pub(crate) fn set_mempolicy(mode: u32, nodes: &[u8]) -> Result<()> {
    // The kernel takes one off the number of bits before it reads them.
    let bits = match nodes.len() {
        0 => 0,
        length => length * 8 + 1,
    };
    // SAFETY: the kernel reads whole words, up to the last bit that counts; `nodes` is made of whole words.
    unsafe {
        syscall(
            number::SET_MEMPOLICY,
            [mode as usize, nodes.as_ptr() as usize, bits, 0, 0, 0],
        )
    }?;
    Ok(())
}

/// The descriptor with this number.
///
/// # Safety
/// It must be open, and stay so for as long as the result is used.
pub(crate) unsafe fn descriptor<'a>(number: i32) -> BorrowedFd<'a> {
    // SAFETY: handed on.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Maps `file` and forgets it: read-only and private, or writable and shared.
pub(crate) fn map(file: impl AsFd, length: usize, writable: bool) -> Result<&'static mut [u8]> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    let (protection, flags) = if writable {
        (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)
    } else {
        (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    };
    // SAFETY: a fresh mapping at an address of the kernel's choice, never unmapped. The owner keeps the file at this
    // length: the plan is sealed, the file of times is not shortened while this program runs.
    unsafe {
        let start = mmap(core::ptr::null_mut(), length, protection, flags, file, 0)?;
        Ok(core::slice::from_raw_parts_mut(start.cast(), length))
    }
}

/// Fresh zeroed memory for `count` pointers.
pub(crate) fn pointers(count: usize) -> Result<&'static mut [*const c_char]> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    let length = count * size_of::<*const c_char>();
    // SAFETY: a fresh anonymous mapping, page-aligned, never unmapped; null pointers are valid values.
    unsafe {
        let start = mmap_anonymous(
            core::ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )?;
        Ok(core::slice::from_raw_parts_mut(start.cast(), count))
    }
}
