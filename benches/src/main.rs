//! `floor`: starts a container with the bare system calls that Hoist's plan needs, and nothing else.
//!
//! No parsing, no configuration, no records, no checks that need no system call: paths, sizes and options are constants. It is
//! the yardstick of `cargo xtask bench`, not a tool: a failed call ends it with the call's name and errno.
//!
//! ```text
//! floor run  [FLAG…] NAME ROOTFS PROGRAM [ARG…]    create, start, wait, delete
//! floor exec [FLAG…] NAME PID    PROGRAM [ARG…]    the same for a process in a running container
//! floor measure PROGRAM [ARG…]                     print a program's peak memory in KiB
//! ```
//!
//! The container's cgroups are called NAME. Flags: `--docker` adds what docker's default spec adds to five namespaces and six
//! mounts, `--seccomp` a filter of the size of docker's default profile; `--direct` and `--overlap` are other orders of the same
//! calls, to learn what they bring. One module per operation: [`run`] and [`exec`] are
//! the owner's half, [`container`] and [`identity`] the container's.

#![no_std]
#![no_main]

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("the floor knows Linux on x86_64 only");

mod cgroup;
mod channel;
mod container;
mod exec;
mod filter;
mod helper;
mod identity;
mod measure;
mod run;
mod start;
mod sys;

use core::ffi::CStr;

/// What to do, as the command line says it.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// Cgroup mounts, hidden and read-only paths, device rules, as in docker's default spec.
    pub(crate) docker: bool,
    /// Load a seccomp filter.
    pub(crate) seccomp: bool,
    /// Clone the container straight from the owner instead of from the helper.
    pub(crate) direct: bool,
    /// Make the cgroups while the helper and the container's process are at work.
    pub(crate) overlap: bool,
    /// The name of the cgroups.
    pub(crate) name: &'static CStr,
    /// The root directory; for `exec` the id of the container's first process.
    pub(crate) place: &'static CStr,
    /// The program and its arguments, ending with a null pointer.
    pub(crate) program: *const *const u8,
}

/// Decides by the zeroth argument which side this process is: the owner, or a helper (`hSOCKET`).
fn main(arguments: start::Arguments) -> i32 {
    let mut next = 1;
    if arguments.get(next) == c"measure" {
        return measure::measure(arguments, next + 1);
    }
    let exec = arguments.get(next) == c"exec";
    next += 1;
    let mut request = Request {
        docker: false,
        seccomp: false,
        direct: false,
        overlap: false,
        name: c"",
        place: c"",
        program: core::ptr::null(),
    };
    loop {
        match arguments.get(next).to_bytes() {
            b"--docker" => request.docker = true,
            b"--seccomp" => request.seccomp = true,
            b"--direct" => request.direct = true,
            b"--overlap" => request.overlap = true,
            _ => break,
        }
        next += 1;
    }
    request.name = arguments.get(next);
    request.place = arguments.get(next + 1);
    request.program = arguments.from(next + 2);
    match (arguments.get(0).to_bytes(), exec) {
        ([b'h', socket @ ..], false) => run::helper(&request, start::number(socket)),
        ([b'h', socket @ ..], true) => exec::helper(&request, start::number(socket)),
        ([b'c', socket @ ..], _) => container::start(&request, start::number(socket)),
        (_, false) => run::owner(&request, arguments),
        (_, true) => exec::owner(&request, arguments),
    }
}
