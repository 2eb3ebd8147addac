//! The probe's system calls.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

use libc::{c_int, c_long, c_void};

fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// errno of the last failed call.
pub fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Ends the process at once, without what `atexit` would do.
pub fn exit(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// Ends the calling thread alone, the first one, too.
pub fn end_thread() -> ! {
    // SAFETY: what the thread borrowed is not used again, as it does not return; the process goes on without it.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    exit(125)
}

/// The effective user id.
pub fn effective_uid() -> u32 {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group id.
pub fn effective_gid() -> u32 {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::getegid() }
}

/// Writes all of `bytes` to a descriptor.
pub fn write_all(fd: c_int, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: pointer and length come from one slice.
        let written = unsafe { libc::write(fd, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) => bytes = &bytes[count..],
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// Reads what there is, 0 at the end.
pub fn read(fd: c_int, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: pointer and length come from one slice.
        let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast::<c_void>(), buffer.len()) };
        match usize::try_from(count) {
            Ok(count) => return Ok(count),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Gives each of two names what the other names (renameat2(2), `RENAME_EXCHANGE`).
pub fn exchange(one: &str, other: &str) -> io::Result<()> {
    let (one, other) = (CString::new(one)?, CString::new(other)?);
    // SAFETY: both names are terminated and live until the call returns.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    check(result).map(drop)
}

/// Closes a descriptor.
pub fn close(fd: c_int) -> io::Result<()> {
    // SAFETY: the probe owns every descriptor it was started with, and nothing else here uses a closed one.
    check(unsafe { libc::close(fd) }).map(drop)
}

/// Makes a child process: `Some(pid)` in the parent, `None` in the child.
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the probe has one thread, so the child may use everything the parent could.
    let pid = check(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid))
}

/// Lets go of the standard streams, whose readers wait for their end.
pub fn close_streams() {
    for descriptor in 0..=2 {
        // SAFETY: nothing in a probe uses them after this; closing one that is not open does nothing.
        unsafe { libc::close(descriptor) };
    }
}

/// The processor time that this process has used.
pub fn processor_time() -> io::Result<Duration> {
    let mut used = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel fills the structure, which lives until the call returns.
    check(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut used) })?;
    Ok(Duration::new(used.tv_sec as u64, used.tv_nsec as u32))
}

/// Keeps what this process has inherited beside its standard streams from the programs that it executes.
pub fn close_others_on_execute() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC as usize;
    match call(libc::SYS_close_range, [3, u32::MAX as usize, flags, 0, 0]) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Waits for a child; its exit code, or 128 and its signal's number.
pub fn wait(pid: i32) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the answer.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    Ok(if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        128 + libc::WTERMSIG(status)
    })
}

/// Starts a session.
pub fn new_session() -> io::Result<()> {
    // SAFETY: it has no arguments.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Sends a signal to the process itself.
pub fn kill_self(signal: i32) -> io::Result<()> {
    if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
        // SAFETY: the standard library's own handler of these, which looks for stack overflows, is given up.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: any numbers may be given; the kernel refuses wrong ones.
    check(unsafe { libc::kill(libc::getpid(), signal) }).map(drop)
}

/// Reads address 0, which no program has.
pub fn fault() {
    // SAFETY: not sound on purpose: the kernel answers with SIGSEGV, which is what is asked for. Volatile, so that the
    // compiler keeps it.
    unsafe {
        let zero = std::hint::black_box(std::ptr::null::<u8>());
        std::arch::asm!("mov {0}, [{1}]", out(reg) _, in(reg) zero);
    }
}

/// Sends a signal to a process.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: any numbers may be given; the kernel refuses wrong ones.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Blocks a signal and waits for it; returns when it came.
pub struct Awaited(libc::sigset_t);

impl Awaited {
    /// Begins to hold the signal back.
    pub fn block(signal: i32) -> io::Result<Self> {
        // SAFETY: a zeroed sigset_t is valid, and `sigemptyset` initialises it anyway.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: `set` is valid for both calls; the old mask is not asked for.
        unsafe {
            libc::sigemptyset(&raw mut set);
            check(libc::sigaddset(&raw mut set, signal))?;
            check(libc::sigprocmask(
                libc::SIG_BLOCK,
                &raw const set,
                std::ptr::null_mut(),
            ))?;
        }
        Ok(Self(set))
    }

    /// Waits for it.
    pub fn wait(&self) -> io::Result<()> {
        loop {
            // SAFETY: the set is initialised; no siginfo is asked for.
            let waited =
                check(unsafe { libc::sigwaitinfo(&raw const self.0, std::ptr::null_mut()) });
            match waited {
                // It was stopped and continued (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                waited => return waited.map(drop),
            }
        }
    }
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// The size of the terminal behind a descriptor (rows, columns), where it is one.
pub fn terminal_size(fd: c_int) -> Option<[u16; 2]> {
    // SAFETY: a zeroed winsize is valid, and the call writes one.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) == 0)
            .then_some([size.ws_row, size.ws_col])
    }
}

/// Turns off echo, line mode and all translation of the terminal behind a descriptor.
pub fn make_raw(fd: c_int) -> io::Result<()> {
    // SAFETY: a zeroed termios is valid, and `tcgetattr` fills it before it is used.
    unsafe {
        let mut modes: libc::termios = std::mem::zeroed();
        check(libc::tcgetattr(fd, &raw mut modes))?;
        libc::cfmakeraw(&raw mut modes);
        check(libc::tcsetattr(fd, libc::TCSANOW, &raw const modes))?;
    }
    Ok(())
}

/// The session id, and the process group.
pub fn session_and_group() -> (i32, i32) {
    // SAFETY: 0 means the caller.
    unsafe { (libc::getsid(0), libc::getpgid(0)) }
}

/// The session of the terminal behind a descriptor, where it is the caller's controlling terminal.
pub fn terminal_session(fd: c_int) -> Option<i32> {
    // SAFETY: any descriptor may be asked.
    let session = unsafe { libc::tcgetsid(fd) };
    (session != -1).then_some(session)
}

/// The umask, which reading changes for a moment.
pub fn umask() -> u32 {
    // SAFETY: any mask is valid; the old one is put back.
    unsafe {
        let mask = libc::umask(0o22);
        libc::umask(mask);
        mask
    }
}

/// The soft and the hard value of a resource limit, `u64::MAX` for none.
pub fn limit(resource: u32) -> Option<[u64; 2]> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer.
    (unsafe { libc::getrlimit(resource, &raw mut limit) } == 0)
        .then_some([limit.rlim_cur, limit.rlim_max])
}

/// A system call with up to five arguments: 0 or the error number.
pub fn call(number: c_long, arguments: [usize; 5]) -> i32 {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the callers give numbers and null or static pointers only, which the kernel checks.
    if unsafe { libc::syscall(number, a, b, c, d, e) } == -1 {
        errno()
    } else {
        0
    }
}

/// The session keyring of this process (keyctl(2), `KEYCTL_GET_KEYRING_ID`).
pub fn session_keyring() -> io::Result<i64> {
    const GET_KEYRING_ID: c_long = 0;
    const SPEC_SESSION_KEYRING: c_long = -3;
    // SAFETY: numbers alone.
    match unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            GET_KEYRING_ID,
            SPEC_SESSION_KEYRING,
            0_i64,
        )
    } {
        -1 => Err(io::Error::last_os_error()),
        id => Ok(id),
    }
}

/// Leaves namespaces for new ones.
pub fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: the probe has one thread; any flags may be given.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Gives the calling thread, and the processes that it starts from here on, a mount namespace of its own, of whose mounts
/// nobody else hears.
pub fn unshare_mounts() -> io::Result<()> {
    // SAFETY: CLONE_NEWNS parts the thread's own view of the file system from that of the others; no memory is touched.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    mount("", "/", "", libc::MS_REC | libc::MS_PRIVATE)
}

/// Lets the mounts of the calling thread's namespace spread to those that are made from it.
pub fn share_mounts() -> io::Result<()> {
    mount("", "/", "", libc::MS_REC | libc::MS_SHARED)
}

/// mount(2).
pub fn mount(source: &str, target: &str, kind: &str, flags: u64) -> io::Result<()> {
    let text = |text: &str| CString::new(text).map_err(io::Error::other);
    let (source, target, kind) = (text(source)?, text(target)?, text(kind)?);
    // SAFETY: all three are NUL-terminated and live until the call returns; no data is given.
    check(unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            std::ptr::null(),
        )
    })
    .map(drop)
}

/// Makes the mount at a path read-only, for this mount namespace alone.
pub fn make_read_only(target: &str) -> io::Result<()> {
    mount(
        "",
        target,
        "",
        libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY,
    )
}

/// Unmounts what is on top at a path, lazily.
pub fn unmount(target: &str) -> io::Result<()> {
    let target = CString::new(target).map_err(io::Error::other)?;
    // SAFETY: the path is NUL-terminated and lives until the call returns.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Makes `fd` survive execve(2), as a careless program's descriptors do.
pub fn keep_over_execute(fd: c_int) -> io::Result<()> {
    // SAFETY: setting descriptor flags touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(drop)
}

/// Whether a descriptor can be read without waiting.
pub fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let mut asked = libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid `pollfd` is given, and no time to wait.
    unsafe { libc::poll(&raw mut asked, 1, 0) == 1 }
}

/// What SIGPIPE was when the program was executed: Rust's start-up code ignores it before `main`.
pub fn pipe_signal_was_ignored() -> bool {
    AT_START.load(std::sync::atomic::Ordering::Relaxed)
}

static AT_START: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

extern "C" fn remember_pipe_signal() {
    // SAFETY: a zeroed sigaction is valid, and asking for the present one changes nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action) == 0 {
            AT_START.store(
                action.sa_sigaction == libc::SIG_IGN,
                std::sync::atomic::Ordering::Relaxed,
            );
        }
    }
}

// SAFETY: the section holds pointers to functions of this type, which the C library calls before `main` (System V ABI).
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER: extern "C" fn() = remember_pipe_signal;
