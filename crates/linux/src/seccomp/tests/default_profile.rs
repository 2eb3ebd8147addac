//! Docker's default profile as containers meet it.

use hoist_spec::SeccompPolicy;
use hoist_spec::oci::LinuxSeccomp;
use hoist_spec::seccomp::{DEFAULT_CAPABILITIES, default_profile};

use super::super::compiler::{self, answer, compile};
use super::super::table::{Host, SyscallTable, X32_BIT};
use super::super::{Filter, HOST, filter_for};
use super::machine::{Call, run};
use super::{AARCH64, ARM, ARM32, ENOSYS, EPERM, I386, X86, X86_64, model};

const ALLOW: u32 = answer::ALLOW;
const SYS_ADMIN: u64 = 1 << 21;

fn docker(host: &Host<'_>, capabilities: u64) -> (LinuxSeccomp, Filter) {
    let profile = default_profile(capabilities, host.abis[0].arch);
    let filter = compile(&profile, host).unwrap();
    (profile, filter)
}

fn number(host: &Host<'_>, audit: u32, name: &str) -> u32 {
    let abi = host.abis.iter().find(|abi| abi.audit == audit).unwrap();
    let number = host.syscalls.finder().numbers(name).unwrap()[abi.column];
    assert_ne!(number, SyscallTable::ABSENT, "{name}");
    number
}

#[track_caller]
fn check(host: &Host<'_>, capabilities: u64, audit: u32, expected: &[(&str, &[u64], u32)]) {
    let (_, filter) = docker(host, capabilities);
    for (name, arguments, answer) in expected {
        let call = Call::new(audit, number(host, audit, name), arguments);
        let actual = run(&filter.program, &call).0;
        assert_eq!(actual, *answer, "{name} {arguments:x?}");
    }
}

#[test]
fn the_default_container_may_do_what_docker_lets_it() {
    const SIGCHLD: u64 = 17;
    let expected: &[(&str, &[u64], u32)] = &[
        ("read", &[], ALLOW),
        ("write", &[], ALLOW),
        ("mmap", &[], ALLOW),
        ("execve", &[], ALLOW),
        ("capset", &[], ALLOW),
        ("prctl", &[], ALLOW),
        ("chroot", &[], ALLOW),
        ("ptrace", &[], ALLOW),
        ("removexattrat", &[], ALLOW),
        ("clone", &[SIGCHLD], ALLOW),
        ("clone", &[0x3d0f00], ALLOW),
        ("clone", &[0x1000_0000 | SIGCHLD], EPERM),
        ("clone", &[0x0002_0000 | SIGCHLD], EPERM),
        ("clone3", &[], ENOSYS),
        ("unshare", &[0x1000_0000], EPERM),
        ("unshare", &[0], EPERM),
        ("setns", &[], EPERM),
        ("mount", &[], EPERM),
        ("umount2", &[], EPERM),
        ("fsopen", &[], EPERM),
        ("open_tree", &[], EPERM),
        ("keyctl", &[], EPERM),
        ("add_key", &[], EPERM),
        ("bpf", &[], EPERM),
        ("perf_event_open", &[], EPERM),
        ("userfaultfd", &[], EPERM),
        ("io_uring_setup", &[], EPERM),
        ("kexec_load", &[], EPERM),
        ("reboot", &[], EPERM),
        ("settimeofday", &[], EPERM),
        ("open_by_handle_at", &[], EPERM),
        ("personality", &[0], ALLOW),
        ("personality", &[0x8], ALLOW),
        ("personality", &[0x20000], ALLOW),
        ("personality", &[0x20008], ALLOW),
        ("personality", &[0xffff_ffff], ALLOW),
        // ADDR_NO_RANDOMIZE
        ("personality", &[0x40000], EPERM),
        ("personality", &[u64::MAX], EPERM),
        ("personality", &[0x1_0000_0000], EPERM),
        ("socket", &[1], ALLOW),
        ("socket", &[2], ALLOW),
        ("socket", &[10], ALLOW),
        ("socket", &[16], ALLOW),
        ("socket", &[17], ALLOW),
        ("socket", &[44], ALLOW),
        ("socket", &[45], ALLOW),
        // AF_DECnet, AF_ALG, AF_VSOCK, and none at all
        ("socket", &[12], EPERM),
        ("socket", &[38], EPERM),
        ("socket", &[40], EPERM),
        ("socket", &[46], EPERM),
        ("socket", &[0x1_0000_0002], EPERM),
        // newer than the profile
        ("open_tree_attr", &[], ENOSYS),
        ("file_setattr", &[], ENOSYS),
        ("listns", &[], ENOSYS),
    ];
    check(&X86, DEFAULT_CAPABILITIES, X86_64, expected);
    check(&ARM, DEFAULT_CAPABILITIES, AARCH64, expected);
}

#[test]
fn each_abi_of_the_host_has_its_own_numbers() {
    let own: &[(&str, &[u64], u32)] = &[
        ("arch_prctl", &[], ALLOW),
        ("modify_ldt", &[], ALLOW),
        ("fork", &[], ALLOW),
        ("uretprobe", &[], ALLOW),
        ("uselib", &[], EPERM),
    ];
    check(&X86, DEFAULT_CAPABILITIES, X86_64, own);
    let i386: &[(&str, &[u64], u32)] = &[
        ("socketcall", &[1], ALLOW),
        ("waitpid", &[], ALLOW),
        ("vm86", &[], EPERM),
        ("umount", &[], EPERM),
        ("clone", &[0x1000_0000], EPERM),
    ];
    check(&X86, DEFAULT_CAPABILITIES, I386, i386);
    let arm64: &[(&str, &[u64], u32)] =
        &[("newfstatat", &[], ALLOW), ("kexec_file_load", &[], EPERM)];
    check(&ARM, DEFAULT_CAPABILITIES, AARCH64, arm64);
    let arm32: &[(&str, &[u64], u32)] = &[
        ("cacheflush", &[], ALLOW),
        ("set_tls", &[], ALLOW),
        ("usr26", &[], ENOSYS),
        ("sync_file_range2", &[], ALLOW),
    ];
    check(&ARM, DEFAULT_CAPABILITIES, ARM32, arm32);
}

#[test]
fn x32_calls_are_judged_by_their_own_table() {
    let (_, filter) = docker(&X86, DEFAULT_CAPABILITIES);
    let answer = |number: u32| run(&filter.program, &Call::new(X86_64, number, &[])).0;
    assert_eq!(answer(X32_BIT), ALLOW, "read");
    assert_eq!(answer(X32_BIT | 520), ALLOW, "execve");
    assert_eq!(answer(X32_BIT | 59), EPERM, "the number of x86-64's execve");
    assert_eq!(answer(520), ENOSYS, "the number of x32's execve");
    assert_eq!(answer(X32_BIT | 165), EPERM, "mount");
    assert_eq!(answer(X32_BIT | 600), ENOSYS);
    assert_eq!(answer(u32::MAX), ENOSYS);
}

#[test]
fn an_unknown_number_does_not_exist_and_an_unknown_abi_kills() {
    for (host, audits) in [(X86, [X86_64, I386]), (ARM, [AARCH64, ARM32])] {
        let (_, filter) = docker(&host, DEFAULT_CAPABILITIES);
        let answer = |audit, number| run(&filter.program, &Call::new(audit, number, &[])).0;
        for audit in audits {
            assert_eq!(answer(audit, 9999), ENOSYS);
            assert_eq!(answer(audit, 1 << 31), ENOSYS);
        }
        assert_eq!(answer(0x8000_0016, 0), answer::KILL_PROCESS);
    }
}

#[test]
fn sys_admin_may_make_namespaces_and_mounts() {
    let expected: &[(&str, &[u64], u32)] = &[
        ("clone", &[0x7e02_0000], ALLOW),
        ("clone3", &[], ALLOW),
        ("unshare", &[], ALLOW),
        ("mount", &[], ALLOW),
        ("bpf", &[], ALLOW),
        ("keyctl", &[], EPERM),
        ("settimeofday", &[], EPERM),
    ];
    check(&X86, DEFAULT_CAPABILITIES | SYS_ADMIN, X86_64, expected);
}

#[test]
fn every_number_is_answered_as_the_profile_reads() {
    for (host, audits) in [(X86, [X86_64, I386]), (ARM, [AARCH64, ARM32])] {
        for capabilities in [0, DEFAULT_CAPABILITIES, u64::MAX] {
            let (profile, filter) = docker(&host, capabilities);
            let numbers = (0..600)
                .chain(X32_BIT..X32_BIT + 600)
                .chain(0xf_0000..0xf_0008);
            for number in numbers {
                for (audit, argument) in audits.iter().flat_map(|a| [(*a, 0), (*a, 40)]) {
                    let call = Call::new(audit, number, &[argument]);
                    let expected = model::judge(&profile, &host, &call);
                    assert_eq!(run(&filter.program, &call).0, expected, "{call:x?}");
                }
            }
        }
    }
}

#[test]
fn common_calls_are_decided_in_few_steps() {
    for (host, audit) in [(X86, X86_64), (ARM, AARCH64)] {
        let (_, filter) = docker(&host, DEFAULT_CAPABILITIES);
        for name in [
            "read",
            "write",
            "mmap",
            "futex",
            "epoll_pwait",
            "openat",
            "close",
        ] {
            let call = Call::new(audit, number(&host, audit, name), &[]);
            let (_, steps) = run(&filter.program, &call);
            assert!(
                steps <= 16,
                "{name} takes {steps} of {}",
                filter.program.len()
            );
        }
    }
}

#[test]
fn the_built_in_filter_is_the_compiled_default_profile() {
    let Some(host) = HOST else { return };
    let filter = filter_for(SeccompPolicy::Default, None, DEFAULT_CAPABILITIES).unwrap();
    let compiled = docker(&host, DEFAULT_CAPABILITIES).1;
    assert_eq!(filter.as_ref().unwrap().program, compiled.program);
    assert_eq!(filter.as_ref().unwrap().flags, compiled.flags);
    // CAP_CHOWN decides nothing, CAP_SYS_CHROOT does.
    let without_chown = DEFAULT_CAPABILITIES & !1;
    assert_eq!(
        filter_for(SeccompPolicy::Default, None, without_chown).unwrap(),
        filter
    );
    let without_chroot = DEFAULT_CAPABILITIES & !(1 << 18);
    let other = filter_for(SeccompPolicy::Default, None, without_chroot)
        .unwrap()
        .unwrap();
    assert_eq!(other.program, docker(&host, without_chroot).1.program);
    assert_ne!(other.program, compiled.program);
    assert_eq!(other.ignored, [""; 0]);
}

#[test]
fn the_policy_decides_where_the_filter_comes_from() {
    if HOST.is_none() {
        return;
    }
    let own = super::profile(
        hoist_spec::oci::LinuxSeccompAction::ScmpActAllow,
        Vec::new(),
    );
    let get = |policy, profile| filter_for(policy, profile, DEFAULT_CAPABILITIES).unwrap();
    assert_eq!(get(SeccompPolicy::Unconfined, Some(&own)), None);
    assert_eq!(get(SeccompPolicy::Oci, None), None);
    let filter = get(SeccompPolicy::Oci, Some(&own)).unwrap();
    assert_eq!(filter.flags, compiler::flag::SPEC_ALLOW);
    assert!(filter.program.len() < 10);
    assert_ne!(get(SeccompPolicy::Default, Some(&own)), Some(filter));
}
