//! A seccomp filter around a command, as the container has it in which somebody runs Hoist.
#![allow(unsafe_code, reason = "prctl(2) between fork and execve")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has the kernel refuse the system call of this number with `EPERM` to the command and to all that it starts. It must be root's.
pub fn refuse_call(command: &mut Command, call: u32) {
    let instruction = |code: u32, jumps: (u8, u8), k: u32| libc::sock_filter {
        code: code as u16,
        jt: jumps.0,
        jf: jumps.1,
        k,
    };
    let mut program = [
        // The number of the call is what `struct seccomp_data` begins with.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (0, 0), 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, (0, 1), call),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            (0, 0),
            libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(),
        ),
        instruction(libc::BPF_RET | libc::BPF_K, (0, 0), libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let filter = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: the kernel reads the filter and the program, which live until the call returns.
        match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and execve it makes one system call and allocates nothing.
    unsafe { command.pre_exec(install) };
}
