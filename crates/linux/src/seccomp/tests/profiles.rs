//! Profiles made for one question each.

use std::path::PathBuf;

use hoist_spec::oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompFilterFlag as Flag,
    LinuxSeccompOperator as Op,
};

use super::super::compiler::{SeccompError, answer, compile, flag};
use super::super::program::{Assembler, Place, code};
use super::super::table::{SyscallTable, X32_BIT};
use super::machine::{Call, run};
use super::{ENOSYS, EPERM, I386, X86, X86_64, arg, errno, model, profile, rule};

fn answers(profile: &LinuxSeccomp, audit: u32, number: u32, arguments: &[u64]) -> u32 {
    let filter = compile(profile, &X86).unwrap();
    run(&filter.program, &Call::new(audit, number, arguments)).0
}

const KCMP: u32 = 312;

#[test]
fn a_rule_without_conditions_wins_wherever_it_stands() {
    let five = || vec![arg(0, Op::ScmpCmpEq, 5, None)];
    let conditional = || errno(&["kcmp"], 77, five());
    let always = || errno(&["kcmp"], 78, Vec::new());
    for rules in [vec![conditional(), always()], vec![always(), conditional()]] {
        let profile = profile(Action::ScmpActAllow, rules);
        assert_eq!(answers(&profile, X86_64, KCMP, &[5]), answer::ERRNO | 78);
    }
    let first = profile(
        Action::ScmpActAllow,
        vec![always(), errno(&["kcmp"], 79, Vec::new())],
    );
    assert_eq!(answers(&first, X86_64, KCMP, &[]), answer::ERRNO | 78);
}

#[test]
fn conditions_on_different_arguments_must_all_hold_and_on_the_same_any() {
    let both = profile(
        Action::ScmpActAllow,
        vec![errno(
            &["kcmp"],
            77,
            vec![
                arg(0, Op::ScmpCmpGe, 5, None),
                arg(1, Op::ScmpCmpLt, 3, None),
            ],
        )],
    );
    assert_eq!(answers(&both, X86_64, KCMP, &[5, 2]), answer::ERRNO | 77);
    assert_eq!(answers(&both, X86_64, KCMP, &[5, 3]), answer::ALLOW);
    assert_eq!(answers(&both, X86_64, KCMP, &[4, 2]), answer::ALLOW);
    let any = profile(
        Action::ScmpActAllow,
        vec![errno(
            &["kcmp"],
            77,
            vec![
                arg(0, Op::ScmpCmpEq, 5, None),
                arg(0, Op::ScmpCmpEq, 7, None),
            ],
        )],
    );
    assert_eq!(answers(&any, X86_64, KCMP, &[5]), answer::ERRNO | 77);
    assert_eq!(answers(&any, X86_64, KCMP, &[7]), answer::ERRNO | 77);
    assert_eq!(answers(&any, X86_64, KCMP, &[6]), answer::ALLOW);
}

#[test]
fn a_call_newer_than_the_profile_does_not_exist_unless_calls_pass_by_default() {
    let with = |default| {
        profile(
            default,
            vec![rule(&["read", "mseal"], Action::ScmpActLog, vec![])],
        )
    };
    for (default, expected) in [
        (Action::ScmpActErrno, ENOSYS),
        (Action::ScmpActKill, ENOSYS),
        (Action::ScmpActKillProcess, ENOSYS),
        (Action::ScmpActTrap, ENOSYS),
        (Action::ScmpActAllow, answer::ALLOW),
        (Action::ScmpActLog, answer::LOG),
        (Action::ScmpActTrace, answer::TRACE | 1),
    ] {
        assert_eq!(
            answers(&with(default), X86_64, 463, &[]),
            expected,
            "{default}"
        );
        let below = model::value(default, None);
        assert_eq!(
            answers(&with(default), X86_64, 461, &[]),
            below,
            "{default}"
        );
    }
    // A rule that only repeats the default shows that its call is known.
    let known = profile(
        Action::ScmpActErrno,
        vec![
            errno(&["mseal"], 1, vec![]),
            rule(&["read"], Action::ScmpActAllow, vec![]),
        ],
    );
    assert_eq!(answers(&known, X86_64, 462, &[]), EPERM);
    let empty = profile(Action::ScmpActErrno, vec![]);
    assert_eq!(answers(&empty, X86_64, 463, &[]), EPERM);
}

#[test]
fn an_abi_that_is_not_listed_kills() {
    let mut profile = profile(Action::ScmpActAllow, vec![]);
    for architectures in [
        None,
        Some(vec![]),
        Some(vec![Arch::ScmpArchNative, Arch::ScmpArchArm]),
    ] {
        profile.set_architectures(architectures);
        assert_eq!(answers(&profile, X86_64, 0, &[]), answer::ALLOW);
        assert_eq!(answers(&profile, I386, 3, &[]), answer::KILL_PROCESS);
        assert_eq!(
            answers(&profile, X86_64, X32_BIT, &[]),
            answer::KILL_PROCESS
        );
        assert_eq!(
            answers(&profile, X86_64, u32::MAX, &[]),
            answer::ALLOW,
            "no call"
        );
    }
    profile.set_architectures(Some(vec![Arch::ScmpArchX86]));
    assert_eq!(answers(&profile, I386, 3, &[]), answer::ALLOW);
    assert_eq!(
        answers(&profile, X86_64, X32_BIT, &[]),
        answer::KILL_PROCESS
    );
}

#[test]
fn a_ban_on_a_socket_call_holds_for_the_old_entry_point_too() {
    let mut profile = profile(
        Action::ScmpActAllow,
        vec![errno(&["socket", "semget"], 1, vec![])],
    );
    profile.set_architectures(Some(vec![Arch::ScmpArchX86]));
    assert_eq!(answers(&profile, I386, 359, &[]), EPERM);
    assert_eq!(answers(&profile, I386, 102, &[1]), EPERM);
    assert_eq!(answers(&profile, I386, 102, &[2]), answer::ALLOW);
    assert_eq!(answers(&profile, I386, 117, &[2]), EPERM);
    assert_eq!(
        answers(&profile, I386, 117, &[0x1_0002]),
        EPERM,
        "with a version"
    );
    assert_eq!(
        answers(&profile, X86_64, 102, &[1]),
        answer::ALLOW,
        "getuid"
    );
}

#[test]
fn names_that_no_abi_knows_are_reported_once_and_do_no_harm() {
    let profile = profile(
        Action::ScmpActErrno,
        vec![
            rule(
                &["read", "no_such", "riscv_hwprobe"],
                Action::ScmpActAllow,
                vec![],
            ),
            rule(&["no_such", "waitpid"], Action::ScmpActAllow, vec![]),
        ],
    );
    let filter = compile(&profile, &X86).unwrap();
    assert_eq!(filter.ignored, ["no_such", "riscv_hwprobe"]);
    assert_eq!(answers(&profile, X86_64, 0, &[]), answer::ALLOW);
}

#[test]
fn flags_become_what_the_kernel_accepts() {
    let mut profile = profile(Action::ScmpActAllow, vec![]);
    let flags = |profile: &LinuxSeccomp| compile(profile, &X86).unwrap().flags;
    assert_eq!(flags(&profile), flag::SPEC_ALLOW);
    profile.set_flags(Some(vec![]));
    assert_eq!(flags(&profile), 0);
    profile.set_flags(Some(vec![
        Flag::SeccompFilterFlagLog,
        Flag::SeccompFilterFlagTsync,
        Flag::SeccompFilterFlagWaitKillableRecv,
    ]));
    assert_eq!(flags(&profile), flag::LOG | flag::TSYNC);
    profile
        .set_syscalls(Some(vec![rule(&["mkdir"], Action::ScmpActNotify, vec![])]))
        .set_listener_path(Some(PathBuf::from("/run/agent.sock")));
    let filter = compile(&profile, &X86).unwrap();
    assert!(filter.notify);
    // Of two threads only the one that executes the program gets the filter.
    assert_eq!(
        filter.flags,
        flag::LOG | flag::NEW_LISTENER | flag::WAIT_KILLABLE_RECV
    );
    assert_eq!(answers(&profile, X86_64, 83, &[]), answer::NOTIFY);
}

#[test]
fn profiles_without_sense_are_refused() {
    let refused = |profile: &LinuxSeccomp| compile(profile, &X86).unwrap_err();
    let notify = |name| {
        profile(
            Action::ScmpActAllow,
            vec![rule(&[name], Action::ScmpActNotify, vec![])],
        )
    };
    assert_eq!(refused(&notify("mkdir")), SeccompError::NoListener);
    assert_eq!(refused(&notify("write")), SeccompError::NotifyOnWrite);
    assert_eq!(
        refused(&profile(Action::ScmpActNotify, vec![])),
        SeccompError::NotifyByDefault
    );
    let mut allow = rule(&["read"], Action::ScmpActAllow, vec![]);
    allow.set_errno_ret(Some(1));
    let unexpected = refused(&profile(Action::ScmpActErrno, vec![allow]));
    assert_eq!(
        unexpected,
        SeccompError::UnexpectedErrno(Action::ScmpActAllow)
    );
    assert_eq!(
        unexpected.to_string(),
        "seccomp action SCMP_ACT_ALLOW takes no errno"
    );
    // A larger one would run into the bits of the action.
    let large = profile(
        Action::ScmpActAllow,
        vec![errno(&["read"], 0x2_0000, vec![])],
    );
    assert_eq!(refused(&large), SeccompError::ErrnoTooLarge(0x2_0000));
    let seventh = rule(
        &["read"],
        Action::ScmpActLog,
        vec![arg(6, Op::ScmpCmpEq, 0, None)],
    );
    assert_eq!(
        refused(&profile(Action::ScmpActAllow, vec![seventh])),
        SeccompError::ArgumentIndex {
            syscall: "read".to_owned(),
            index: 6
        }
    );
}

/// A rule per call, each with its own answer and conditions on several arguments.
fn crowded(conditions: usize) -> LinuxSeccomp {
    let rules = X86
        .syscalls
        .numbers
        .iter()
        .enumerate()
        .filter(|(_, numbers)| numbers[0] != SyscallTable::ABSENT)
        .map(|(index, numbers)| {
            let name = X86.syscalls.name(index);
            let value = 0x1234_5678_0000_0000 + u64::from(numbers[0]);
            let args = (0..conditions)
                .map(|n| arg(n, Op::ScmpCmpMaskedEq, u64::MAX, Some(value + n as u64)))
                .collect();
            errno(&[name], 1 + numbers[0], args)
        })
        .collect();
    profile(Action::ScmpActAllow, rules)
}

#[test]
fn decisions_that_lie_far_apart_are_reached() {
    let profile = crowded(1);
    let filter = compile(&profile, &X86).unwrap();
    assert!(filter.program.len() > 1500);
    for number in 0..480 {
        for last in [0, 1] {
            let value = 0x1234_5678_0000_0000 + u64::from(number) + last;
            let call = Call::new(X86_64, number, &[value]);
            let expected = model::judge(&profile, &X86, &call);
            assert_eq!(run(&filter.program, &call).0, expected, "{call:x?}");
        }
    }
}

#[test]
fn a_jump_at_the_edge_of_its_reach_arrives() {
    for distance in 245..265 {
        for (word, expected) in [(7, 1), (8, 3)] {
            let mut assembler = Assembler::default();
            let far = assembler.load(0, Place::Return(1));
            (0..distance).fold(Place::Return(2), |then, _| assembler.load(0, then));
            // The answer 3 lies nowhere yet: laying it moves `far` further away.
            let branch = assembler.branch(code::EQUAL, 7, far, Place::Return(3));
            let entry = assembler.load(0, branch);
            let program = assembler.finish(entry);
            let answer = run(&program, &Call::new(X86_64, word, &[])).0;
            assert_eq!(answer, expected, "{distance}");
        }
    }
}

#[test]
fn a_filter_above_the_kernels_limit_is_refused() {
    let error = compile(&crowded(6), &X86).unwrap_err();
    assert!(matches!(error, SeccompError::TooLong(length) if length > 4096));
    assert!(
        error
            .to_string()
            .contains("above the kernel's limit of 4096")
    );
}
