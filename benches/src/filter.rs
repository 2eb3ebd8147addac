//! A seccomp filter as long and as deep as docker's default profile.

use libc::{sock_filter, sock_fprog};

use crate::sys;

/// Leaves of the search tree over system call numbers, per architecture.
const LEAVES: usize = 128;
/// Inner nodes, leaves, and the architecture's own comparison.
const TREE: usize = 2 * LEAVES - 1;
const LENGTH: usize = 4 + 2 * TREE;

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

const ALLOW: sock_filter = instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW);

/// A binary search over four numbers per leaf; every leaf allows.
const fn tree(program: &mut [sock_filter; LENGTH], at: usize, low: usize, leaves: usize) {
    if leaves == 1 {
        program[at] = ALLOW;
        return;
    }
    let half = leaves / 2;
    let right = at + 2 * half;
    // A jump reaches 255 instructions, and the left half of 128 leaves has 127.
    program[at] = instruction(
        libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K,
        (right - at - 1) as u8,
        0,
        ((low + half) * 4) as u32,
    );
    tree(program, at + 1, low, half);
    tree(program, right, low + half, leaves - half);
}

static PROGRAM: [sock_filter; LENGTH] = {
    let mut program = [ALLOW; LENGTH];
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    program[0] = instruction(load, 0, 0, 4);
    program[1] = instruction(
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        1,
        0,
        0xc000_003e,
    );
    program[2] = instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, TREE as u32 + 1);
    program[3] = instruction(load, 0, 0, 0);
    tree(&mut program, 4, 0, LEAVES);
    tree(&mut program, 4 + TREE, 0, LEAVES);
    program
};

/// Loads the filter; this needs CAP_SYS_ADMIN, as docker's default spec does not set no_new_privs.
pub(crate) fn load() {
    sys::seccomp(&sock_fprog {
        len: LENGTH as u16,
        filter: PROGRAM.as_ptr().cast_mut(),
    })
    .must();
}
