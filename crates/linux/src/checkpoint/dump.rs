//! Writing a container down.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, Phase, Result, State};
use hoist_spec::oci::Spec;
use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};

use super::arguments::{self, CheckpointOptions, Dumped};
use super::criu::{self, Criu};
use super::mounts::{self, External, MountLine};
use super::{console, network, streams, unsupported};
use crate::cgroup::{Cgroup, Version};
use crate::hooks;
use crate::plan::{NETWORK_NAMESPACE, Namespaces};
use crate::process::not_running;
use crate::root::Root;
use crate::service::system;
use crate::system::{LinuxSystem, open_process, operate, root_of};

/// How long a container may take to go on after criu died half-way.
const PATIENCE: Duration = Duration::from_secs(10);

impl LinuxSystem {
    /// Has criu write the container down. Unless it is left running, its processes are gone afterwards.
    pub(crate) fn checkpoint(&self, criu: &Criu, options: &CheckpointOptions) -> Result<()> {
        let what = format!("checkpoint container {}", self.id);
        can_be_checkpointed(&self.spec.oci, &what)?;
        let _lock = self.lock()?;
        let (record, cgroup) = self.in_state(&[State::Running, State::Paused], "checkpoint")?;
        let was_paused = self.look()?.1 == State::Paused;
        let first = open_process(&record)?.ok_or_else(|| not_running(&what))?;
        let pid = record.process().map_or(0, |process| process.pid);
        let table = fs::read(format!("/proc/{pid}/mountinfo"))
            .map_err(|error| system("read the container's mounts", error))?;
        let lines = mounts::parse(&table);
        let root = Root::directory(root_of(&record, &first)?);
        let directory = cgroup.as_ref().and_then(unified_directory);
        let mut externals = mounts::externals(&self.spec.oci, directory.as_deref());
        // Only restoring needs to know where it is.
        externals.extend(console::externals(&self.spec.oci, Path::new("")));
        let found = find(&externals, &root, &lines)?;
        let streams = streams::look(pid, &lines, console::is_asked_for(&self.spec.oci))?;
        let work = work_folder(&self.folder, options.common.work_path.as_deref())?;
        let is_new = !options.common.image_path.exists();
        make_folder(&options.common.image_path)?;
        streams::write(&options.common.image_path, &streams)?;
        let yard = match &directory {
            Some(_) => Some(make_yard(self)?),
            None => None,
        };
        let line = arguments::dump(
            options,
            &Dumped {
                pid,
                work: &work,
                freezer: cgroup.as_ref().and_then(freezer_directory).as_deref(),
                mounts: &found,
                files: &streams::files(&streams),
                network: joined_network(&self.spec.oci)?,
                has_iptables: criu::has_iptables(),
                yard: yard.as_deref(),
            },
        );
        let outcome = run(criu, &line, &what, &work.join("dump.log"));
        if outcome.is_err() {
            streams::forget(&options.common.image_path, is_new);
        }
        if outcome.is_err() && !was_paused {
            // criu lets the container go on itself, unless it died.
            if let Some(cgroup) = &cgroup
                && cgroup.frozen().map_err(operate)?
            {
                cgroup.thaw(PATIENCE).map_err(operate)?;
            }
        }
        outcome?;
        network::forget_lock(&options.common.image_path)
            .map_err(|error| system("take criu's lock of the network out of the image", error))?;
        let ends = !options.leave_running && !options.pre_dump;
        if ends && !crate::process::wait_for(first.as_fd(), Some(PATIENCE))? {
            return Err(crate::process::timed_out(pid)
                .because("criu has written the container down and not ended it"));
        }
        Ok(())
    }
}

fn run(criu: &Criu, line: &[std::ffi::OsString], what: &str, log: &Path) -> Result<()> {
    // Of another run.
    let _ = fs::remove_file(log);
    let said = hooks::output()?;
    let copies =
        || -> std::io::Result<(OwnedFd, OwnedFd)> { Ok((said.try_clone()?, said.try_clone()?)) };
    let (out, err) = copies().map_err(|error| system("duplicate a descriptor", error))?;
    let status = criu.command().args(line).stdout(out).stderr(err).status();
    let status = status.map_err(|error| unsupported(what, &criu.cannot_be_started(&error)))?;
    match status.success() {
        true => Ok(()),
        false => Err(criu::failure(what, log, &hooks::written(&said))),
    }
}

/// Refuses by name what criu's command line cannot write down.
pub(super) fn can_be_checkpointed(oci: &Spec, what: &str) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(unsupported(what, "criu needs to be root"));
    }
    console::can_be_restored(oci, what)?;
    let namespaces = Namespaces::of(oci).map_err(Error::from)?;
    if !namespaces.makes(crate::plan::PID_NAMESPACE) {
        return Err(unsupported(
            what,
            "linux.namespaces: without a pid namespace of its own its processes could not have their ids again",
        ));
    }
    let joined = namespaces
        .joined
        .iter()
        .find(|(kind, _)| *kind != NETWORK_NAMESPACE);
    if let Some((kind, path)) = joined {
        let name = crate::plan::namespace_name(*kind);
        return Err(unsupported(
            what,
            &format!(
                "linux.namespaces: its {name} namespace is that of {path}, and criu would make another"
            ),
        ));
    }
    let linux = oci.linux().as_ref();
    if linux.is_some_and(|linux| linux.intel_rdt().is_some()) {
        return Err(unsupported(
            what,
            "linux.intelRdt: criu puts no process into a group of resctrl",
        ));
    }
    let devices = linux.and_then(|linux| linux.net_devices().as_ref());
    match devices.is_some_and(|devices| !devices.is_empty()) {
        true => Err(unsupported(
            what,
            "linux.netDevices: criu makes no device of the host's again",
        )),
        false => Ok(()),
    }
}

/// Where each of the mounts is that are there, with the name that the spec gives it.
fn find(externals: &[External], root: &Root, lines: &[MountLine]) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for external in externals {
        let Some(line) = mount_at(root, &external.destination, lines)? else {
            continue;
        };
        // A masked directory has an empty file system of its own.
        if !(external.is_file && line.root == "/") {
            found.push((line.point.clone(), external.destination.clone()));
        }
    }
    Ok(found)
}

/// The mount whose top is what `path` leads to in the root, where it is one.
pub(super) fn mount_at<'a>(
    root: &Root,
    path: &str,
    lines: &'a [MountLine],
) -> Result<Option<&'a MountLine>> {
    let handle = root.handle(Path::new(path), true).map_err(Error::from)?;
    match handle {
        Some(handle) => mount_of(&handle, lines),
        None => Ok(None),
    }
}

/// The mount whose top a handle is, where it is one.
pub(super) fn mount_of<'a>(
    handle: &OwnedFd,
    lines: &'a [MountLine],
) -> Result<Option<&'a MountLine>> {
    use std::os::fd::AsRawFd;
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let found = statx(handle, c"", flags, StatxFlags::empty())
        .map_err(|errno| system("look at a mount", errno.into()))?;
    if !found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(None);
    }
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))
        .map_err(|error| system("look at a mount", error))?;
    let id = streams::mount_of(&info);
    Ok(lines.iter().find(|line| Some(line.id) == id))
}

/// The directory of the cgroup, on a host where the unified hierarchy is all there is.
pub(super) fn unified_directory(cgroup: &Cgroup) -> Option<PathBuf> {
    match cgroup.directories.as_slice() {
        [only] if only.version == Version::V2 => Some(only.path.clone()),
        _ => None,
    }
}

fn freezer_directory(cgroup: &Cgroup) -> Option<PathBuf> {
    let v1 = || {
        let mut directories = cgroup.directories.iter();
        directories.find(|directory| directory.controllers.iter().any(|name| name == "freezer"))
    };
    cgroup
        .unified()
        .or_else(v1)
        .map(|directory| directory.path.clone())
}

/// The inode of the network namespace, where that is somebody else's.
fn joined_network(oci: &Spec) -> Result<Option<u64>> {
    use std::os::unix::fs::MetadataExt;
    let Some(path) = network_path(oci)? else {
        return Ok(None);
    };
    fs::metadata(&path)
        .map(|found| Some(found.ino()))
        .map_err(|error| system(format!("look at {path}"), error))
}

/// The network namespace that it joins.
pub(super) fn network_path(oci: &Spec) -> Result<Option<String>> {
    let namespaces = Namespaces::of(oci).map_err(Error::from)?;
    let mut joined = namespaces.joined.into_iter();
    Ok(joined
        .find(|(kind, _)| *kind == NETWORK_NAMESPACE)
        .map(|(_, path)| path))
}

/// A folder that shows the unified hierarchy as criu looks for it: a mount of criu's own would take away what the host has set
/// for its (`nsdelegate` and others, cgroups(7)).
pub(super) fn make_yard(container: &LinuxSystem) -> Result<PathBuf> {
    let yard = container.folder.path().join("criu.yard");
    make_folder(&yard)?;
    let mount = hierarchy(container)?;
    let made = mount.map(|mount| std::os::unix::fs::symlink(mount, yard.join("unified")));
    match made {
        Some(Err(error)) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(system("make a link to the cgroup hierarchy", error))
        }
        _ => Ok(yard),
    }
}

/// Where the first hierarchy is mounted: the unified one, where that is all there is.
pub(super) fn hierarchy(container: &LinuxSystem) -> Result<Option<PathBuf>> {
    let hierarchies = &container.shared.features()?.own_cgroups().hierarchies;
    let first = hierarchies.first();
    Ok(first.map(|hierarchy| hierarchy.mount_point.clone()))
}

/// Where criu's log and working files go.
pub(super) fn work_folder(folder: &crate::record::Folder, asked: Option<&Path>) -> Result<PathBuf> {
    let work = match asked {
        Some(asked) => asked.to_owned(),
        None => folder.path().join("criu.work"),
    };
    make_folder(&work)?;
    Ok(work)
}

/// Makes a folder that is root's alone; one that is there is left as it is.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(system(format!("make {}", path.display()), error))
        }
        _ if path.is_dir() => Ok(()),
        _ => Err(Error::new(
            ErrorKind::InvalidSpec,
            Phase::Operate,
            format!(
                "make {}: there is something that is no folder",
                path.display()
            ),
        )),
    }
}
