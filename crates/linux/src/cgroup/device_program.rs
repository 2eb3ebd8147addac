//! Device rules as a program for the kernel's BPF machine: the v2 form of the `devices` controller.
//!
//! Compiling is pure; loading and attaching is `device_bpf`'s work. The instruction set is that of the kernel's
//! `bpf/standardization/instruction-set`, the program's context is `struct bpf_cgroup_dev_ctx` (linux/bpf.h).

use super::devices::{DeviceRule, DeviceType};

/// One instruction, laid out as the kernel's `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    /// The destination register in the low four bits, the source in the high four.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A program that returns 1 for a request that the rules allow, and 0 for any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProgram(Vec<Instruction>);

const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const MOVE_IMMEDIATE: u8 = 0xb4; // BPF_ALU | BPF_MOV | BPF_K
const MOVE_REGISTER: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT_RIGHT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const JUMP_UNEQUAL: u8 = 0x56; // BPF_JMP32 | BPF_JNE | BPF_K
const JUMP_EQUAL: u8 = 0x16; // BPF_JMP32 | BPF_JEQ | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

/// The result, and a scratch register before that.
const RESULT: u8 = 0;
/// The address of the context.
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// The requested accesses that no rule has decided yet.
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

impl DeviceProgram {
    /// Compiles `rules`: for each access of a request the last rule that matches decides; without one it is denied.
    pub fn compile(rules: &[DeviceRule]) -> Self {
        let mut program = Self(vec![
            instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
            instruction(MOVE_REGISTER, WANTED, KIND, 0, 0),
            instruction(SHIFT_RIGHT, WANTED, 0, 0, 16),
            instruction(AND, KIND, 0, 0, 0xffff),
            instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
            instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
        ]);
        for rule in rules.iter().rev() {
            if rule.is_total() {
                // What would follow is never reached, and the verifier refuses that.
                program.answer(rule.allow);
                return program;
            }
            program.rule(rule);
        }
        program.answer(false);
        program
    }

    /// The instructions.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    fn rule(&mut self, rule: &DeviceRule) {
        let mut to_next = Vec::new();
        let kind = rule.kind.map(|kind| match kind {
            DeviceType::Block => 1,
            DeviceType::Character => 2,
        });
        for (register, wanted) in [(KIND, kind), (MAJOR, rule.major), (MINOR, rule.minor)] {
            if let Some(wanted) = wanted {
                to_next.push(self.0.len());
                self.0.push(instruction(
                    JUMP_UNEQUAL,
                    register,
                    0,
                    0,
                    wanted.cast_signed(),
                ));
            }
        }
        let access = i32::from(rule.access);
        if rule.allow {
            self.0.push(instruction(AND, WANTED, 0, 0, !access));
            to_next.push(self.0.len());
            self.0.push(instruction(JUMP_UNEQUAL, WANTED, 0, 0, 0));
        } else {
            self.0
                .push(instruction(MOVE_REGISTER, RESULT, WANTED, 0, 0));
            self.0.push(instruction(AND, RESULT, 0, 0, access));
            to_next.push(self.0.len());
            self.0.push(instruction(JUMP_EQUAL, RESULT, 0, 0, 0));
        }
        self.answer(rule.allow);
        let next = self.0.len();
        for jump in to_next {
            // A rule has at most eight instructions.
            self.0[jump].offset = (next - jump - 1) as i16;
        }
    }

    fn answer(&mut self, allow: bool) {
        self.0
            .push(instruction(MOVE_IMMEDIATE, RESULT, 0, 0, i32::from(allow)));
        self.0.push(instruction(EXIT, 0, 0, 0, 0));
    }
}

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: source << 4 | destination,
        offset,
        immediate,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::devices::tests::{devices, model, rules};
    use super::*;

    /// The part of the BPF machine that the compiler uses.
    fn run(program: &DeviceProgram, context: [u32; 3]) -> u32 {
        let mut registers = [0u32; 6];
        let mut at = 0usize;
        loop {
            let Instruction {
                code,
                registers: packed,
                offset,
                immediate,
            } = program.0[at];
            let (to, from) = ((packed & 15) as usize, (packed >> 4) as usize);
            let value = immediate as u32;
            at += 1;
            let jump = match code {
                LOAD_WORD => {
                    registers[to] = context[offset as usize / 4];
                    false
                }
                MOVE_IMMEDIATE => {
                    registers[to] = value;
                    false
                }
                MOVE_REGISTER => {
                    registers[to] = registers[from];
                    false
                }
                AND => {
                    registers[to] &= value;
                    false
                }
                SHIFT_RIGHT => {
                    registers[to] >>= value;
                    false
                }
                JUMP_UNEQUAL => registers[to] != value,
                JUMP_EQUAL => registers[to] == value,
                EXIT => return registers[0],
                other => panic!("unknown instruction {other:#x}"),
            };
            if jump {
                at += offset as usize;
            }
        }
    }

    proptest! {
        #[test]
        fn a_program_answers_as_its_rules_mean(rules in rules()) {
            let program = DeviceProgram::compile(&rules);
            for (kind, major, minor) in devices() {
                for wanted in 1..8u8 {
                    let number = match kind { DeviceType::Block => 1, DeviceType::Character => 2 };
                    let expected = [1, 2, 4]
                        .into_iter()
                        .filter(|bit| wanted & bit != 0)
                        .all(|bit| model(&rules, kind, major, minor, bit));
                    let context = [u32::from(wanted) << 16 | number, major, minor];
                    prop_assert_eq!(
                        run(&program, context) == 1,
                        expected,
                        "{:?} {}:{} {}", kind, major, minor, wanted
                    );
                }
            }
        }
    }

    #[test]
    fn a_program_without_rules_denies_everything() {
        let program = DeviceProgram::compile(&[]);
        assert_eq!(run(&program, [2 << 16 | 2, 1, 3]), 0);
    }

    #[test]
    fn large_device_numbers_are_compared_whole() {
        let rule = DeviceRule {
            allow: true,
            kind: None,
            major: Some(u32::MAX),
            minor: Some(1 << 31),
            access: 7,
        };
        let program = DeviceProgram::compile(&[rule]);
        assert_eq!(run(&program, [2 << 16 | 2, u32::MAX, 1 << 31]), 1);
        assert_eq!(run(&program, [2 << 16 | 2, u32::MAX, 0]), 0);
    }
}
