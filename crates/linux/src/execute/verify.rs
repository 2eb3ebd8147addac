//! What the owner looks at before it lets a container's process go: that the process is where the plan puts it.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use hoist_compute::{Error, ErrorKind, Phase, Result};
use rustix::fs::{Mode, OFlags, readlinkat};

use crate::plan::{CGROUP_NAMESPACE, CgroupPlan, IdMapping, IdMaps, NAMESPACE_KINDS, Plan};
use crate::whole_file;

/// Compares what a clone settles for good: the namespaces, and the id maps that were written.
pub(crate) fn after_clone(plan: &Plan, pid: u32) -> Result<()> {
    namespaces(plan, pid, |kind| {
        kind != CGROUP_NAMESPACE || plan.cgroup.is_none()
    })?;
    match &plan.id_maps {
        Some(maps) => id_maps(maps, pid),
        None => Ok(()),
    }
}

/// Compares what the process has done itself since then: its cgroups and its cgroup namespace.
pub(crate) fn once_placed(plan: &Plan, pid: u32) -> Result<()> {
    if let Some(cgroup) = &plan.cgroup {
        cgroups(cgroup, pid)?;
    }
    namespaces(plan, pid, |kind| kind == CGROUP_NAMESPACE)
}

/// Whether the process is in the container's cgroup or one below it, in every hierarchy that it has one in.
pub(crate) fn within_cgroup(plan: &Plan, pid: u32) -> Result<()> {
    let Some(cgroup) = &plan.cgroup else {
        return Ok(());
    };
    places(cgroup, pid, |behind| {
        behind.is_empty() || behind.starts_with('/')
    })
}

/// Whether its cgroup namespace is not the host's, where the container has one.
pub(crate) fn own_cgroup_namespace(plan: &Plan, pid: u32) -> Result<()> {
    namespaces(plan, pid, |kind| kind == CGROUP_NAMESPACE)
}

fn mismatch(what: String) -> Error {
    Error::new(
        ErrorKind::System,
        Phase::Start,
        format!("compare the process with the plan: {what}"),
    )
}

fn unreadable(path: PathBuf) -> impl FnOnce(std::io::Error) -> Error {
    move |error| {
        Error::new(
            ErrorKind::System,
            Phase::Start,
            "compare the process with the plan",
        )
        .about(path.display().to_string())
        .because(error)
    }
}

/// The namespaces that a process is in (namespaces(7)).
struct NamespacesOf {
    path: PathBuf,
    directory: OwnedFd,
}

impl NamespacesOf {
    fn open(process: &str) -> Result<Self> {
        let path = PathBuf::from(format!("/proc/{process}/ns"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(directory) => Ok(Self { path, directory }),
            Err(errno) => Err(unreadable(path)(errno.into())),
        }
    }

    /// Which one it is, of the kind of this name.
    fn get(&self, name: &str) -> Result<CString> {
        readlinkat(&self.directory, name, Vec::new())
            .map_err(|errno| unreadable(self.path.join(name))(errno.into()))
    }
}

fn namespaces(plan: &Plan, pid: u32, which: impl Fn(u32) -> bool) -> Result<()> {
    let (its, own) = (
        NamespacesOf::open(&pid.to_string())?,
        NamespacesOf::open("self")?,
    );
    for (kind, name) in NAMESPACE_KINDS {
        let is_own = plan.namespaces.makes(kind) && which(kind);
        if is_own && its.get(name)? == own.get(name)? {
            return Err(mismatch(format!("it shares the host's {name} namespace")));
        }
    }
    for (kind, path) in plan
        .namespaces
        .joined
        .iter()
        .filter(|(kind, _)| which(*kind))
    {
        let name = crate::plan::namespace_name(*kind);
        let wanted = fs::metadata(path).map_err(unreadable(path.into()))?;
        let link = PathBuf::from(format!("/proc/{pid}/ns/{name}"));
        let found = fs::metadata(&link).map_err(unreadable(link))?;
        if std::os::unix::fs::MetadataExt::ino(&wanted)
            != std::os::unix::fs::MetadataExt::ino(&found)
        {
            return Err(mismatch(format!(
                "it is not in the {name} namespace {path}"
            )));
        }
    }
    Ok(())
}

/// In every hierarchy that the plan has a cgroup in, the process is there. In others, which are mounted nowhere here, it is
/// where its owner is.
fn cgroups(plan: &CgroupPlan, pid: u32) -> Result<()> {
    places(plan, pid, str::is_empty)
}

fn places(plan: &CgroupPlan, pid: u32, is_meant: fn(&str) -> bool) -> Result<()> {
    let path = PathBuf::from(format!("/proc/{pid}/cgroup"));
    let text = whole_file::read_text(&path).map_err(unreadable(path))?;
    let is_inside = |line: &&str| {
        let place = line.splitn(3, ':').nth(2).unwrap_or_default();
        let mut found = place.match_indices(&plan.name);
        found.any(|(at, name)| place[..at].ends_with('/') && is_meant(&place[at + name.len()..]))
    };
    if text.lines().filter(is_inside).count() == plan.places.len() {
        return Ok(());
    }
    let elsewhere: Vec<&str> = text.lines().filter(|line| !is_inside(line)).collect();
    Err(mismatch(format!(
        "it is in cgroup {}, not in {}",
        elsewhere.join(" and "),
        plan.name
    )))
}

fn id_maps(maps: &IdMaps, pid: u32) -> Result<()> {
    for (file, wanted) in [("uid_map", &maps.users), ("gid_map", &maps.groups)] {
        let path = PathBuf::from(format!("/proc/{pid}/{file}"));
        let text = whole_file::read_text(&path).map_err(unreadable(path))?;
        let found = text.lines().map(|line| {
            let mut numbers = line
                .split_ascii_whitespace()
                .map(|number| number.parse().unwrap_or(u32::MAX));
            let mut next = || numbers.next().unwrap_or(u32::MAX);
            IdMapping {
                inside: next(),
                outside: next(),
                count: next(),
            }
        });
        if !found.eq(wanted.iter().copied()) {
            return Err(mismatch(format!("its {file} is {:?}", text.trim())));
        }
    }
    Ok(())
}
