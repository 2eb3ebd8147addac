//! One function per system call; a call that fails ends the program with its name and errno.
#![allow(
    unsafe_code,
    reason = "raw system calls: the floor has no library below it"
)]

use core::arch::asm;
use core::ffi::CStr;

use libc::c_long;

/// A file descriptor. Closed by `execve`, `exit` or one `close_range`, as closing each would add calls.
pub(crate) type Fd = i32;

/// The current directory as the start of a relative path.
pub(crate) const HERE: Fd = libc::AT_FDCWD;

/// What a call answered: a value, or a negative errno.
#[derive(Clone, Copy)]
pub(crate) struct Answer(&'static str, isize);

impl Answer {
    /// The value; a failure ends the program.
    pub(crate) fn must(self) -> usize {
        match usize::try_from(self.1) {
            Ok(value) => value,
            Err(_) => {
                say(b"floor: ");
                say(self.0.as_bytes());
                say(b": errno ");
                let errno = self.1.unsigned_abs();
                say(&[
                    b'0' + (errno / 100) as u8,
                    b'0' + (errno / 10 % 10) as u8,
                    b'0' + (errno % 10) as u8,
                    b'\n',
                ]);
                exit(125)
            }
        }
    }

    /// The value as a descriptor.
    pub(crate) fn fd(self) -> Fd {
        self.must() as Fd
    }

    /// The value, or nothing where the call failed.
    pub(crate) fn ok(self) -> Option<usize> {
        usize::try_from(self.1).ok()
    }
}

fn call(name: &'static str, number: c_long, arguments: [usize; 6]) -> Answer {
    let [a, b, c, d, e, f] = arguments;
    let answer: isize;
    // SAFETY: the functions below pass pointers that they borrow for the call, and calls that take memory away from the
    // program (execve, exit) do not come back.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => answer, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    Answer(name, answer)
}

fn text(text: &CStr) -> usize {
    text.as_ptr() as usize
}

fn at<T: ?Sized>(value: &T) -> usize {
    core::ptr::from_ref(value).cast::<()>() as usize
}

fn say(bytes: &[u8]) {
    write(2, bytes).ok();
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty),*) = $number:ident [$($value:expr),*];)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name($($argument: $kind),*) -> Answer {
            let given = [$($value as usize),*];
            let mut all = [0; 6];
            for (to, from) in all.iter_mut().zip(given) {
                *to = from;
            }
            call(stringify!($name), libc::$number, all)
        }
    )*};
}

calls! {
    /// Opens a file for writing.
    open_write(path: &CStr) = SYS_openat [HERE, text(path), libc::O_WRONLY | libc::O_CLOEXEC];
    /// Opens a file for reading.
    open_read(path: &CStr) = SYS_openat [HERE, text(path), libc::O_RDONLY | libc::O_CLOEXEC];
    /// Opens a directory.
    open_directory(path: &CStr) = SYS_openat [HERE, text(path), libc::O_DIRECTORY | libc::O_CLOEXEC];
    /// Reads.
    read(fd: Fd, buffer: &mut [u8]) = SYS_read [fd, at(buffer), buffer.len()];
    /// Writes.
    write(fd: Fd, bytes: &[u8]) = SYS_write [fd, at(bytes), bytes.len()];
    /// Closes.
    close(fd: Fd) = SYS_close [fd];
    /// Marks every descriptor from `first` on to be closed by execve.
    close_from(first: Fd) = SYS_close_range [first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC];
    /// Makes a directory.
    mkdir(directory: Fd, path: &CStr, mode: u32) = SYS_mkdirat [directory, text(path), mode];
    /// Removes a directory.
    rmdir(path: &CStr) = SYS_unlinkat [HERE, text(path), libc::AT_REMOVEDIR];
    /// Makes a device.
    mknod(directory: Fd, path: &CStr, mode: u32, device: u64) = SYS_mknodat [directory, text(path), mode, device];
    /// Makes a symbolic link.
    symlink(content: &CStr, directory: Fd, path: &CStr) = SYS_symlinkat [text(content), directory, text(path)];
    /// Changes the current directory.
    fchdir(fd: Fd) = SYS_fchdir [fd];
    /// Changes the current directory by path.
    chdir(path: &CStr) = SYS_chdir [text(path)];
    /// Reads the current directory's path.
    getcwd(buffer: &mut [u8]) = SYS_getcwd [at(buffer), buffer.len()];
    /// Sets the umask.
    umask(mask: u32) = SYS_umask [mask];
    /// Reads a symbolic link.
    readlink(directory: Fd, path: &CStr, buffer: &mut [u8]) = SYS_readlinkat [directory, text(path), at(buffer), buffer.len()];
    /// Opens a file below a directory handle, for reading.
    open_below(directory: Fd, path: &CStr) = SYS_openat [directory, text(path), libc::O_RDONLY | libc::O_CLOEXEC];
    /// Makes a memory file that can be sealed.
    memfd(name: &CStr, flags: u32) = SYS_memfd_create [text(name), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | flags];
    /// Seals a memory file.
    seal(fd: Fd) = SYS_fcntl [fd, libc::F_ADD_SEALS, libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE];
    /// Makes a pair of sockets that keep messages apart.
    socketpair(pair: &mut [Fd; 2]) = SYS_socketpair [libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, at(pair)];
    /// Makes a datagram socket.
    datagram_socket() = SYS_socket [libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0];
    /// Sets an interface's flags.
    set_interface_flags(socket: Fd, request: &libc::ifreq) = SYS_ioctl [socket, libc::SIOCSIFFLAGS, at(request)];
    /// Sends a message.
    sendmsg(socket: Fd, message: &libc::msghdr) = SYS_sendmsg [socket, at(message), 0];
    /// Receives a message.
    recvmsg(socket: Fd, message: &mut libc::msghdr) = SYS_recvmsg [socket, at(message), libc::MSG_CMSG_CLOEXEC];
    /// Lets a descriptor through execve.
    keep(fd: Fd) = SYS_fcntl [fd, libc::F_SETFD, 0];
    /// Makes a process like this one.
    clone(arguments: &libc::clone_args) = SYS_clone3 [at(arguments), size_of::<libc::clone_args>()];
    /// Makes new namespaces for this process.
    unshare(flags: i32) = SYS_unshare [flags];
    /// Joins namespaces of a process.
    setns(pidfd: Fd, flags: i32) = SYS_setns [pidfd, flags];
    /// Opens a process.
    pidfd_open(pid: i32) = SYS_pidfd_open [pid, 0];
    /// Waits for the end of a process, by id.
    wait_pid(pid: i32, info: &mut libc::siginfo_t) = SYS_waitid [libc::P_PID, pid, at(info), libc::WEXITED | libc::__WALL, 0];
    /// Waits for the end of a process, by pidfd.
    wait_pidfd(fd: Fd, info: &mut libc::siginfo_t) = SYS_waitid [libc::P_PIDFD, fd, at(info), libc::WEXITED | libc::__WALL, 0];
    /// As `wait_pid`, and what the process used.
    wait_usage(pid: i32, info: &mut libc::siginfo_t, usage: &mut [u64; 18]) = SYS_waitid [libc::P_PID, pid, at(info), libc::WEXITED | libc::__WALL, at(usage)];
    /// Makes every mount private.
    make_private() = SYS_mount [0, text(c"/"), 0, libc::MS_REC | libc::MS_PRIVATE, 0];
    /// Clones a mount, detached.
    open_tree(directory: Fd, path: &CStr, flags: u32) = SYS_open_tree [directory, text(path), libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | flags];
    /// Attaches a detached mount at a directory or file handle.
    attach(mount: Fd, target: Fd) = SYS_move_mount [mount, text(c""), target, text(c""), libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH];
    /// Attaches a detached mount over `/`.
    attach_over_root(mount: Fd) = SYS_move_mount [mount, text(c""), HERE, text(c"/"), libc::MOVE_MOUNT_F_EMPTY_PATH];
    /// Begins a file system.
    fsopen(kind: &CStr) = SYS_fsopen [text(kind), 1];
    /// Sets an option of a file system that takes a value.
    fsconfig_string(fd: Fd, key: &CStr, value: &CStr) = SYS_fsconfig [fd, 1, text(key), text(value), 0];
    /// Makes the file system.
    fsconfig_create(fd: Fd) = SYS_fsconfig [fd, 6, 0, 0, 0];
    /// Makes a mount of it.
    fsmount(fd: Fd, attributes: u64) = SYS_fsmount [fd, 1, attributes];
    /// Changes a mount's attributes.
    mount_setattr(fd: Fd, flags: i32, attributes: &libc::mount_attr) = SYS_mount_setattr [fd, text(c""), libc::AT_EMPTY_PATH | flags, at(attributes), size_of::<libc::mount_attr>()];
    /// Opens a path below a directory, never leaving it.
    openat2(directory: Fd, path: &CStr, how: &[u64; 3]) = SYS_openat2 [directory, text(path), at(how), size_of_val(how)];
    /// Takes `new` as the root.
    pivot_root(new: &CStr, old: &CStr) = SYS_pivot_root [text(new), text(old)];
    /// Lets go of a mount and all below it.
    detach(path: &CStr) = SYS_umount2 [text(path), libc::MNT_DETACH];
    /// Sets the host name.
    sethostname(name: &CStr) = SYS_sethostname [text(name), name.count_bytes()];
    /// Starts a session.
    setsid() = SYS_setsid [];
    /// Sets the supplementary groups.
    setgroups(groups: &[u32]) = SYS_setgroups [groups.len(), at(groups)];
    /// Reads the supplementary groups.
    getgroups(groups: &mut [u32]) = SYS_getgroups [groups.len(), at(groups)];
    /// Sets all group ids.
    setresgid(id: u32) = SYS_setresgid [id, id, id];
    /// Sets all user ids.
    setresuid(id: u32) = SYS_setresuid [id, id, id];
    /// Reads all group ids.
    getresgid(ids: &mut [u32; 3]) = SYS_getresgid [at(&ids[0]), at(&ids[1]), at(&ids[2])];
    /// Reads all user ids.
    getresuid(ids: &mut [u32; 3]) = SYS_getresuid [at(&ids[0]), at(&ids[1]), at(&ids[2])];
    /// prctl with one or two numbers.
    prctl(option: i32, first: u64, second: u64) = SYS_prctl [option, first, second];
    /// Sets the capabilities.
    capset(header: &[u32; 2], sets: &[u32; 6]) = SYS_capset [at(header), at(sets)];
    /// Reads the capabilities.
    capget(header: &[u32; 2], sets: &mut [u32; 6]) = SYS_capget [at(header), at(sets)];
    /// Loads a filter.
    seccomp(program: &libc::sock_fprog) = SYS_seccomp [libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_LOG, at(program)];
    /// As `execve`, with an environment that is a vector already.
    execve_with(path: &CStr, arguments: *const *const u8, environment: *const *const u8) = SYS_execve [text(path), arguments as usize, environment as usize];
    /// Executes a program; comes back only where that failed.
    execve(path: &CStr, arguments: *const *const u8, environment: &[*const u8]) = SYS_execve [text(path), arguments as usize, at(environment)];
}

/// Ends the program.
pub(crate) fn exit(code: i32) -> ! {
    call(
        "exit_group",
        libc::SYS_exit_group,
        [code as usize, 0, 0, 0, 0, 0],
    );
    loop {
        core::hint::spin_loop();
    }
}

/// `clone3` with `arguments` (which ask for shared memory and a suspended parent), and in the child nothing but
/// `execveat` of `program`: the child never touches the memory it shares. The answer is the child's id.
#[inline(never)]
pub(crate) fn clone_and_execute(
    arguments: &libc::clone_args,
    program: Fd,
    argv: &[*const u8],
    environment: &[*const u8],
) -> Answer {
    let answer: isize;
    // SAFETY: between clone3 and execveat the child works in registers only; the parent is suspended meanwhile.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov edi, {program:e}",
            "mov rsi, {empty}",
            "mov rdx, {argv}",
            "mov r10, {environment}",
            "mov r8d, {flags}",
            "mov eax, {execveat}",
            "syscall",
            "mov edi, 127",
            "mov eax, {exit}",
            "syscall",
            "2:",
            program = in(reg) program,
            empty = in(reg) c"".as_ptr(),
            argv = in(reg) argv.as_ptr(),
            environment = in(reg) environment.as_ptr(),
            flags = const libc::AT_EMPTY_PATH,
            execveat = const libc::SYS_execveat,
            exit = const libc::SYS_exit_group,
            inlateout("rax") libc::SYS_clone3 as isize => answer,
            inlateout("rdi") core::ptr::from_ref(arguments) => _,
            inlateout("rsi") size_of::<libc::clone_args>() => _,
            out("rdx") _, out("r10") _, out("r8") _, out("rcx") _, out("r11") _,
            options(nostack),
        );
    }
    Answer("clone3", answer)
}

/// Whether the handle is a directory's.
pub(crate) fn is_directory(fd: Fd) -> bool {
    let mut status = core::mem::MaybeUninit::<libc::stat>::zeroed();
    call(
        "fstat",
        libc::SYS_fstat,
        [fd as usize, at(&status), 0, 0, 0, 0],
    )
    .must();
    // SAFETY: all zeros is a valid `stat`, and the kernel has filled it.
    let status = unsafe { status.assume_init_mut() };
    status.st_mode & libc::S_IFMT == libc::S_IFDIR
}

/// Where a wait puts its answer.
pub(crate) fn no_information() -> libc::siginfo_t {
    // SAFETY: all zeros is a valid `siginfo_t`.
    unsafe { core::mem::zeroed() }
}

/// The exit code in a wait's answer; 128 and the signal where one ended the process.
pub(crate) fn status(information: &libc::siginfo_t) -> i32 {
    // SAFETY: a wait has filled it.
    let status = unsafe { information.si_status() };
    if information.si_code == libc::CLD_EXITED {
        status
    } else {
        128 + status
    }
}

/// The first string of a vector.
pub(crate) fn first(vector: *const *const u8) -> &'static CStr {
    // SAFETY: the vector is the kernel's own argument vector, whose strings live as long as the process.
    unsafe { CStr::from_ptr((*vector).cast()) }
}

/// The first `length` bytes of a file as memory; what lies beyond its last page must not be touched.
pub(crate) fn map_file(fd: Fd, length: usize) -> &'static [u8] {
    let arguments = [
        0,
        length,
        libc::PROT_READ as usize,
        libc::MAP_PRIVATE as usize,
        fd as usize,
        0,
    ];
    let address = call("mmap", libc::SYS_mmap, arguments).must();
    // SAFETY: the kernel has just mapped that many bytes, and they stay. Only `write` reads them, and it ends where they end.
    unsafe { core::slice::from_raw_parts(address as *const u8, length) }
}
