//! A container whose record is damaged: its end and its removal, by what of the record can still be read.

use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use hoist_compute::{Error, ErrorKind, Result};
use hoist_spec::{ContainerId, Signal};
use rustix::time::{ClockId, clock_gettime};

use crate::cgroup::layout::Base;
use crate::cgroup::{Cgroup, CgroupRecord};
use crate::plan::cgroup_name;
use crate::process::{send, timed_out, wait_for};
use crate::record::Remains;
use crate::service::{Shared, boot_id};
use crate::system::operate;
use crate::{intel_rdt, proc_pid, removal, servers, systemd};

/// How long it may take to end by force.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes what there is; the result says what was found, and what was not.
pub(crate) fn remove(shared: &Shared, id: &ContainerId) -> Result<Vec<String>> {
    let folder = shared.folder(id);
    let Some(_lock) = folder.lock()? else {
        return Ok(Vec::new());
    };
    let remains = folder.read_remains();
    let mut told = Vec::new();
    // Processes and their ids are those of one run of the machine.
    let may_live = !remains.has_ended && is_of_this_boot(&remains)?;
    if may_live {
        told.extend(end_process(&remains)?);
    }
    told.extend(remove_cgroup(shared, id, &remains, may_live)?);
    if let Some(released) = remains.released.as_ref().filter(|_| may_live) {
        servers::end_all(&released.servers);
    }
    if let Some(created) = &remains.created {
        if let Some(unit) = &created.unit {
            systemd::end(unit, &shared.features()?.cgroup);
        }
        if let Some(rdt) = &created.rdt {
            intel_rdt::remove(rdt)?;
        }
    }
    folder.remove()?;
    shared
        .owned
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .remove(id);
    told.push(format!("its record {}", folder.path().display()));
    Ok(told)
}

/// Whether its process was let go in this run of the machine; told by when that was written down where the record of it cannot be read.
fn is_of_this_boot(remains: &Remains) -> Result<bool> {
    let Some(let_go_at) = remains.let_go_at else {
        return Ok(false);
    };
    if let Some(created) = &remains.created {
        return Ok(created.boot_id == boot_id()?);
    }
    let up = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
    Ok(SystemTime::now()
        .checked_sub(up)
        .is_some_and(|booted| let_go_at >= booted))
}

fn end_process(remains: &Remains) -> Result<Option<String>> {
    let Some(process) = remains.released.as_ref().map(|released| released.process) else {
        return Ok(None);
    };
    let open = proc_pid::open(process.pid)
        .map_err(|error| crate::service::system("open the process", error))?;
    // Only now is it certain whose process this is: the descriptor holds it fast.
    let Some(pidfd) = open.filter(|_| process.exists()) else {
        return Ok(None);
    };
    match send(pidfd.as_fd(), Signal::KILL) {
        Err(error) if error.kind() != ErrorKind::InvalidState => return Err(error),
        _ => {}
    }
    match wait_for(pidfd.as_fd(), Some(PATIENCE))? {
        true => Ok(Some(format!("its process {}", process.pid))),
        false => Err(timed_out(process.pid)),
    }
}

/// Removes its cgroup, with the processes in it where they are known to be its own.
fn remove_cgroup(
    shared: &Shared,
    id: &ContainerId,
    remains: &Remains,
    may_live: bool,
) -> Result<Option<String>> {
    let recorded = remains
        .released
        .as_ref()
        .and_then(|released| released.cgroup.clone());
    let intended = || {
        remains
            .created
            .as_ref()
            .and_then(|created| created.cgroup.clone())
    };
    let record = match recorded.or_else(intended) {
        Some(record) => record,
        None if remains.created.is_some() => return Ok(None),
        None => expected(shared, id, remains)?,
    };
    let is_there = |record: &CgroupRecord| {
        let mut directories = record.directories.iter();
        directories.any(|directory| directory.path.is_dir())
    };
    if !is_there(&record) {
        return Ok(None);
    }
    // No two containers that live have one cgroup.
    match may_live {
        true => {
            let cgroup = Cgroup::open(&record).map_err(operate)?;
            cgroup.kill_all(PATIENCE).map_err(operate)?;
            removal::remove_cgroup(Some(&cgroup.record()))?;
        }
        false => removal::remove_intended_cgroup(Some(&record))?,
    }
    let paths = record.directories.iter();
    let paths: Vec<String> = paths
        .map(|directory| directory.path.display().to_string())
        .collect();
    Ok(Some(match is_there(&record) {
        false => format!("its cgroup ({})", paths.join(", ")),
        true => format!(
            "not its cgroup ({}), in which something is",
            paths.join(", ")
        ),
    }))
}

/// The cgroup that a container of this id has unless the record said otherwise.
fn expected(shared: &Shared, id: &ContainerId, remains: &Remains) -> Result<CgroupRecord> {
    let features = shared.features()?;
    let linux = remains
        .spec
        .as_ref()
        .and_then(|spec| spec.oci.linux().as_ref());
    let path = linux.and_then(|linux| linux.cgroups_path().as_ref());
    let path = path.map(|path| path.display().to_string());
    let name = cgroup_name(id, path.as_deref()).map_err(Error::from)?;
    let base = match features.privileged {
        true => Base::Mount,
        false => Base::Own,
    };
    Ok(CgroupRecord::intended(features.own_cgroups(), base, &name))
}
