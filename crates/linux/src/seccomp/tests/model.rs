//! What a profile says about one call, found by reading the profile from top to bottom.

use hoist_spec::oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompOperator as Op,
};

use super::super::compiler::answer;
use super::super::table::{Host, SyscallTable};
use super::machine::Call;
use super::{ENOSYS, I386};

pub(super) fn judge(profile: &LinuxSeccomp, host: &Host<'_>, call: &Call) -> u32 {
    let is_x32 = call.audit == super::X86_64 && (0x4000_0000..u32::MAX).contains(&call.number);
    let Some(abi) = host
        .abis
        .iter()
        .find(|abi| abi.audit == call.audit && (abi.arch == Arch::ScmpArchX32) == is_x32)
    else {
        return answer::KILL_PROCESS;
    };
    let listed = profile
        .architectures()
        .iter()
        .flatten()
        .any(|a| *a == abi.arch);
    if !listed && abi.arch != host.abis[0].arch {
        return answer::KILL_PROCESS;
    }

    let number = |name: &str| {
        let numbers = host.syscalls.finder().numbers(name)?;
        Some(numbers[abi.column]).filter(|n| *n != SyscallTable::ABSENT)
    };
    let default = value(profile.default_action(), profile.default_errno_ret());
    let rules = || profile.syscalls().iter().flatten();
    let names = rules().flat_map(|rule| rule.names());
    let highest = names
        .filter_map(|n| number(n))
        .filter(|n| n & 0xfff_ffff < 0xf_0000)
        .max();

    let mut conditional = None;
    for rule in rules() {
        let answer = value(rule.action(), rule.errno_ret());
        if answer == default {
            continue;
        }
        let args = rule.args().as_deref().unwrap_or_default();
        for name in rule.names() {
            if number(name) == Some(call.number) {
                if args.is_empty() {
                    return answer;
                }
                if holds(args, call) {
                    conditional.get_or_insert(answer);
                }
            }
            if args.is_empty() && call.audit == I386 && through_multiplexer(name, call) {
                conditional.get_or_insert(answer);
            }
        }
    }
    let permissive = matches!(
        profile.default_action(),
        Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace
    );
    match conditional {
        Some(answer) => answer,
        None if !permissive
            && highest.is_some_and(|h| call.number > h)
            && !rules().any(|rule| {
                rule.names()
                    .iter()
                    .any(|name| number(name) == Some(call.number))
                    && value(rule.action(), rule.errno_ret()) != default
            }) =>
        {
            ENOSYS
        }
        None => default,
    }
}

fn holds(args: &[LinuxSeccompArg], call: &Call) -> bool {
    let repeated = args
        .iter()
        .any(|a| args.iter().filter(|b| b.index() == a.index()).count() > 1);
    let mut each = args.iter().map(|arg| {
        let (actual, value) = (call.arguments[arg.index()], arg.value());
        match arg.op() {
            Op::ScmpCmpNe => actual != value,
            Op::ScmpCmpLt => actual < value,
            Op::ScmpCmpLe => actual <= value,
            Op::ScmpCmpEq => actual == value,
            Op::ScmpCmpGe => actual >= value,
            Op::ScmpCmpGt => actual > value,
            Op::ScmpCmpMaskedEq => actual & value == arg.value_two().unwrap_or(0) & value,
        }
    });
    if repeated {
        each.any(|h| h)
    } else {
        each.all(|h| h)
    }
}

fn through_multiplexer(name: &str, call: &Call) -> bool {
    let first = call.arguments[0];
    match name {
        "socket" => call.number == 102 && first as u32 == 1,
        "sendmsg" => call.number == 102 && first as u32 == 16,
        "semget" => call.number == 117 && first & 0xffff == 2,
        "shmat" => call.number == 117 && first & 0xffff == 21,
        _ => false,
    }
}

pub(super) fn value(action: Action, errno: Option<u32>) -> u32 {
    match action {
        Action::ScmpActKill | Action::ScmpActKillThread => 0,
        Action::ScmpActKillProcess => 0x8000_0000,
        Action::ScmpActTrap => 0x3_0000,
        Action::ScmpActErrno => 0x5_0000 + errno.unwrap_or(1),
        Action::ScmpActNotify => 0x7fc0_0000,
        Action::ScmpActTrace => 0x7ff0_0000 + errno.unwrap_or(1),
        Action::ScmpActLog => 0x7ffc_0000,
        Action::ScmpActAllow => 0x7fff_0000,
    }
}
