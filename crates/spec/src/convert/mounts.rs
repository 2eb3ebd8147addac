//! The mounts of a container: docker's own, and those of the command.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use oci_spec::runtime;

use super::defaults;
use super::settings::NO_SHARED_MEMORY;
use crate::{
    Command, Mount,
    check::{self, Check, clean_path, is_within},
};

/// How mounts travel between this machine and the container (mount_namespaces(7)).
const PROPAGATIONS: [&str; 8] = [
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "unbindable",
    "runbindable",
];

/// Flags of a mount (mount(8), mount_setattr(2)); `ro` and `rw` are what `writable` says.
const FLAGS: [&str; 14] = [
    "nosuid",
    "suid",
    "nodev",
    "dev",
    "noexec",
    "exec",
    "noatime",
    "atime",
    "nodiratime",
    "diratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nosymfollow",
];

/// Options of tmpfs(5) that take a value.
const TMPFS_VALUES: [&str; 7] = [
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "huge",
];

/// An OCI mount.
pub(super) fn mount(
    destination: &str,
    kind: &str,
    source: &str,
    options: &[&str],
) -> runtime::Mount {
    let mut mount = runtime::Mount::default();
    mount
        .set_destination(PathBuf::from(destination))
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(PathBuf::from(source)))
        .set_options(Some(
            options.iter().map(|option| (*option).to_owned()).collect(),
        ));
    mount
}

/// Docker's mounts that the command does not replace, then the command's, parents before children.
pub(super) fn all(command: &Command) -> Vec<runtime::Mount> {
    let own = sorted(&command.mounts);

    let replaced = |default: &runtime::Mount| {
        own.iter().any(|(destination, _)| {
            default.destination().as_os_str() == destination.as_str()
                // A /dev of one's own is taken with all that it holds.
                || (destination == "/dev" && default.destination().starts_with("/dev"))
        })
    };
    let mut mounts: Vec<_> = defaults::mounts()
        .into_iter()
        .filter(|default| !replaced(default))
        .filter(|default| {
            command.namespaces.ipc != NO_SHARED_MEMORY || !is_usual_shared_memory(default)
        })
        .map(|default| adapted(default, command))
        .collect();
    mounts.extend(
        own.iter()
            .map(|(destination, mount)| one(destination, mount)),
    );
    mounts
}

/// Those of a command alone.
pub(super) fn given(mounts: &[Mount]) -> Vec<runtime::Mount> {
    let sorted = sorted(mounts);
    let all = sorted.iter();
    all.map(|(destination, mount)| one(destination, mount))
        .collect()
}

/// Parents before children.
fn sorted(mounts: &[Mount]) -> Vec<(String, &Mount)> {
    let mut own: Vec<(String, &Mount)> = mounts
        .iter()
        .map(|mount| (clean_path(&mount.destination), mount))
        .collect();
    own.sort_by_key(|(destination, _)| destination.matches('/').count());
    own
}

/// A default mount as the command wants it.
fn adapted(mut mount: runtime::Mount, command: &Command) -> runtime::Mount {
    let mut options = mount.options().clone().unwrap_or_default();
    if command.shm_size > 0 && mount.destination().as_os_str() == "/dev/shm" {
        options.retain(|option| !option.starts_with("size="));
        options.push(format!("size={}", command.shm_size));
    }
    // With this machine's message queues and semaphores come its shared memory segments, as with docker.
    if mount.destination().as_os_str() == "/dev/shm"
        && let Some(source) = shared_memory(&command.namespaces.ipc)
    {
        return shared_memory_from(&source);
    }
    if command.privileged && mount.destination().starts_with("/sys") {
        options.retain(|option| option != "ro");
    }
    mount.set_options(Some(options));
    mount
}

/// Where the shared memory segments are that go with an IPC namespace of somebody else: this machine's, or a process's.
fn shared_memory(ipc: &str) -> Option<String> {
    if ipc == "host" {
        return Some("/dev/shm".to_owned());
    }
    let pid = ipc.strip_prefix("ns:/proc/")?.strip_suffix("/ns/ipc")?;
    let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| shared_memory_of_process(pid))
}

fn shared_memory_of_process(pid: impl Display) -> String {
    format!("/proc/{pid}/root/dev/shm")
}

fn shared_memory_from(source: &str) -> runtime::Mount {
    let options = ["rbind", "nosuid", "noexec", "nodev", "rprivate"];
    mount("/dev/shm", "bind", source, &options)
}

/// The shared memory segments of the container that this process is of.
pub(crate) fn shared_memory_of(pid: u32) -> runtime::Mount {
    shared_memory_from(&shared_memory_of_process(pid))
}

/// Whether it is the one that a container has for itself where nobody says otherwise.
pub(crate) fn is_usual_shared_memory(mount: &runtime::Mount) -> bool {
    mount.destination().as_os_str() == "/dev/shm"
        && mount.source().as_deref() == Some(Path::new("shm"))
}

fn one(destination: &str, given: &Mount) -> runtime::Mount {
    let mut options: Vec<&str> = Vec::new();
    let has = |wanted: &[&str]| {
        given
            .options
            .iter()
            .any(|option| wanted.contains(&option.as_str()))
    };
    let (kind, source) = if is_tmpfs(given) {
        for (default, unless) in [("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec")] {
            if !has(&[default, unless]) {
                options.push(default);
            }
        }
        ("tmpfs", "tmpfs")
    } else {
        if !has(&["bind", "rbind"]) {
            options.push("rbind");
        }
        ("bind", given.source.as_str())
    };
    if !given.writable {
        // With what is mounted below it, as docker has it since 25: a read-only view with a writable hole is none.
        options.push(
            if kind == "bind" && !has(&["bind"]) && !given.writable_below {
                "rro"
            } else {
                "ro"
            },
        );
    }
    options.extend(given.options.iter().map(String::as_str));
    if !has(&PROPAGATIONS) {
        options.push("rprivate");
    }
    mount(destination, kind, source, &options)
}

/// What the root's propagation must be, so that the command's mounts can have theirs.
pub(super) fn root_propagation(given: &[Mount]) -> Option<&'static str> {
    let has = |wanted: [&str; 2]| {
        given
            .iter()
            .flat_map(|mount| &mount.options)
            .any(|option| wanted.contains(&option.as_str()))
    };
    if has(["shared", "rshared"]) {
        Some("shared")
    } else if has(["slave", "rslave"]) {
        Some("rslave")
    } else {
        None
    }
}

pub(super) fn is_tmpfs(mount: &Mount) -> bool {
    mount.kind == "tmpfs"
}

pub(super) fn check_kind(kind: &str) -> Check {
    if matches!(kind, "" | "bind" | "tmpfs") {
        return Ok(());
    }
    if kind == "volume" {
        return Err(
            "is a volume of no valid name, or cannot be one here: give a directory".to_owned(),
        );
    }
    Err("is no type of mount that a command can have: use bind or tmpfs".to_owned())
}

/// Whether a container may have something mounted there. What would hide or fake `/proc` and `/sys` is
/// refused: the container's confinement rests on them (CVE-2019-16884).
pub(crate) fn check_destination(destination: &str, kind: &str, source: &str) -> Check {
    check::absolute_path(destination)?;
    let destination = clean_path(destination);
    if destination == "/" {
        return Err("is the root itself".to_owned());
    }
    if is_within(&destination, "/proc") && kind != "proc" {
        return Err("lies in /proc, where only the kernel's own files may be".to_owned());
    }
    if destination == "/sys" && kind != "sysfs" && clean_path(source) != "/sys" {
        return Err("is /sys, where only the kernel's own files may be".to_owned());
    }
    Ok(())
}

/// Whether a path names something below where it begins.
fn is_below(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != "..")
}

pub(super) fn check_option(mount: &Mount, option: &str) -> Check {
    check::one_line(option)?;
    if option.contains(',') {
        return Err("holds a comma; give each option by itself".to_owned());
    }
    if matches!(option, "ro" | "rw") {
        return Err("is what \"writable\" says".to_owned());
    }
    let known = if is_tmpfs(mount) {
        option
            .split_once('=')
            .is_some_and(|(key, value)| TMPFS_VALUES.contains(&key) && !value.is_empty())
            || option == "tmpcopyup"
    } else {
        matches!(option, "bind" | "rbind" | "tmpcopyup" | "idmap" | "ridmap")
            || PROPAGATIONS.contains(&option)
    };
    let is_map = |name| {
        option
            .strip_prefix(name)
            .is_some_and(|maps| !maps.is_empty())
    };
    if !is_tmpfs(mount) && (is_map("idmap=") || is_map("ridmap=")) {
        return Ok(());
    }
    if let Some(below) = option.strip_prefix("X-mount.subdir=") {
        return match !is_tmpfs(mount) && is_below(below) {
            true => Ok(()),
            false => Err("is no path within the source".to_owned()),
        };
    }
    if known || FLAGS.contains(&option) {
        return Ok(());
    }
    Err(if is_tmpfs(mount) {
        "is no option of a tmpfs mount"
    } else {
        "is no option of a bind mount"
    }
    .to_owned())
}
