//! Compares restored processes with the spec while criu holds them: a checkpoint could have been made, or changed, so that they
//! are isolated less.

use std::collections::HashSet;
use std::os::fd::OwnedFd;

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_init::owner::descendants;
use hoist_spec::oci::Spec;
use rustix::fs::{FileType, fstat, major, minor};

use super::dump::{mount_at, mount_of};
use super::mounts::{self, External, MountLine};
use crate::execute::verify;
use crate::plan::{Plan, Sets};
use crate::proc_pid;
use crate::root::Root;
use crate::service::system;

/// What a spec may ask of a mount, and what it is called in mountinfo.
const RESTRICTIONS: [&str; 4] = ["ro", "nosuid", "nodev", "noexec"];
/// File systems that criu makes and that give nothing of the host's, whether or not the spec has them: what masks is one.
const HARMLESS: [&str; 1] = ["tmpfs"];

/// Every process below and including `pid` is where the plan puts the container's first process, with no more rights than that;
/// and the root has what the spec hides and protects.
pub(super) fn verify(
    plan: &Plan,
    oci: &Spec,
    externals: &[External],
    labels_are_given: bool,
    pid: u32,
) -> Result<()> {
    let listed = |error| system("list the restored processes", error);
    let below = descendants::below(&[pid]).map_err(listed)?;
    let mut pids: HashSet<u32> = below.into_iter().collect();
    if let Some(namespace) = proc_pid::pid_namespace(pid).map_err(listed)? {
        pids.extend(proc_pid::pids_in_namespace(namespace).map_err(listed)?);
    }
    pids.insert(pid);
    let path = format!("/proc/{pid}/root");
    let root = Root::directory(crate::root::directory(path.as_ref()).map_err(Error::from)?);
    let table = mounts::parse(read(pid, "mountinfo")?.as_bytes());
    let mut given = HashSet::new();
    for external in externals {
        let line = mount_at(&root, &external.destination, &table)?;
        given.extend(line.map(|line| line.point.clone()));
    }
    let first = pid;
    for &pid in &pids {
        let status = match proc_pid::stat(pid).map_err(listed)? {
            Some(_) => read(pid, "status")?,
            None if pid != first => continue,
            None => return Err(mismatch(pid, "it has ended")),
        };
        // One that had ended and was not reaped when it was written down is that again, in no namespace.
        if pid != first && has_ended(&status) {
            continue;
        }
        verify::after_clone(plan, pid)?;
        verify::within_cgroup(plan, pid)?;
        verify::own_cgroup_namespace(plan, pid)?;
        allows(oci, &status).map_err(|what| mismatch(pid, &what))?;
        if !labels_are_given {
            label(oci, pid)?;
        }
        let table = mounts::parse(read(pid, "mountinfo")?.as_bytes());
        file_systems(oci, &given, &table).map_err(|what| mismatch(pid, &what))?;
    }
    root_is_as_asked(oci, &root, &table, pid)
}

/// Whether a process with this `/proc/PID/status` is only there to be reaped. Where just its first thread has ended, others run.
fn has_ended(status: &str) -> bool {
    let has = |line: &str| status.lines().any(|one| one.starts_with(line));
    has("State:\tZ") && status.lines().any(|line| line == "Threads:\t1")
}

fn mismatch(pid: u32, what: &str) -> Error {
    Error::new(
        ErrorKind::PermissionDenied,
        Phase::Start,
        format!("compare restored process {pid} with the spec: {what}"),
    )
    .remedy("the checkpoint is of a container with another spec, or was changed")
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    crate::whole_file::read_text(&path).map_err(|error| system(format!("read {path}"), error))
}

/// Whether a process with this `/proc/PID/status` has no more rights than the spec gives; else what it has.
fn allows(oci: &Spec, status: &str) -> std::result::Result<(), String> {
    let field = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    let process = oci.process().as_ref();
    let bounding = Sets::of(process.and_then(|process| process.capabilities().as_ref())).bounding;
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let has = field(name).and_then(|bits| u64::from_str_radix(bits, 16).ok());
        match has {
            Some(has) if has & !bounding == 0 => {}
            Some(has) => {
                let more = has & !bounding;
                return Err(format!(
                    "its capabilities ({name}) are {has:#x}, which is {more:#x} more than process.capabilities.bounding"
                ));
            }
            None => {
                return Err(format!(
                    "the kernel does not tell its capabilities ({name})"
                ));
            }
        }
    }
    let is_bound = process
        .and_then(|process| process.no_new_privileges())
        .unwrap_or(false);
    if is_bound && field("NoNewPrivs") != Some("1") {
        return Err("it may gain privileges, against process.noNewPrivileges".to_owned());
    }
    let linux = oci.linux().as_ref();
    let is_filtered = linux.is_some_and(|linux| linux.seccomp().is_some());
    if is_filtered && field("Seccomp") != Some("2") {
        return Err("it has no filter, against linux.seccomp".to_owned());
    }
    Ok(())
}

fn label(oci: &Spec, pid: u32) -> Result<()> {
    let process = oci.process().as_ref();
    let asked = process.and_then(|process| {
        let profile = process.apparmor_profile().as_ref();
        profile.or(process.selinux_label().as_ref())
    });
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
        return Ok(());
    };
    let has = read(pid, "attr/current")?;
    // AppArmor puts a mode behind it, SELinux a NUL.
    let has = has.trim_end_matches(['\0', '\n']);
    match hoist_init::label::is_same(has.as_bytes(), asked.as_bytes())
        || has
            .strip_prefix(asked.as_str())
            .is_some_and(|mode| mode.starts_with(" ("))
    {
        true => Ok(()),
        false => Err(mismatch(
            pid,
            &format!("its label is {has:?}, not {asked:?}"),
        )),
    }
}

/// Whether every file system is one that the spec asks for, or harmless, or was given to criu by its point; else which is not.
fn file_systems(
    oci: &Spec,
    given: &HashSet<String>,
    table: &[MountLine],
) -> std::result::Result<(), String> {
    let mut kinds: Vec<&str> = HARMLESS.to_vec();
    for mount in oci.mounts().iter().flatten() {
        match mount.typ().as_deref().unwrap_or_default() {
            "cgroup" => kinds.extend(["cgroup", "cgroup2"]),
            kind => kinds.push(kind),
        }
    }
    for line in table {
        let is_asked_for = kinds.contains(&line.file_system.as_str());
        if line.point == "/" || is_asked_for || given.contains(&line.point) {
            continue;
        }
        return Err(format!(
            "{} is a file system ({}) that the spec does not ask for",
            line.point, line.file_system
        ));
    }
    Ok(())
}

fn root_is_as_asked(oci: &Spec, root: &Root, table: &[MountLine], pid: u32) -> Result<()> {
    let failed = |what: String| Err(mismatch(pid, &what));
    let is_read_only = oci
        .root()
        .as_ref()
        .and_then(|root| root.readonly())
        .unwrap_or(false);
    let top = table.iter().rev().find(|line| line.point == "/");
    if is_read_only && !top.is_some_and(|line| line.has("ro")) {
        return failed("its root can be written to, against root.readonly".to_owned());
    }
    for mount in oci.mounts().iter().flatten() {
        let destination = mount.destination().display().to_string();
        let Some(line) = mount_at(root, &destination, table)? else {
            return failed(format!("{destination} is not mounted"));
        };
        let asked = mount.options().as_deref().unwrap_or_default();
        let missing = RESTRICTIONS
            .iter()
            .find(|name| asked.iter().any(|asked| asked == *name) && !line.has(name));
        if let Some(missing) = missing {
            return failed(format!("{destination} is mounted without {missing}"));
        }
    }
    let linux = oci.linux().as_ref();
    let paths = |paths: Option<&[String]>| paths.unwrap_or_default().to_vec();
    for path in paths(linux.and_then(|linux| linux.masked_paths().as_deref())) {
        let handle = root.handle(path.as_ref(), true).map_err(Error::from)?;
        if let Some(handle) = handle
            && !is_mask(&handle, mount_of(&handle, table)?)?
        {
            return failed(format!("{path} is not masked"));
        }
    }
    for path in paths(linux.and_then(|linux| linux.readonly_paths().as_deref())) {
        let is_there = root
            .handle(path.as_ref(), true)
            .map_err(Error::from)?
            .is_some();
        let line = mount_at(root, &path, table)?;
        if is_there && !line.is_some_and(|line| line.has("ro")) {
            return failed(format!("{path} can be written to"));
        }
    }
    Ok(())
}

/// Whether a handle is what a masked path shows: the null device, or the top of a read-only tmpfs.
fn is_mask(handle: &OwnedFd, line: Option<&MountLine>) -> Result<bool> {
    let stat = fstat(handle).map_err(|errno| system("look at a masked path", errno.into()))?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3),
        FileType::Directory => line
            .is_some_and(|line| line.file_system == "tmpfs" && line.root == "/" && line.has("ro")),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: serde_json::Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    fn status(capability: &str, no_new_privileges: u8, seccomp: u8) -> String {
        let sets: String = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
            .iter()
            .map(|name| format!("{name}:\t{capability}\n"))
            .collect();
        format!(
            "Name:\tsh\n{sets}NoNewPrivs:\t{no_new_privileges}\nSeccomp:\t{seccomp}\nSeccomp_filters:\t0\n"
        )
    }

    #[test]
    fn a_process_with_more_rights_than_the_spec_gives_is_told() {
        let oci = spec(json!({
            "ociVersion": "1.0.0",
            "process": {"cwd": "/", "user": {"uid": 0, "gid": 0}, "noNewPrivileges": true,
                "capabilities": {"bounding": ["CAP_KILL", "CAP_NET_BIND_SERVICE"]}},
            "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}},
        }));
        allows(&oci, &status("0000000000000420", 1, 2)).unwrap();
        allows(&oci, &status("0000000000000000", 1, 2)).unwrap();
        let more = allows(&oci, &status("0000000000200420", 1, 2)).unwrap_err();
        assert!(more.contains("0x200000 more"), "{more}");
        assert!(
            allows(&oci, &status("0000000000000420", 0, 2))
                .unwrap_err()
                .contains("noNewPrivileges")
        );
        assert!(
            allows(&oci, &status("0000000000000420", 1, 0))
                .unwrap_err()
                .contains("seccomp")
        );
        assert!(allows(&oci, "Name:\tsh\n").is_err());
    }

    #[test]
    fn only_a_process_without_any_thread_that_runs_has_ended() {
        let status = |state: &str, threads: u32| {
            format!("Name:\tsh\nState:\t{state}\nThreads:\t{threads}\n")
        };
        assert!(has_ended(&status("Z (zombie)", 1)));
        assert!(!has_ended(&status("Z (zombie)", 2)));
        assert!(!has_ended(&status("Z (zombie)", 10)));
        assert!(!has_ended(&status("t (tracing stop)", 1)));
    }

    #[test]
    fn a_file_system_that_the_spec_does_not_ask_for_is_told() {
        let oci = spec(json!({
            "ociVersion": "1.0.0",
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        }));
        let given = HashSet::from(["/proc/kcore".to_owned()]);
        let table = |line: &str| {
            mounts::parse(
                format!("1 0 0:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:2 / /proc rw - proc proc rw\n{line}\n").as_bytes(),
            )
        };
        let checked = |line: &str| file_systems(&oci, &given, &table(line));
        checked("3 2 0:5 /null /proc/kcore rw - devtmpfs devtmpfs rw").unwrap();
        checked("3 1 0:6 / /tmp rw - tmpfs tmpfs rw").unwrap();
        for line in [
            "3 1 0:7 / /dev rw - devtmpfs devtmpfs rw",
            "3 1 0:5 /mem /dev/null rw - devtmpfs devtmpfs rw",
            "3 1 0:8 / /mnt rw - debugfs debugfs rw",
            "3 1 8:1 / /mnt rw - ext4 /dev/sda1 rw",
        ] {
            assert!(checked(line).is_err(), "{line}");
        }
    }
}
