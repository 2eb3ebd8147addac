//! A machine for classic BPF as seccomp runs it. It is as strict as the kernel's checker: an
//! operation that seccomp does not take, or a jump out of the program, is a failed test.

use super::super::program::{Instruction, code};

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) audit: u32,
    pub(super) arguments: [u64; 6],
}

impl Call {
    pub(super) fn new(audit: u32, number: u32, arguments: &[u64]) -> Self {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        Self {
            number,
            audit,
            arguments: all,
        }
    }

    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.audit,
            16..64 if offset.is_multiple_of(4) => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                (argument >> (offset % 8 * 8)) as u32
            }
            _ => panic!("load at offset {offset}"),
        }
    }
}

/// The program's answer, and how many instructions it took.
pub(super) fn run(program: &[Instruction], call: &Call) -> (u32, usize) {
    let (mut at, mut word, mut steps) = (0, 0, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        steps += 1;
        let skip = |taken: bool| usize::from(if taken { jt } else { jf });
        at += 1 + match code {
            code::RETURN => return (k, steps),
            code::LOAD => {
                word = call.word(k);
                0
            }
            code::AND => {
                word &= k;
                0
            }
            code::JUMP => k as usize,
            code::EQUAL => skip(word == k),
            code::AT_LEAST => skip(word >= k),
            code::ANY_BIT => skip(word & k != 0),
            other => panic!("operation {other:#x} at {at}"),
        };
    }
}
