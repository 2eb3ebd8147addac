//! Which functions a program executes: a breakpoint on each, which the first call takes away (ptrace(2)).
#![allow(unsafe_code, reason = "ptrace(2) and waitpid(2) as they are")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr::{null_mut, without_provenance_mut};

use crate::command::Outcome;

/// `int3`: the processor traps, its instruction pointer one behind.
const BREAKPOINT: [u8; 1] = [0xcc];

/// Runs `program` and tells which of `functions` it has executed, in the order of their first call. Processes that share its memory are
/// followed until they execute another program. An error where it fails.
pub(super) fn executed(program: &Path, words: &[String], functions: &[u64]) -> Outcome<Vec<u64>> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    // SAFETY: between fork and execve the closure makes one system call.
    let child = unsafe {
        command
            .pre_exec(|| request(libc::PTRACE_TRACEME, 0, null_mut()))
            .spawn()
    }?;
    let pid = child.id().cast_signed();
    // It has stopped at its execve.
    wait(pid)?;
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/proc/{pid}/mem"))?;
    let mut watch = Watch::set(memory, functions)?;
    let options = libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SETOPTIONS, pid, number(options))?;
    request(libc::PTRACE_CONT, pid, null_mut())?;
    loop {
        let (stopped, status) = wait(-1)?;
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            match stopped == pid {
                true if status == 0 => return Ok(watch.executed),
                true => return Err(format!("`{}` has failed", words.join(" ")).into()),
                false => continue,
            }
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let done = match signal {
            // Another program, at other addresses.
            libc::SIGTRAP if event == libc::PTRACE_EVENT_EXEC => {
                request(libc::PTRACE_DETACH, stopped, null_mut())
            }
            libc::SIGTRAP => {
                if event == 0 {
                    watch.pass(stopped)?;
                }
                request(libc::PTRACE_CONT, stopped, null_mut())
            }
            // A new process begins so.
            libc::SIGSTOP => request(libc::PTRACE_CONT, stopped, null_mut()),
            signal => request(libc::PTRACE_CONT, stopped, number(signal)),
        };
        match done {
            // It was ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            done => done?,
        }
    }
}

/// The breakpoints that are set.
struct Watch {
    memory: File,
    /// What stood in their place.
    replaced: HashMap<u64, u8>,
    executed: Vec<u64>,
}

impl Watch {
    fn set(memory: File, functions: &[u64]) -> io::Result<Self> {
        let mut replaced = HashMap::new();
        for &address in functions {
            let mut byte = [0];
            memory.read_exact_at(&mut byte, address)?;
            memory.write_all_at(&BREAKPOINT, address)?;
            replaced.insert(address, byte[0]);
        }
        Ok(Self {
            memory,
            replaced,
            executed: Vec::new(),
        })
    }

    /// Takes away the breakpoint at which the process has stopped, and has it execute what stood there.
    fn pass(&mut self, pid: i32) -> io::Result<()> {
        // SAFETY: the register set is plain data, for which zeroes are a value; the kernel fills it.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        request(libc::PTRACE_GETREGS, pid, (&raw mut registers).cast())?;
        let address = registers.rip - 1;
        let Some(byte) = self.replaced.get(&address) else {
            return Ok(());
        };
        self.memory.write_all_at(&[*byte], address)?;
        if !self.executed.contains(&address) {
            self.executed.push(address);
        }
        registers.rip = address;
        request(libc::PTRACE_SETREGS, pid, (&raw mut registers).cast())
    }
}

fn request(request: libc::c_uint, pid: i32, data: *mut c_void) -> io::Result<()> {
    // SAFETY: the requests made here read or write at most the register set that `pass` owns, at `data`.
    let result = unsafe { libc::ptrace(request, pid, null_mut::<c_void>(), data) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A number where ptrace(2) takes an address.
fn number(number: i32) -> *mut c_void {
    without_provenance_mut(number as usize)
}

/// Waits for a process, or with -1 for any.
fn wait(pid: i32) -> io::Result<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the status is this function's own.
    let stopped = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
    match stopped {
        -1 => Err(io::Error::last_os_error()),
        stopped => Ok((stopped, status)),
    }
}
