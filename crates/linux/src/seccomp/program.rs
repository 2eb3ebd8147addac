//! Classic BPF programs as seccomp takes them: the instruction, and an assembler that lays out
//! decision trees. What is decided is the compiler's affair.
//!
//! A classic BPF jump goes forward only, and a conditional one at most 255 instructions. So code is
//! laid from its last instruction to its first: the targets of a jump are then always known, and
//! where one has moved out of reach the assembler lays a copy (of a return) or a long jump close
//! by.

/// One instruction, `struct sock_filter` of `linux/filter.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation, operand size and addressing mode.
    pub code: u16,
    /// Instructions to skip when a conditional jump is taken.
    pub jt: u8,
    /// Instructions to skip when it is not.
    pub jf: u8,
    /// The operand: an offset, a constant or a jump distance.
    pub k: u32,
}

impl Instruction {
    /// The size of an encoded instruction.
    pub const SIZE: usize = 8;

    /// The instruction as it lies in the memory of a little-endian machine.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let [c0, c1] = self.code.to_le_bytes();
        let [k0, k1, k2, k3] = self.k.to_le_bytes();
        [c0, c1, self.jt, self.jf, k0, k1, k2, k3]
    }

    /// The inverse of [`Self::to_bytes`].
    pub fn from_bytes([c0, c1, jt, jf, k0, k1, k2, k3]: [u8; Self::SIZE]) -> Self {
        Self {
            code: u16::from_le_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_le_bytes([k0, k1, k2, k3]),
        }
    }
}

/// Operation codes of `linux/bpf_common.h`; all of them are ones that seccomp accepts.
pub(super) mod code {
    /// Load a 32-bit word of `struct seccomp_data`.
    pub(in super::super) const LOAD: u16 = 0x20;
    /// Intersect the loaded word with a constant.
    pub(in super::super) const AND: u16 = 0x54;
    /// Return a constant.
    pub(in super::super) const RETURN: u16 = 0x06;
    /// Jump.
    pub(in super::super) const JUMP: u16 = 0x05;
    /// Jump if equal.
    pub(in super::super) const EQUAL: u16 = 0x15;
    /// Jump if greater or equal, unsigned.
    pub(in super::super) const AT_LEAST: u16 = 0x35;
    /// Jump if any bit of the constant is set.
    pub(in super::super) const ANY_BIT: u16 = 0x45;
}

/// Where a decision leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To an answer for the kernel (`SECCOMP_RET_*` and its data).
    Return(u32),
    /// To code that lies already, counted from the end of the program.
    Code(usize),
}

/// Values from `start` up to the next range's start lead to `place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range<V> {
    pub(super) start: V,
    pub(super) place: Place,
}

/// Adds a range behind those of `ranges`, or nothing where it only continues the last one.
pub(super) fn push<V>(ranges: &mut Vec<Range<V>>, start: V, place: Place) {
    if ranges.last().is_none_or(|last| last.place != place) {
        ranges.push(Range { start, place });
    }
}

/// A program under construction, last instruction first.
#[derive(Default)]
pub(super) struct Assembler {
    reversed: Vec<Instruction>,
    /// The copy laid last of each answer.
    returns: Vec<(u32, usize)>,
    /// The long jump laid last to each distant place.
    detours: Vec<(usize, usize)>,
}

const REACH: usize = u8::MAX as usize;

impl Assembler {
    /// The finished program, which begins at `entry`.
    pub(super) fn finish(mut self, entry: Place) -> Vec<Instruction> {
        self.fall_into(entry);
        self.reversed.reverse();
        self.reversed
    }

    /// Lays a load of the word at this offset of `struct seccomp_data`, continuing at `then`.
    pub(super) fn load(&mut self, offset: u32, then: Place) -> Place {
        self.straight(code::LOAD, offset, then)
    }

    /// Lays an intersection of the loaded word, continuing at `then`.
    pub(super) fn and(&mut self, mask: u32, then: Place) -> Place {
        self.straight(code::AND, mask, then)
    }

    /// Lays a conditional jump.
    pub(super) fn branch(&mut self, code: u16, k: u32, yes: Place, no: Place) -> Place {
        if yes == no {
            return yes;
        }
        // Bringing `no` close may lay one instruction, which moves `yes` one further away.
        let yes = self.bring_close(yes, 1);
        let no = self.bring_close(no, 0);
        let here = self.reversed.len();
        self.lay(Instruction {
            code,
            jt: (here - yes - 1) as u8,
            jf: (here - no - 1) as u8,
            k,
        })
    }

    /// Lays a search for the range that the loaded word lies in. `ranges` is sorted, not empty, and
    /// its first start counts as the lowest possible value.
    ///
    /// The kernel asks for the answer to every number when a filter is installed, and translates
    /// every instruction: both the depth and the length count.
    pub(super) fn search(&mut self, ranges: &[Range<u32>]) -> Place {
        // A single value within a range costs one comparison instead of two when it is looked at
        // as an exception from that range.
        let (mut wide, mut exceptions) = (Vec::new(), Vec::new());
        for (index, range) in ranges.iter().enumerate() {
            let is_exception = ranges.get(index + 1).is_some_and(|next| {
                next.start - range.start == 1
                    && wide
                        .last()
                        .is_some_and(|last: &Range<u32>| last.place == next.place)
            });
            if is_exception {
                exceptions.push(*range);
            } else {
                push(&mut wide, range.start, range.place);
            }
        }
        self.divide(&wide, &exceptions)
    }

    fn divide(&mut self, ranges: &[Range<u32>], exceptions: &[Range<u32>]) -> Place {
        const COMPARED_IN_A_ROW: usize = 3;
        let cut = match ranges {
            [] => return Place::Return(0),
            [only] if exceptions.len() <= COMPARED_IN_A_ROW => {
                return exceptions.iter().fold(only.place, |otherwise, single| {
                    self.branch(code::EQUAL, single.start, single.place, otherwise)
                });
            }
            [_] => exceptions[exceptions.len() / 2].start,
            _ => middle(ranges, exceptions),
        };
        let upper = ranges.partition_point(|range| range.start < cut);
        // The cut may go through a range: then both sides have a part of it.
        let begins = ranges.get(upper).is_some_and(|range| range.start == cut);
        let above = &ranges[if begins { upper } else { upper - 1 }..];
        let (low, high) =
            exceptions.split_at(exceptions.partition_point(|single| single.start < cut));
        let yes = self.divide(above, high);
        let no = self.divide(&ranges[..upper], low);
        self.branch(code::AT_LEAST, cut, yes, no)
    }

    fn straight(&mut self, code: u16, k: u32, then: Place) -> Place {
        self.fall_into(then);
        self.lay(Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        })
    }

    fn lay(&mut self, instruction: Instruction) -> Place {
        self.reversed.push(instruction);
        Place::Code(self.reversed.len() - 1)
    }

    /// Makes `place` what an instruction laid now would run into.
    fn fall_into(&mut self, place: Place) {
        let place = match place {
            Place::Return(value) => self.lay_return(value),
            Place::Code(index) => index,
        };
        if place + 1 != self.reversed.len() {
            self.lay_jump(place);
        }
    }

    /// A way to `place` within the reach of an instruction that is laid after at most `slack` more.
    fn bring_close(&mut self, place: Place, slack: usize) -> usize {
        let next = self.reversed.len();
        let close = |index: usize| next - index - 1 + slack <= REACH;
        match place {
            Place::Return(value) => match latest(&self.returns, &value) {
                Some(index) if close(index) => index,
                _ => self.lay_return(value),
            },
            Place::Code(index) if close(index) => index,
            Place::Code(index) => match latest(&self.detours, &index) {
                Some(detour) if close(detour) => detour,
                _ => self.lay_jump(index),
            },
        }
    }

    fn lay_return(&mut self, value: u32) -> usize {
        let index = self.reversed.len();
        self.reversed.push(Instruction {
            code: code::RETURN,
            jt: 0,
            jf: 0,
            k: value,
        });
        self.returns.push((value, index));
        index
    }

    fn lay_jump(&mut self, to: usize) -> usize {
        let index = self.reversed.len();
        self.reversed.push(Instruction {
            code: code::JUMP,
            jt: 0,
            jf: 0,
            k: (index - to - 1) as u32,
        });
        self.detours.push((to, index));
        index
    }
}

fn latest<K: PartialEq>(list: &[(K, usize)], key: &K) -> Option<usize> {
    list.iter()
        .rev()
        .find(|(known, _)| known == key)
        .map(|(_, index)| *index)
}

/// The start of a range, not the first, that divides the work about evenly. A range weighs as many
/// values as it has, up to what may really be calls.
fn middle(ranges: &[Range<u32>], exceptions: &[Range<u32>]) -> u32 {
    const HEAVIEST: u32 = 256;
    const EXCEPTION: u32 = 8;
    let width = |pair: &[Range<u32>]| (pair[1].start - pair[0].start).min(HEAVIEST);
    let total = ranges.windows(2).map(width).sum::<u32>() + EXCEPTION * exceptions.len() as u32;
    let mut wide = 0;
    let cuts = ranges.windows(2).map(|pair| {
        wide += width(pair);
        let cut = pair[1].start;
        let single = exceptions.partition_point(|single| single.start < cut) as u32;
        (cut, wide + EXCEPTION * single)
    });
    cuts.min_by_key(|(_, below)| (2 * below).abs_diff(total))
        .map_or(ranges[0].start, |(cut, _)| cut)
}
