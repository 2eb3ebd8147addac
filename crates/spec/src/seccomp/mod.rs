//! Docker's default seccomp profile, resolved for one container.
//!
//! The profile is data of the OCI document: [`default_profile`] evaluates its conditions
//! (capabilities, architecture) and gives what docker would have written into `linux.seccomp`.
//! Turning a profile into a filter program is the Linux backend's work.

mod tables;

use crate::oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator, LinuxSyscall,
};
use tables::{
    ALWAYS, BY_ARCHITECTURE, BY_CAPABILITY, CLONE_NAMESPACES, COMPANIONS, PERSONALITIES,
    SOCKET_FAMILIES, SOCKET_FAMILIES_BELOW, SYS_ADMIN,
};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Calls that are safe since Linux 4.8, where a traced process can no longer slip past the filter.
/// Hoist needs a newer kernel than that, so the condition always holds.
const SINCE_LINUX_4_8: &str = "process_vm_readv process_vm_writev ptrace";

/// The bounding set that docker gives a container unless told otherwise, one bit per capability
/// number: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service,
/// net_raw, sys_chroot, mknod, audit_write, setfcap.
pub const DEFAULT_CAPABILITIES: u64 = 0xa804_25fb;

/// The capabilities that [`default_profile`] depends on: sets that agree in these get the same
/// profile.
pub const DECIDING_CAPABILITIES: u64 = {
    let (mut bits, mut index) = (1 << SYS_ADMIN, 0);
    while index < BY_CAPABILITY.len() {
        bits |= 1 << BY_CAPABILITY[index].0;
        index += 1;
    }
    bits
};

/// Docker's default profile for a container whose bounding set is `capabilities` (bit n stands for
/// capability number n, see `linux/capability.h`) on a host of this architecture.
///
/// Everything not allowed fails with `EPERM`. `clone3` fails with `ENOSYS` without `CAP_SYS_ADMIN`:
/// its flags lie in memory, where a filter cannot look, and C libraries then fall back to `clone`.
pub fn default_profile(capabilities: u64, architecture: Arch) -> LinuxSeccomp {
    let has = |capability: u32| capabilities >> capability & 1 == 1;

    let mut syscalls = vec![allow(ALWAYS, None), allow(SINCE_LINUX_4_8, None)];
    syscalls.push(allow(
        "socket",
        Some(argument(
            0,
            LinuxSeccompOperator::ScmpCmpLt,
            SOCKET_FAMILIES_BELOW,
        )),
    ));
    for (name, values) in [("socket", SOCKET_FAMILIES), ("personality", PERSONALITIES)] {
        syscalls.extend(values.iter().map(|value| {
            let equal = argument(0, LinuxSeccompOperator::ScmpCmpEq, *value);
            allow(name, Some(equal))
        }));
    }
    for (architectures, names) in BY_ARCHITECTURE {
        if architectures.contains(&architecture) {
            syscalls.push(allow(names, None));
        }
    }
    for (capability, names) in BY_CAPABILITY {
        if has(*capability) {
            syscalls.push(allow(names, None));
        }
    }
    if !has(SYS_ADMIN) {
        let flags = match architecture {
            Arch::ScmpArchS390 | Arch::ScmpArchS390x => 1,
            _ => 0,
        };
        let no_namespaces = argument(
            flags,
            LinuxSeccompOperator::ScmpCmpMaskedEq,
            CLONE_NAMESPACES,
        );
        syscalls.push(allow("clone", Some(no_namespaces)));
        let mut clone3 = LinuxSyscall::default();
        clone3
            .set_names(vec!["clone3".to_owned()])
            .set_action(LinuxSeccompAction::ScmpActErrno)
            .set_errno_ret(Some(ENOSYS));
        syscalls.push(clone3);
    }

    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(EPERM))
        .set_architectures(with_companions(architecture))
        .set_syscalls(Some(syscalls));
    profile
}

fn with_companions(architecture: Arch) -> Option<Vec<Arch>> {
    let (native, companions) = COMPANIONS
        .iter()
        .find(|(native, _)| *native == architecture)?;
    Some([std::slice::from_ref(native), companions].concat())
}

fn allow(names: &str, condition: Option<LinuxSeccompArg>) -> LinuxSyscall {
    let mut rule = LinuxSyscall::default();
    rule.set_names(names.split_ascii_whitespace().map(str::to_owned).collect())
        .set_action(LinuxSeccompAction::ScmpActAllow)
        .set_args(condition.map(|condition| vec![condition]));
    rule
}

fn argument(index: usize, op: LinuxSeccompOperator, value: u64) -> LinuxSeccompArg {
    // Every field has a default, so building does not fail.
    LinuxSeccompArgBuilder::default()
        .index(index)
        .op(op)
        .value(value)
        .build()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: u64 = DEFAULT_CAPABILITIES;

    fn allowed(profile: &LinuxSeccomp, name: &str) -> bool {
        profile.syscalls().iter().flatten().any(|rule| {
            rule.action() == LinuxSeccompAction::ScmpActAllow
                && rule.args().is_none()
                && rule.names().iter().any(|n| n == name)
        })
    }

    #[test]
    fn a_capability_opens_its_calls_and_no_others() {
        let without = default_profile(DOCKER, Arch::ScmpArchX86_64);
        let with = default_profile(DOCKER | 1 << 25, Arch::ScmpArchX86_64);
        assert!(!allowed(&without, "clock_settime"));
        assert!(allowed(&with, "clock_settime"));
        assert!(!allowed(&with, "mount"));
        assert!(allowed(&without, "chroot"));
        assert!(!allowed(
            &default_profile(0, Arch::ScmpArchX86_64),
            "chroot"
        ));
    }

    #[test]
    fn capabilities_that_decide_nothing_leave_the_profile_as_it_is() {
        for bit in 0..41 {
            let changed = default_profile(DOCKER ^ 1 << bit, Arch::ScmpArchX86_64);
            assert_eq!(
                changed == default_profile(DOCKER, Arch::ScmpArchX86_64),
                DECIDING_CAPABILITIES & 1 << bit == 0,
                "capability {bit}"
            );
        }
    }

    #[test]
    fn sys_admin_lifts_the_conditions_on_clone_and_clone3() {
        let rules = |capabilities| {
            default_profile(capabilities, Arch::ScmpArchX86_64)
                .syscalls()
                .clone()
                .unwrap()
                .into_iter()
                .filter(|rule| rule.names().iter().any(|n| n == "clone" || n == "clone3"))
                .collect::<Vec<_>>()
        };
        let confined = rules(DOCKER);
        assert_eq!(confined.len(), 2);
        assert_eq!(confined[0].args().as_ref().unwrap()[0].value(), 0x7e02_0000);
        assert_eq!(confined[1].errno_ret(), Some(38));
        let admin = rules(DOCKER | 1 << 21);
        assert_eq!(admin.len(), 1);
        assert!(admin[0].args().is_none());
    }

    #[test]
    fn s390_has_the_flags_of_clone_in_its_second_argument() {
        let profile = default_profile(DOCKER, Arch::ScmpArchS390x);
        let clone = profile
            .syscalls()
            .iter()
            .flatten()
            .find(|rule| rule.names().iter().any(|n| n == "clone"));
        assert_eq!(clone.unwrap().args().as_ref().unwrap()[0].index(), 1);
    }

    #[test]
    fn an_architecture_brings_its_companions_and_its_own_calls() {
        let x86 = default_profile(DOCKER, Arch::ScmpArchX86_64);
        assert_eq!(
            x86.architectures().as_deref(),
            Some(&[Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32][..])
        );
        assert!(allowed(&x86, "arch_prctl") && !allowed(&x86, "cacheflush"));
        let arm = default_profile(DOCKER, Arch::ScmpArchAarch64);
        assert_eq!(
            arm.architectures().as_deref(),
            Some(&[Arch::ScmpArchAarch64, Arch::ScmpArchArm][..])
        );
        assert!(allowed(&arm, "cacheflush") && !allowed(&arm, "arch_prctl"));
        assert_eq!(
            *default_profile(0, Arch::ScmpArchPpc64le).architectures(),
            None
        );
    }

    #[test]
    fn no_family_is_both_in_the_range_and_in_the_list() {
        assert!(SOCKET_FAMILIES.is_sorted_by(|a, b| a < b));
        assert!(SOCKET_FAMILIES[0] > SOCKET_FAMILIES_BELOW);
        assert!(!SOCKET_FAMILIES.contains(&38) && !SOCKET_FAMILIES.contains(&40));
    }

    #[test]
    fn the_profile_reads_and_writes_as_an_oci_document() {
        let profile = default_profile(DOCKER, Arch::ScmpArchX86_64);
        let text = serde_json::to_string(&profile).unwrap();
        assert!(text.contains(r#""defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1"#));
        assert_eq!(
            serde_json::from_str::<LinuxSeccomp>(&text).unwrap(),
            profile
        );
    }
}
