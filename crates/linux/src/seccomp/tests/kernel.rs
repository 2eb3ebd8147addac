//! The real kernel takes the programs and acts on them.
#![allow(unsafe_code, reason = "installing a filter has no safe wrapper")]

use std::io::Error;

use hoist_spec::SeccompPolicy;
use hoist_spec::oci::LinuxSeccompAction as Action;
use hoist_spec::seccomp::DEFAULT_CAPABILITIES;

use super::super::compiler::compile;
use super::super::{Filter, HOST, filter_for};
use super::{errno, profile};

/// Installs the filter on the calling thread; no other thread of the test program is touched.
fn install(filter: &Filter) {
    let program = libc::sock_fprog {
        len: filter.program.len() as u16,
        filter: filter.program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `Instruction` has the layout of `struct sock_filter`, `program` describes the
    // vector's whole length, and the kernel copies it before the call returns.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                filter.flags,
                &program,
            ) != 0
    };
    assert!(!failed, "{}", Error::last_os_error());
}

/// The errno of a call, 0 for success. Only for calls whose arguments cannot harm the process.
fn errno_of(number: i64, arguments: [u64; 2]) -> i32 {
    // SAFETY: every call made here either fails before it looks at memory or takes numbers only.
    let result = unsafe { libc::syscall(number, arguments[0], arguments[1], 0, 0, 0, 0) };
    match result {
        -1 => Error::last_os_error().raw_os_error().unwrap_or(0),
        _ => 0,
    }
}

fn on_a_filtered_thread(filter: Filter, check: fn()) {
    std::thread::spawn(move || {
        install(&filter);
        check();
    })
    .join()
    .unwrap();
}

#[test]
fn the_kernel_enforces_the_default_filter() {
    let filter = filter_for(SeccompPolicy::Default, None, DEFAULT_CAPABILITIES);
    let Some(filter) = filter.unwrap() else {
        return;
    };
    on_a_filtered_thread(filter, || {
        assert_eq!(errno_of(libc::SYS_getpid, [0, 0]), 0);
        assert_eq!(errno_of(libc::SYS_unshare, [0, 0]), libc::EPERM);
        assert_eq!(errno_of(libc::SYS_clone3, [0, 0]), libc::ENOSYS);
        let user_namespace = libc::CLONE_NEWUSER as u64;
        assert_eq!(errno_of(libc::SYS_clone, [user_namespace, 0]), libc::EPERM);
        assert_eq!(errno_of(libc::SYS_keyctl, [0, 0]), libc::EPERM);
        assert_eq!(errno_of(libc::SYS_fsopen, [0, 0]), libc::EPERM);
        assert_eq!(errno_of(libc::SYS_personality, [0xffff_ffff, 0]), 0);
        assert_eq!(errno_of(libc::SYS_personality, [0x40000, 0]), libc::EPERM);
        let vsock = libc::AF_VSOCK as u64;
        let stream = libc::SOCK_STREAM as u64;
        assert_eq!(errno_of(libc::SYS_socket, [vsock, stream]), libc::EPERM);
        assert_eq!(errno_of(9999, [0, 0]), libc::ENOSYS);
        // What a thread needs to go on and to end still works.
        std::thread::spawn(|| ()).join().unwrap();
    });
}

#[test]
fn the_kernel_compares_all_64_bits_of_an_argument() {
    use hoist_spec::oci::LinuxSeccompOperator::{ScmpCmpGe, ScmpCmpLt};
    let Some(host) = HOST else { return };
    let ge = vec![super::arg(1, ScmpCmpGe, 0x5_0000_0003, None)];
    let lt = vec![super::arg(0, ScmpCmpLt, 7, None)];
    let rules = vec![errno(&["kcmp"], 77, ge), errno(&["kcmp"], 78, lt)];
    let filter = compile(&profile(Action::ScmpActAllow, rules), &host).unwrap();
    on_a_filtered_thread(filter, || {
        let kcmp = |a, b| errno_of(libc::SYS_kcmp, [a, b]);
        assert_eq!(kcmp(8, 0x5_0000_0003), 77);
        assert_eq!(kcmp(8, u64::MAX), 77);
        assert_eq!(kcmp(6, 0x5_0000_0002), 78);
        assert_ne!(kcmp(1 << 32, 0x4_0000_0009), 78);
    });
}

#[test]
fn an_instruction_has_the_layout_of_the_kernels() {
    assert_eq!(
        size_of::<super::super::Instruction>(),
        size_of::<libc::sock_filter>()
    );
    let instruction = super::super::Instruction {
        code: 0x1234,
        jt: 5,
        jf: 6,
        k: 0x789a_bcde,
    };
    // SAFETY: both types are plain numbers of the same size without padding.
    let kernels: libc::sock_filter = unsafe { std::mem::transmute(instruction) };
    assert_eq!(
        (kernels.code, kernels.jt, kernels.jf, kernels.k),
        (0x1234, 5, 6, 0x789a_bcde)
    );
    assert_eq!(
        super::super::Instruction::from_bytes(instruction.to_bytes()),
        instruction
    );
}
