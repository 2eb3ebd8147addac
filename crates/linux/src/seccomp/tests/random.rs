//! Random profiles: the compiled program and the model must agree on every call.

use hoist_spec::oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompOperator as Op,
    LinuxSyscall,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::super::compiler::{MAX_INSTRUCTIONS, compile};
use super::super::table::Host;
use super::machine::{Call, run};
use super::{AARCH64, ARM, ARM32, I386, X86, X86_64, arg, model};

/// Calls at the edges: first and last, adjacent, with several numbers, multiplexed, private to an
/// ABI, of one ABI only, and no call at all.
const NAMES: &[&str] = &[
    "read",
    "write",
    "open",
    "close",
    "stat",
    "socket",
    "sendmsg",
    "semget",
    "shmat",
    "ioctl",
    "clone",
    "clone3",
    "personality",
    "prctl",
    "restart_syscall",
    "exit",
    "mseal",
    "setxattrat",
    "preadv2",
    "pwritev2",
    "cacheflush",
    "set_tls",
    "socketcall",
    "ipc",
    "newfstatat",
    "getuid32",
    "rseq_slice_yield",
    "no_such_call",
];

fn action() -> impl Strategy<Value = (Action, Option<u32>)> {
    prop_oneof![
        select(vec![
            (Action::ScmpActAllow, None),
            (Action::ScmpActErrno, None),
            (Action::ScmpActKill, None),
            (Action::ScmpActKillThread, None),
            (Action::ScmpActKillProcess, None),
            (Action::ScmpActTrap, None),
            (Action::ScmpActTrace, None),
            (Action::ScmpActLog, None),
        ]),
        (0u32..4096).prop_map(|errno| (Action::ScmpActErrno, Some(errno))),
        (0u32..4096).prop_map(|data| (Action::ScmpActTrace, Some(data))),
    ]
}

fn word() -> impl Strategy<Value = u64> {
    let edges = [
        0,
        1,
        2,
        16,
        21,
        0x1_0015,
        u64::from(u32::MAX),
        1 << 31,
        1 << 32,
        5 << 32,
        u64::MAX,
    ];
    prop_oneof![
        6 => (select(edges.to_vec()), -2i64..=2).prop_map(|(e, d)| e.wrapping_add_signed(d)),
        1 => any::<u64>(),
    ]
}

fn condition() -> impl Strategy<Value = LinuxSeccompArg> {
    let op = select(vec![
        Op::ScmpCmpNe,
        Op::ScmpCmpLt,
        Op::ScmpCmpLe,
        Op::ScmpCmpEq,
        Op::ScmpCmpEq,
        Op::ScmpCmpGe,
        Op::ScmpCmpGt,
        Op::ScmpCmpMaskedEq,
    ]);
    (0..3usize, op, word(), proptest::option::of(word()))
        .prop_map(|(index, op, value, second)| arg(index, op, value, second))
}

fn a_rule() -> impl Strategy<Value = LinuxSyscall> {
    let names = proptest::collection::vec(select(NAMES), 1..4);
    let conditions = prop_oneof![
        1 => Just(Vec::new()),
        3 => proptest::collection::vec(condition(), 1..4),
    ];
    (names, action(), conditions).prop_map(|(names, (action, errno), conditions)| {
        let mut rule = super::rule(&names, action, conditions);
        rule.set_errno_ret(errno);
        rule
    })
}

fn a_profile() -> impl Strategy<Value = LinuxSeccomp> {
    let architectures = proptest::collection::vec(
        select(vec![
            Arch::ScmpArchX86,
            Arch::ScmpArchX32,
            Arch::ScmpArchArm,
            Arch::ScmpArchNative,
            Arch::ScmpArchS390x,
        ]),
        0..4,
    );
    let rules = proptest::collection::vec(a_rule(), 0..24);
    (action(), architectures, rules).prop_map(|((action, errno), architectures, rules)| {
        let mut profile = super::profile(action, rules);
        profile
            .set_default_errno_ret(errno)
            .set_architectures(Some(architectures));
        profile
    })
}

/// A call near the names that profiles use.
fn a_call() -> impl Strategy<Value = Call> {
    let audit = select(vec![X86_64, X86_64, X86_64, I386, AARCH64, ARM32, 0x1234]);
    let number = prop_oneof![
        8 => (select(NAMES), 0..2usize, 0..3usize, -1i32..=1).prop_map(|(name, host, column, d)| {
            let host = [X86, ARM][host];
            let numbers = host.syscalls.finder().numbers(name).unwrap_or_default();
            numbers[column].wrapping_add_signed(d)
        }),
        1 => any::<u32>(),
        1 => select(vec![0x3fff_ffff, 0x4000_0000, u32::MAX - 1, u32::MAX]),
    ];
    (audit, number, [word(), word(), word()])
        .prop_map(|(audit, number, arguments)| Call::new(audit, number, &arguments))
}

fn agree(host: &Host<'_>, profile: &LinuxSeccomp, calls: &[Call]) {
    let filter = compile(profile, host).unwrap();
    assert!(filter.program.len() <= MAX_INSTRUCTIONS);
    // Values that the profile compares with are where programs go wrong.
    let values: Vec<u64> = profile
        .syscalls()
        .iter()
        .flatten()
        .flat_map(|rule| rule.args().iter().flatten())
        .flat_map(|a| [a.value(), a.value_two().unwrap_or(0)])
        .flat_map(|v| [v, v.wrapping_add(1), v.wrapping_sub(1)])
        .collect();
    for call in calls {
        let mut near = vec![*call];
        for value in values.iter().take(60) {
            for argument in 0..3 {
                let mut changed = *call;
                changed.arguments[argument] = *value;
                near.push(changed);
            }
        }
        for call in near {
            let (answer, _) = run(&filter.program, &call);
            let expected = model::judge(profile, host, &call);
            assert_eq!(answer, expected, "{call:x?}\n{profile:#?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn a_compiled_profile_answers_as_the_profile_reads(
        profile in a_profile(),
        calls in proptest::collection::vec(a_call(), 40),
    ) {
        agree(&X86, &profile, &calls);
        agree(&ARM, &profile, &calls);
    }
}
