//! Tests of the seccomp compiler: by a machine that runs its programs, against a model that reads
//! the profile directly, and on the real kernel.

mod default_profile;
#[cfg(target_os = "linux")]
mod kernel;
mod machine;
mod model;
mod profiles;
mod random;

use hoist_spec::oci::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator, LinuxSyscall,
};

use super::compiler::answer;
use super::numbers;
use super::table::{ARM_ABIS, Host, X86_ABIS};

const X86: Host<'static> = Host {
    abis: X86_ABIS,
    syscalls: numbers::X86,
};
const ARM: Host<'static> = Host {
    abis: ARM_ABIS,
    syscalls: numbers::ARM,
};

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;
const ARM32: u32 = 0x4000_0028;

const EPERM: u32 = answer::ERRNO | 1;
const ENOSYS: u32 = answer::ERRNO | 38;

fn rule(names: &[&str], action: LinuxSeccompAction, args: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    let mut rule = LinuxSyscall::default();
    rule.set_names(names.iter().map(|name| (*name).to_owned()).collect())
        .set_action(action)
        .set_args((!args.is_empty()).then_some(args));
    rule
}

fn errno(names: &[&str], errno: u32, args: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    let mut rule = rule(names, LinuxSeccompAction::ScmpActErrno, args);
    rule.set_errno_ret(Some(errno));
    rule
}

fn arg(index: usize, op: LinuxSeccompOperator, value: u64, second: Option<u64>) -> LinuxSeccompArg {
    let mut builder = LinuxSeccompArgBuilder::default()
        .index(index)
        .op(op)
        .value(value);
    if let Some(second) = second {
        builder = builder.value_two(second);
    }
    builder.build().unwrap()
}

fn profile(default: LinuxSeccompAction, syscalls: Vec<LinuxSyscall>) -> LinuxSeccomp {
    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(default)
        .set_syscalls(Some(syscalls));
    profile
}
