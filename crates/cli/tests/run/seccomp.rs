//! The filter at its edges.

use std::collections::BTreeMap;

use hoist_testing::command::Hoist;

pub(super) fn newer_calls(hoist: &Hoist) {
    let calls: BTreeMap<String, i32> = hoist
        .run(&[], &["calls", "1000", "clone3", "keyctl", "getpid"])
        .json();
    assert_eq!(calls["1000"], libc_errno::ENOSYS);
    assert_eq!(
        calls["clone3"],
        libc_errno::ENOSYS,
        "glibc falls back to clone"
    );
    assert_eq!(calls["keyctl"], libc_errno::EPERM);
    assert_eq!(calls["getpid"], 0);
}

mod libc_errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOSYS: i32 = 38;
}

pub(super) fn calls_after_the_filter(hoist: &Hoist) {
    let profile = hoist.write(
        "strict.json",
        r#"{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [
            {"names": ["capset", "prctl", "execve", "write"], "action": "SCMP_ACT_ALLOW"}]}"#,
    );
    let option = format!("seccomp={profile}");
    for more in [
        &[][..],
        &["--security-opt", "no-new-privileges"],
        &["--cap-drop", "ALL"],
    ] {
        let mut options = vec!["--security-opt", &option];
        options.extend(more);
        // The program was executed: its own first call is the one that the filter kills for, by SIGSYS.
        hoist.run(&options, &["exit", "0"]).ended_with(128 + 31);
    }
}

pub(super) fn nothing_allowed(hoist: &Hoist) {
    let profile = hoist.write("nothing.json", r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#);
    let option = format!("seccomp={profile}");
    // It can neither execute its program, nor say so, nor exit: what is left to it is an illegal instruction.
    hoist
        .run(&["--security-opt", &option], &["exit", "0"])
        .ended_with(128 + 4);
}
