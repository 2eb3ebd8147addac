//! From a failed step to an error that says what was tried, why it failed and what to do.

use std::ffi::CStr;

use hoist_compute::{Error, ErrorKind, OsCode, Phase};
use hoist_init::wire::{Call, List, Message, Slot, Step};
use hoist_spec::oci::Process;

use super::constants::namespace;
use super::program::list_of_texts;
use super::words::{list_first, text, words};
use crate::features::{HostFeatures, KernelVersion};

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EBADF: i32 = 9;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const ENOSYS: i32 = 38;
const ELOOP: i32 = 40;
const EUSERS: i32 = 87;
const EDQUOT: i32 = 122;

/// The error for `step`, which failed in `call` with `errno`; with a remedy where it is known what the host can do.
pub(crate) fn explain(
    step: &Step<'_>,
    call: Call,
    errno: i32,
    features: Option<&HostFeatures>,
) -> Error {
    if let Some(error) = explain_hook(step, call, errno) {
        return error;
    }
    let phase = match step {
        Step::Execute { .. } | Step::FindProgram { .. } => Phase::Execute,
        _ => Phase::Start,
    };
    let kind = match (step, errno) {
        (
            Step::Execute { .. } | Step::FindProgram { .. } | Step::ChangeDirectory { .. },
            ENOENT,
        ) => ErrorKind::NotFound,
        (_, EPERM | EACCES) if call != Call::Verify => ErrorKind::PermissionDenied,
        _ => ErrorKind::System,
    };
    let mut error = Error::new(kind, phase, operation(step, errno)).code(OsCode::Errno(errno));
    if call != Call::None {
        error = error.call(call.name());
    }
    if let Some(subject) = subject(step) {
        error = error.about(subject);
    }
    match features.and_then(|features| remedy(step, call, errno, features)) {
        Some(remedy) => error.remedy(remedy),
        None => error,
    }
}

/// `error`, of a process that was to have this SELinux label: where its program cannot be executed, that may be why.
pub(crate) fn under_label(error: Error, label: Option<&str>) -> Error {
    match (error.phase(), error.kind(), label) {
        (Phase::Execute, ErrorKind::PermissionDenied, Some(label)) => error.remedy(format!(
            "its user may not execute it, or the policy of this host's SELinux does not let it run under the label {label}: the kernel's log has a line on what SELinux has denied (ausearch -m avc, dmesg)"
        )),
        _ => error,
    }
}

/// The error for a hook that did not succeed: its status is in the place of an errno.
fn explain_hook(step: &Step<'_>, call: Call, status: i32) -> Option<Error> {
    let how = match call {
        Call::HookExit => format!("exit status {status}"),
        Call::HookSignal => format!("signal {status}"),
        Call::HookTimeout => "it took longer than its timeout".to_owned(),
        _ => return None,
    };
    let error = Error::new(
        ErrorKind::System,
        Phase::Start,
        format!("{}: {how}", words(step)),
    );
    Some(match subject(step) {
        Some(subject) => error.about(subject),
        None => error,
    })
}

/// The error for a failure that is told after the plan is gone: of a program started by another process than the one that
/// made the plan.
pub(crate) fn explain_late(
    message: &Message,
    process: Option<&Process>,
    features: &HostFeatures,
) -> Error {
    let call = Call::from_code(message.call).unwrap_or(Call::None);
    if let Some(error) = explain_hook(
        &Step::RunHook {
            kind: c"startContainer",
            path: c"",
            arguments: List::EMPTY,
            environment: List::EMPTY,
            timeout_seconds: 0,
        },
        call,
        message.errno,
    ) {
        return error;
    }
    let arguments = process.and_then(|process| process.args().as_deref());
    let arguments = arguments.unwrap_or_default();
    let program = arguments.first().map(String::as_str).unwrap_or_default();
    let count = if program.contains('/') { 1 } else { 0 };
    match (call, list_of_texts("argument", arguments)) {
        (Call::Execve, Ok(arguments)) => under_label(
            explain(
                &Step::Execute {
                    candidates: List { count, bytes: &[] },
                    arguments: arguments.as_list(),
                    environment: List::EMPTY,
                    init: false,
                },
                call,
                message.errno,
                Some(features),
            ),
            process
                .and_then(|process| process.selinux_label().as_deref())
                .filter(|label| !label.is_empty()),
        ),
        _ => Error::new(ErrorKind::System, Phase::Start, "set the process up")
            .call(call.name())
            .code(OsCode::Errno(message.errno)),
    }
}

fn operation(step: &Step<'_>, errno: i32) -> String {
    match step {
        Step::Execute {
            candidates,
            arguments,
            ..
        } if candidates.count != 1 && errno == ENOENT => {
            format!(
                "execute {:?}, which is in no directory of $PATH",
                list_first(*arguments)
            )
        }
        Step::Execute { arguments, .. } => format!("execute {:?}", list_first(*arguments)),
        other => words(other),
    }
}

/// The path or name that the step is about.
fn subject(step: &Step<'_>) -> Option<String> {
    let path = match *step {
        Step::OpenRoot { path, .. }
        | Step::OpenFolder { path, .. }
        | Step::MakeDirectory { path, .. }
        | Step::MakeFile { path, .. }
        | Step::Mask { path, .. }
        | Step::MakeReadOnly { path }
        | Step::ChangeDirectory { path }
        | Step::JoinCgroup { path, .. }
        | Step::RunHook { path, .. }
        | Step::FindProgram { name: path, .. }
        | Step::MakeDevice { path, .. } => path,
        Step::Mount { target, .. }
        | Step::MountDetached { target, .. }
        | Step::LabelMount { target, .. }
        | Step::AddMount { target, .. }
        | Step::RemoveMount { target, .. } => target,
        Step::Bind { source, .. } | Step::CloneTree { source, .. } => source,
        Step::Execute { arguments, .. } => return Some(list_first(arguments)),
        _ => return None,
    };
    Some(text(path).into_owned())
}

/// Whether one of the pairs has this option.
fn has_option(options: List<'_>, name: &CStr) -> bool {
    options
        .iter::<&CStr>()
        .step_by(2)
        .any(|option| option == name)
}

fn remedy(step: &Step<'_>, call: Call, errno: i32, features: &HostFeatures) -> Option<String> {
    let ordinary = !features.privileged;
    let words = match (step, call, errno) {
        (Step::Clone { namespaces, .. }, _, EPERM | EACCES)
            if namespaces & namespace::USER != 0 =>
        {
            "this host lets an ordinary user make no user namespace: run Hoist as root, or allow it \
             (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a docker \
             container: --security-opt seccomp=unconfined); `hoist info` tells what stands in the way"
        }
        (Step::Clone { cgroup, .. }, _, EACCES) if ordinary && *cgroup != Slot::NONE => {
            "cgroup v2 lets an ordinary user move a process only below a cgroup whose cgroup.procs it may write: do this from \
             within the cgroup that was delegated, where the container was started"
        }
        (Step::Clone { .. }, _, EPERM) => {
            "making namespaces needs CAP_SYS_ADMIN: run Hoist as root on the host, or in a container that has it"
        }
        // Every kernel that Hoist runs on has clone3(2).
        (Step::Clone { .. }, _, ENOSYS) => {
            "a seccomp filter hides clone3 from Hoist, as docker's does in an unprivileged container: run that one with \
             --security-opt seccomp=unconfined, or Hoist as root on the host"
        }
        (Step::Clone { .. }, _, ENOSPC | EUSERS) => {
            "this host's limit on namespaces is reached: raise the sysctls below user.max_*_namespaces"
        }
        (Step::Mount { kind, .. }, _, EPERM) if ordinary && text(kind) == "proc" => {
            "the kernel gives an ordinary user a new proc only where all of the host's /proc can be seen: Hoist is probably \
             in a container with masked paths; run that one with --security-opt systempaths=unconfined, or Hoist as root"
        }
        (
            Step::SetPropagation { .. } | Step::OpenRoot { .. } | Step::NewFilesystem { .. },
            _,
            EPERM,
        ) => {
            "mounting is forbidden here: a seccomp filter or a security module of this host or container refuses it"
        }
        (Step::NewOverlay { .. }, _, EPERM | EINVAL | ENODEV) if ordinary => {
            "overlayfs in a user namespace needs Linux 5.11 and layers on a file system that allows it"
        }
        (Step::NewServedLayers { .. }, Call::Openat, _) => {
            "an ordinary user needs /dev/fuse: load the module fuse, and give the device mode 0666"
        }
        (Step::CopyLayers { .. }, Call::Openat, EACCES) => {
            "who starts the container may not read a file of a layer: give it to that user, or run Hoist as root"
        }
        (Step::CopyLayers { .. }, _, ENOSPC) => {
            "a copy of all layers has no room: give more with --layer-folder on a disk, or see what `hoist info` says of layers"
        }
        (Step::NewOverlay { .. }, _, ENODEV) => "this kernel has no overlayfs: modprobe overlay",
        (Step::OpenRoot { .. }, _, ENOENT) => "give --rootfs a directory that exists",
        (Step::Bind { device: true, .. }, _, ENOENT | ENODEV) => {
            "this host's /dev lacks the device, or has something else there"
        }
        (Step::AddMount { .. }, Call::Openat2, ELOOP) => {
            "a file is mounted on through no symbolic link: name the file itself"
        }
        (Step::Bind { .. } | Step::CloneTree { .. }, Call::OpenTree, ENOENT) => {
            "make the source first: a bind mount does not create it"
        }
        (Step::Mount { no_links: true, .. }, Call::Openat2, ELOOP) => {
            "the root has a symbolic link where a real directory must be; it may have been put there to break out"
        }
        (Step::JoinCgroup { .. }, _, EBUSY) => {
            "the cgroup is governed by someone else: choose another cgroups path"
        }
        (Step::SetCapabilities { .. } | Step::SetIdentity { .. }, Call::Capset, EPERM) => {
            "Hoist cannot give a capability that it does not have itself: see CapPrm in /proc/self/status"
        }
        (Step::LoadSeccomp { .. }, _, EINVAL) => {
            "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)"
        }
        (Step::OpenConsole { .. }, _, ENOENT | EBADF) => {
            "a console needs a devpts mounted on the container's /dev/pts"
        }
        (Step::WriteOnHost { .. }, Call::Write, EACCES) => {
            "lowering the OOM score needs CAP_SYS_RESOURCE"
        }
        (Step::WriteOwnProcess { file, .. }, Call::Openat2 | Call::Openat, ENOENT)
            if *file == c"attr/apparmor/exec" =>
        {
            "this machine's kernel runs without AppArmor: ask for no profile"
        }
        (Step::WriteOwnProcess { file, .. }, Call::Write, ENOENT)
            if *file == c"attr/apparmor/exec" =>
        {
            "no such AppArmor profile is loaded: load it by apparmor_parser"
        }
        (Step::NewKeyring { .. }, _, EDQUOT) => {
            "its user has as many keys as it may, one or more for each container: sysctl kernel.keys.maxkeys, and maxbytes"
        }
        (Step::SetMemoryPolicy { .. }, _, ENOSYS) => {
            "this kernel knows no NUMA nodes (CONFIG_NUMA)"
        }
        (Step::SetMemoryPolicy { .. }, _, EINVAL) => {
            "this kernel does not know the mode, or this machine has none of the nodes"
        }
        (Step::WriteOwnProcess { file, .. }, Call::Write, EINVAL | EACCES)
            if [c"attr/exec", c"attr/keycreate"].contains(file) =>
        {
            match (features.selinux, errno) {
                (false, _) => "a process label needs SELinux, and this host's kernel runs without",
                (true, EINVAL) => "the policy of this host's SELinux does not know this label",
                (true, _) => {
                    "the policy of this host's SELinux lets this process set no label for others"
                }
            }
        }
        (Step::Mount { options, .. }, Call::Fsconfig, EINVAL)
            if has_option(*options, c"context") =>
        {
            match features.selinux {
                false => "a mount label needs SELinux, and this host's kernel runs without",
                true => "the policy of this host's SELinux does not know this mount label",
            }
        }
        (Step::Mount { options, .. }, Call::Fsconfig, EACCES)
            if features.selinux && has_option(*options, c"context") =>
        {
            "the policy of this host's SELinux lets this process give a file system no such mount label"
        }
        (Step::LabelMount { .. }, _, EINVAL | EACCES | EPERM) if features.selinux => {
            "the policy of this host's SELinux does not know the mount label, or lets this process give none"
        }
        (Step::SetLimit { .. }, _, EPERM) => "raising a hard limit needs CAP_SYS_RESOURCE",
        (Step::Execute { .. }, _, ENOENT) => {
            "the container has no such file, or the file's interpreter (the one its first line or its ELF header names) is missing"
        }
        (Step::ChangeDirectory { .. }, _, ENOENT) => {
            "make the directory, or choose another with --workdir (hoist-oci exec: --cwd)"
        }
        (_, _, ENOSYS) if features.kernel < KernelVersion::OLDEST => {
            return Some(format!(
                "use Linux {} or newer; this is {}",
                KernelVersion::OLDEST,
                features.kernel
            ));
        }
        _ => return None,
    };
    Some(words.to_owned())
}
