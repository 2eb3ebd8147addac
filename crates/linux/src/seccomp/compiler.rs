//! From a seccomp profile to a filter program.
//!
//! Pure: the same on every operating system, and used by the build script for the default profile.
//! How instructions are laid out is in `program`, numbers of calls in `table`.
//!
//! What a profile means follows libseccomp and runc, so that one written for them does the same
//! here:
//!
//! - Conditions of one rule must all hold; of several rules for a call any may match. A rule with
//!   two conditions on the same argument counts as one rule per condition.
//! - A rule without conditions wins over rules with conditions for the same call, wherever it
//!   stands. Among several without, and among several with conditions that hold, the first one wins.
//! - A rule whose action is the default action is as good as absent.
//! - A mask comparison masks the value it compares with, too.
//! - Names that no ABI of the host has are passed over and reported in [`Filter::ignored`].
//! - ABIs of other kernels are passed over; the host's own is always there, the others of the host
//!   only when listed. Calls through an ABI that is not listed kill the process.
//! - Rules without conditions for socket and System V IPC calls also apply to `socketcall` and
//!   `ipc` of 32-bit x86. Those with conditions cannot: the arguments lie in memory there.
//! - Without `flags` in the profile, `SECCOMP_FILTER_FLAG_SPEC_ALLOW` is set.
//!
//! **Calls newer than the profile.** A C library tries a new call first and falls back to an old
//! one when the kernel answers `ENOSYS`; it does not when it sees `EPERM`. A profile cannot name
//! calls that did not exist when it was written, so a number above the highest that it names for an
//! ABI (by any rule) gets `ENOSYS`, unless the default action lets calls pass (allow, log, trace).
//! The calls that only 32-bit Arm has, far above the others, do not count for the highest.

use hoist_spec::oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};

use super::program::{Assembler, Instruction, Place, Range, code, push};
use super::table::{ARM_PRIVATE, Abi, Host, SyscallTable, X32_BIT};

/// What the kernel is given to filter a process's system calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The program, for `struct sock_fprog`.
    pub program: Vec<Instruction>,
    /// Flags for `seccomp(SECCOMP_SET_MODE_FILTER)`, see seccomp(2).
    pub flags: u32,
    /// Whether an agent answers some calls: then `flags` has `SECCOMP_FILTER_FLAG_NEW_LISTENER` and
    /// the call returns the descriptor to hand to the agent.
    pub notify: bool,
    /// Names of the profile that no ABI of this host knows, in the profile's order.
    pub ignored: Vec<String>,
}

impl Filter {
    /// The program as it lies in memory: [`Instruction::SIZE`] bytes per instruction.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.program.iter().flat_map(|i| i.to_bytes()).collect()
    }
}

/// Why a profile cannot become a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeccompError {
    /// There are no tables for this processor architecture.
    #[error("seccomp filters are not supported on this processor architecture")]
    UnsupportedHost,
    /// An argument index is above 5; a system call has six arguments.
    #[error("seccomp rule for {syscall}: argument index {index} is above 5")]
    ArgumentIndex {
        /// The call.
        syscall: String,
        /// The index that the profile gives.
        index: usize,
    },
    /// An errno is given with an action that returns none.
    #[error("seccomp action {0} takes no errno")]
    UnexpectedErrno(LinuxSeccompAction),
    /// An errno is larger than the kernel can return.
    #[error("seccomp errno {0} is above {MAX_ERRNO}")]
    ErrnoTooLarge(u32),
    /// The default action asks an agent; the process could not even be handed over to it.
    #[error("seccomp action SCMP_ACT_NOTIFY cannot be the default action")]
    NotifyByDefault,
    /// A rule asks an agent about `write`, which is needed to report a failed start.
    #[error("seccomp action SCMP_ACT_NOTIFY cannot be used for write")]
    NotifyOnWrite,
    /// A rule asks an agent and the profile names none.
    #[error("seccomp action SCMP_ACT_NOTIFY needs a listenerPath")]
    NoListener,
    /// The program is longer than the kernel takes.
    #[error("seccomp filter has {0} instructions, above the kernel's limit of {MAX_INSTRUCTIONS}")]
    TooLong(usize),
}

/// `BPF_MAXINSNS` of `linux/bpf_common.h`.
pub(super) const MAX_INSTRUCTIONS: usize = 4096;
/// `MAX_ERRNO` of the kernel: larger values are cut to it without a word.
const MAX_ERRNO: u32 = 4095;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// `SECCOMP_RET_*` of `linux/seccomp.h`.
pub(super) mod answer {
    pub(in super::super) const KILL_PROCESS: u32 = 0x8000_0000;
    pub(in super::super) const KILL_THREAD: u32 = 0;
    pub(in super::super) const TRAP: u32 = 0x0003_0000;
    pub(in super::super) const ERRNO: u32 = 0x0005_0000;
    pub(in super::super) const NOTIFY: u32 = 0x7fc0_0000;
    pub(in super::super) const TRACE: u32 = 0x7ff0_0000;
    pub(in super::super) const LOG: u32 = 0x7ffc_0000;
    pub(in super::super) const ALLOW: u32 = 0x7fff_0000;
}

/// `SECCOMP_FILTER_FLAG_*` of `linux/seccomp.h`.
pub(super) mod flag {
    pub(in super::super) const TSYNC: u32 = 1;
    pub(in super::super) const LOG: u32 = 1 << 1;
    pub(in super::super) const SPEC_ALLOW: u32 = 1 << 2;
    pub(in super::super) const NEW_LISTENER: u32 = 1 << 3;
    pub(in super::super) const WAIT_KILLABLE_RECV: u32 = 1 << 5;
}

/// Offsets in `struct seccomp_data`.
mod offset {
    pub(super) const NUMBER: u32 = 0;
    pub(super) const ARCHITECTURE: u32 = 4;

    /// The low word of an argument, on a little-endian machine; the high one follows.
    pub(super) const fn argument(index: u32) -> u32 {
        16 + 8 * index
    }
}

/// Compiles a profile for a host.
pub(crate) fn compile(profile: &LinuxSeccomp, host: &Host<'_>) -> Result<Filter, SeccompError> {
    let profile = Profile::read(profile, host)?;
    let mut program = Assembler::default();
    let mut entry = Place::Return(answer::KILL_PROCESS);
    // The native ABI last, so that it lies next to the start.
    for abi in host.abis.iter().rev() {
        if abi.arch == Arch::ScmpArchX32 || !profile.abis.contains(&abi.arch) {
            continue;
        }
        let numbers = profile.decide(abi, host, &mut program);
        let search = program.search(&numbers);
        let search = program.load(offset::NUMBER, search);
        entry = program.branch(code::EQUAL, abi.audit, search, entry);
    }
    let entry = program.load(offset::ARCHITECTURE, entry);
    let program = program.finish(entry);
    if program.len() > MAX_INSTRUCTIONS {
        return Err(SeccompError::TooLong(program.len()));
    }
    Ok(Filter {
        program,
        flags: profile.flags,
        notify: profile.notify,
        ignored: profile.ignored,
    })
}

/// A profile whose names are numbers and whose actions are answers.
struct Profile {
    default: u32,
    /// The answer to a call that the profile cannot know.
    newer: u32,
    abis: Vec<Arch>,
    tests: Vec<Test>,
    rules: Vec<Rule>,
    flags: u32,
    notify: bool,
    ignored: Vec<String>,
}

/// One name of one rule.
struct Rule {
    numbers: [u32; 3],
    /// Its place among the profile's tests: many names share one.
    test: usize,
    /// Kept for its number only: its action is the default one.
    idle: bool,
}

/// Conditions that must all hold, and the answer if they do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    conditions: Vec<Condition>,
    answer: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    argument: u32,
    accept: Accept,
}

/// The values of an argument that a condition accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accept {
    /// From the first to the last, both included; the first is above the last where there are none.
    Within(u64, u64),
    /// All but one.
    Except(u64),
    /// Those that, cut by the mask (first), equal the value (second).
    Masked(u64, u64),
}

impl Profile {
    fn read(profile: &LinuxSeccomp, host: &Host<'_>) -> Result<Self, SeccompError> {
        let default = answer_of(profile.default_action(), profile.default_errno_ret())?;
        let newer = match default & !0xffff {
            answer::NOTIFY => return Err(SeccompError::NotifyByDefault),
            answer::ALLOW | answer::LOG | answer::TRACE => default,
            _ => answer::ERRNO | ENOSYS,
        };
        let native = host.abis.first().ok_or(SeccompError::UnsupportedHost)?.arch;
        let mut abis = vec![native];
        abis.extend(profile.architectures().iter().flatten());

        let all = profile.syscalls().iter().flatten();
        let mut rules = Vec::with_capacity(all.clone().map(|rule| rule.names().len()).sum());
        let mut tests: Vec<Test> = Vec::new();
        let mut ignored: Vec<String> = Vec::new();
        let mut notify = false;
        for rule in all {
            let answer = answer_of(rule.action(), rule.errno_ret())?;
            let asks = answer == answer::NOTIFY;
            notify |= asks;
            let arguments = rule.args().as_deref().unwrap_or_default();
            let idle = answer == default;
            let first_test = tests.len();
            tests.extend(tests_of(rule, arguments, answer)?);
            let of_rule = first_test..tests.len();
            let mut names = host.syscalls.finder();
            for name in rule.names() {
                if asks && name == "write" {
                    return Err(SeccompError::NotifyOnWrite);
                }
                let multiplexed = multiplexed(name, arguments, answer, host);
                match names.numbers(name) {
                    Some(numbers) => rules.extend(of_rule.clone().map(|test| Rule {
                        numbers,
                        test,
                        idle,
                    })),
                    None if multiplexed.is_some() || ignored.contains(name) => {}
                    None => ignored.push(name.clone()),
                }
                if let Some((numbers, test)) = multiplexed {
                    tests.push(test);
                    rules.push(Rule {
                        numbers,
                        test: tests.len() - 1,
                        idle,
                    });
                }
            }
        }
        if notify && profile.listener_path().is_none() {
            return Err(SeccompError::NoListener);
        }
        Ok(Self {
            default,
            newer,
            abis,
            tests,
            rules,
            flags: flags_of(profile.flags().as_deref(), notify),
            notify,
            ignored,
        })
    }

    /// What happens to each number that enters by this ABI. Lays the code that looks at arguments.
    fn decide(&self, abi: &Abi, host: &Host<'_>, program: &mut Assembler) -> Vec<Range<u32>> {
        let mut ranges = Vec::new();
        let mut laid = Vec::new();
        let last = self.cover(abi.column, 0, &mut ranges, &mut laid, program);
        let Some(x32) = host
            .abis
            .iter()
            .find(|other| other.arch == Arch::ScmpArchX32 && other.audit == abi.audit)
        else {
            return ranges;
        };
        if self.abis.contains(&x32.arch) {
            self.cover(x32.column, X32_BIT, &mut ranges, &mut laid, program);
        } else {
            push(&mut ranges, X32_BIT, Place::Return(answer::KILL_PROCESS));
            // -1 is no call of either ABI: a tracer puts it in to skip a call.
            push(&mut ranges, u32::MAX, last);
        }
        ranges
    }

    /// Appends the ranges of one column of the table, from `start` up; gives what the numbers above
    /// all that the profile names lead to.
    fn cover(
        &self,
        column: usize,
        start: u32,
        ranges: &mut Vec<Range<u32>>,
        laid: &mut Vec<(Vec<Test>, Place)>,
        program: &mut Assembler,
    ) -> Place {
        let mut calls: Vec<(u32, &Rule)> = self
            .rules
            .iter()
            .map(|rule| (rule.numbers[column], rule))
            .filter(|(number, _)| *number != SyscallTable::ABSENT)
            .collect();
        calls.sort_by_key(|(number, _)| *number);
        let known = calls
            .iter()
            .map(|(number, _)| *number)
            .filter(|number| number & !X32_BIT < ARM_PRIVATE)
            .max();
        calls.retain(|(_, rule)| !rule.idle);

        let default = Place::Return(self.default);
        let newer = match known {
            Some(_) => Place::Return(self.newer),
            None => default,
        };
        let first_newer = known.map_or(start, |known| known + 1);
        let mut next = start;
        let gap = |from: u32, to: u32, ranges: &mut Vec<Range<u32>>| {
            if from < to.min(first_newer) {
                push(ranges, from, default);
            }
            if from.max(first_newer) < to {
                push(ranges, from.max(first_newer), newer);
            }
        };
        for same in calls.chunk_by(|(a, _), (b, _)| a == b) {
            let number = same[0].0;
            gap(next, number, ranges);
            let place = self.answer(same, laid, program);
            push(ranges, number, place);
            next = number + 1;
        }
        gap(next, u32::MAX, ranges);
        newer
    }

    /// What the rules for one call lead to.
    fn answer(
        &self,
        rules: &[(u32, &Rule)],
        laid: &mut Vec<(Vec<Test>, Place)>,
        program: &mut Assembler,
    ) -> Place {
        let tests = rules.iter().map(|(_, rule)| &self.tests[rule.test]);
        if let Some(test) = tests.clone().find(|test| test.conditions.is_empty()) {
            return Place::Return(test.answer);
        }
        let tests: Vec<Test> = tests.cloned().collect();
        if let Some((_, place)) = laid.iter().find(|(known, _)| *known == tests) {
            return *place;
        }
        let place = lay_tests(&tests, Place::Return(self.default), program);
        laid.push((tests, place));
        place
    }
}

/// Lays the tests in order; where none holds it goes on to `miss`.
fn lay_tests(tests: &[Test], miss: Place, program: &mut Assembler) -> Place {
    let simple = |test: &Test| match test.conditions[..] {
        [Condition { argument, accept }] if !matches!(accept, Accept::Masked(..)) => Some(argument),
        _ => None,
    };
    // Tests of one argument against plain values become one search.
    tests
        .chunk_by(|a, b| simple(a).is_some() && simple(a) == simple(b))
        .rev()
        .fold(miss, |miss, run| match simple(&run[0]) {
            Some(argument) => {
                let mut ranges = vec![Range {
                    start: 0,
                    place: miss,
                }];
                for test in run.iter().rev() {
                    let place = Place::Return(test.answer);
                    ranges = overlay(&ranges, test.conditions[0].accept, place);
                }
                lay_wide_search(argument, &ranges, program)
            }
            None => run.iter().rev().fold(miss, |miss, test| {
                let hit = Place::Return(test.answer);
                test.conditions.iter().rev().fold(hit, |hit, condition| {
                    lay_condition(condition, hit, miss, program)
                })
            }),
        })
}

fn lay_condition(condition: &Condition, hit: Place, miss: Place, program: &mut Assembler) -> Place {
    let Accept::Masked(mask, value) = condition.accept else {
        let all = [Range {
            start: 0,
            place: miss,
        }];
        let ranges = overlay(&all, condition.accept, hit);
        return lay_wide_search(condition.argument, &ranges, program);
    };
    let low = offset::argument(condition.argument);
    [(low, 0), (low + 4, 32)]
        .into_iter()
        .fold(hit, |hit, (offset, shift)| {
            let (mask, value) = ((mask >> shift) as u32, (value >> shift) as u32);
            if mask == 0 {
                return hit;
            }
            let compared = match (mask, value) {
                (_, 0) => program.branch(code::ANY_BIT, mask, miss, hit),
                (u32::MAX, _) => program.branch(code::EQUAL, value, hit, miss),
                _ => {
                    let compared = program.branch(code::EQUAL, value, hit, miss);
                    program.and(mask, compared)
                }
            };
            program.load(offset, compared)
        })
}

/// `ranges` with those values led to `place` that are accepted.
fn overlay(ranges: &[Range<u64>], accept: Accept, place: Place) -> Vec<Range<u64>> {
    let (first, last, inside) = match accept {
        Accept::Within(first, last) => (first, last, true),
        Accept::Except(value) => (value, value, false),
        Accept::Masked(..) => return ranges.to_vec(),
    };
    if first > last {
        return ranges.to_vec();
    }
    let mut cuts: Vec<u64> = ranges.iter().map(|range| range.start).collect();
    cuts.push(first);
    cuts.extend(last.checked_add(1));
    cuts.sort_unstable();
    let mut result = Vec::new();
    for start in cuts {
        let old = ranges.iter().rfind(|range| range.start <= start);
        let covered = (first..=last).contains(&start) == inside;
        let old = old.map_or(place, |range| range.place);
        push(&mut result, start, if covered { place } else { old });
    }
    result
}

/// Lays a search for the range that a 64-bit argument lies in, by its high word, then by its low
/// one. The first of `ranges` starts at 0.
fn lay_wide_search(argument: u32, ranges: &[Range<u64>], program: &mut Assembler) -> Place {
    let low_word = offset::argument(argument);
    let mut high: Vec<Range<u32>> = Vec::new();
    let mut before = ranges[0].place;
    for same in ranges.chunk_by(|a, b| a.start >> 32 == b.start >> 32) {
        let word = (same[0].start >> 32) as u32;
        let mut low = Vec::new();
        push(&mut low, 0, before);
        for range in same {
            if range.start as u32 == 0 {
                low.clear();
            }
            push(&mut low, range.start as u32, range.place);
        }
        before = same[same.len() - 1].place;
        let place = match low[..] {
            [only] => only.place,
            _ => {
                let search = program.search(&low);
                program.load(low_word, search)
            }
        };
        high.pop_if(|range| range.start == word);
        push(&mut high, word, place);
        // The following words have no boundary inside, up to the next one that has.
        if let Some(next) = word.checked_add(1) {
            push(&mut high, next, before);
        }
    }
    match high[..] {
        [only] => only.place,
        _ => {
            let search = program.search(&high);
            program.load(low_word + 4, search)
        }
    }
}

/// What calls of a rule are tested for, each by itself.
fn tests_of(
    rule: &LinuxSyscall,
    arguments: &[LinuxSeccompArg],
    answer: u32,
) -> Result<Vec<Test>, SeccompError> {
    let conditions = arguments
        .iter()
        .map(|argument| condition_of(rule, argument))
        .collect::<Result<Vec<_>, _>>()?;
    let repeated = (0..6).any(|n| conditions.iter().filter(|c| c.argument == n).count() > 1);
    Ok(if repeated {
        conditions
            .into_iter()
            .map(|condition| Test {
                conditions: vec![condition],
                answer,
            })
            .collect()
    } else {
        vec![Test { conditions, answer }]
    })
}

fn condition_of(
    rule: &LinuxSyscall,
    argument: &LinuxSeccompArg,
) -> Result<Condition, SeccompError> {
    use LinuxSeccompOperator as Op;
    let index = argument.index();
    if index > 5 {
        return Err(SeccompError::ArgumentIndex {
            syscall: rule.names().first().cloned().unwrap_or_default(),
            index,
        });
    }
    let value = argument.value();
    let none = Accept::Within(1, 0);
    let accept = match argument.op() {
        Op::ScmpCmpEq => Accept::Within(value, value),
        Op::ScmpCmpNe => Accept::Except(value),
        Op::ScmpCmpLt => value
            .checked_sub(1)
            .map_or(none, |last| Accept::Within(0, last)),
        Op::ScmpCmpLe => Accept::Within(0, value),
        Op::ScmpCmpGe => Accept::Within(value, u64::MAX),
        Op::ScmpCmpGt => value
            .checked_add(1)
            .map_or(none, |first| Accept::Within(first, u64::MAX)),
        Op::ScmpCmpMaskedEq => {
            Accept::Masked(value, argument.value_two().unwrap_or_default() & value)
        }
    };
    Ok(Condition {
        argument: index as u32,
        accept,
    })
}

/// The numbers of `socketcall` or `ipc`, and what they are tested for to say of 32-bit x86 what this rule says of
/// the call itself.
fn multiplexed(
    name: &str,
    arguments: &[LinuxSeccompArg],
    answer: u32,
    host: &Host<'_>,
) -> Option<([u32; 3], Test)> {
    if !arguments.is_empty() {
        return None;
    }
    let x86 = host.abis.iter().find(|abi| abi.arch == Arch::ScmpArchX86)?;
    // The kernel reads a version from the upper half of ipc's first argument.
    let (multiplexer, mask, number) = match (socketcall_number(name), ipc_number(name)) {
        (Some(number), _) => ("socketcall", u64::from(u32::MAX), number),
        (_, Some(number)) => ("ipc", 0xffff, number),
        _ => return None,
    };
    let mut numbers = [SyscallTable::ABSENT; 3];
    numbers[x86.column] = host.syscalls.finder().numbers(multiplexer)?[x86.column];
    let conditions = vec![Condition {
        argument: 0,
        accept: Accept::Masked(mask, number),
    }];
    Some((numbers, Test { conditions, answer }))
}

/// `SYS_*` of `linux/net.h`.
fn socketcall_number(name: &str) -> Option<u64> {
    Some(match name {
        "socket" => 1,
        "bind" => 2,
        "connect" => 3,
        "listen" => 4,
        "accept" => 5,
        "getsockname" => 6,
        "getpeername" => 7,
        "socketpair" => 8,
        "send" => 9,
        "recv" => 10,
        "sendto" => 11,
        "recvfrom" => 12,
        "shutdown" => 13,
        "setsockopt" => 14,
        "getsockopt" => 15,
        "sendmsg" => 16,
        "recvmsg" => 17,
        "accept4" => 18,
        "recvmmsg" => 19,
        "sendmmsg" => 20,
        _ => return None,
    })
}

/// Numbers of `linux/ipc.h`.
fn ipc_number(name: &str) -> Option<u64> {
    Some(match name {
        "semop" => 1,
        "semget" => 2,
        "semctl" => 3,
        "semtimedop" => 4,
        "msgsnd" => 11,
        "msgrcv" => 12,
        "msgget" => 13,
        "msgctl" => 14,
        "shmat" => 21,
        "shmdt" => 22,
        "shmget" => 23,
        "shmctl" => 24,
        _ => return None,
    })
}

fn answer_of(action: LinuxSeccompAction, errno: Option<u32>) -> Result<u32, SeccompError> {
    use LinuxSeccompAction as Action;
    let base = match action {
        Action::ScmpActErrno => answer::ERRNO,
        Action::ScmpActTrace => answer::TRACE,
        _ if errno.is_some() => return Err(SeccompError::UnexpectedErrno(action)),
        Action::ScmpActKill | Action::ScmpActKillThread => return Ok(answer::KILL_THREAD),
        Action::ScmpActKillProcess => return Ok(answer::KILL_PROCESS),
        Action::ScmpActTrap => return Ok(answer::TRAP),
        Action::ScmpActNotify => return Ok(answer::NOTIFY),
        Action::ScmpActLog => return Ok(answer::LOG),
        Action::ScmpActAllow => return Ok(answer::ALLOW),
    };
    match errno.unwrap_or(EPERM) {
        errno if errno > MAX_ERRNO => Err(SeccompError::ErrnoTooLarge(errno)),
        errno => Ok(base | errno),
    }
}

fn flags_of(flags: Option<&[LinuxSeccompFilterFlag]>, notify: bool) -> u32 {
    use LinuxSeccompFilterFlag as Flag;
    let Some(flags) = flags else {
        return flag::SPEC_ALLOW | if notify { flag::NEW_LISTENER } else { 0 };
    };
    let mut bits = flags.iter().fold(0, |bits, flag| {
        bits | match flag {
            Flag::SeccompFilterFlagTsync => flag::TSYNC,
            Flag::SeccompFilterFlagLog => flag::LOG,
            Flag::SeccompFilterFlagSpecAllow => flag::SPEC_ALLOW,
            Flag::SeccompFilterFlagWaitKillableRecv => flag::WAIT_KILLABLE_RECV,
        }
    });
    if notify {
        bits |= flag::NEW_LISTENER;
        // The process has one thread that is to have the filter; the other hands the listener over and must have none.
        bits &= !flag::TSYNC;
    } else {
        // The kernel refuses it without a listener, and without one it would mean nothing.
        bits &= !flag::WAIT_KILLABLE_RECV;
    }
    bits
}
