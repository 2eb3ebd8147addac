//! The processes of a container.

use hoist_compute::{ProcessEntry, Result};

use super::operate;
use crate::cgroup::Cgroup;
use crate::proc_pid;
use crate::record::Record;
use crate::service::system;

pub(super) fn processes(record: &Record, cgroup: Option<&Cgroup>) -> Result<Vec<ProcessEntry>> {
    let pids = match (cgroup, record.process()) {
        (Some(cgroup), _) => cgroup.pids().map_err(operate)?,
        (None, Some(process)) => match proc_pid::pid_namespace(process.pid) {
            Ok(Some(namespace)) => proc_pid::pids_in_namespace(namespace)
                .map_err(|error| system("list the processes", error))?,
            Ok(None) => Vec::new(),
            Err(error) => return Err(system("look at the process", error)),
        },
        (None, None) => Vec::new(),
    };
    entries(&pids)
}

/// What is to be said of processes, as far as they are still there.
pub(crate) fn entries(pids: &[u32]) -> Result<Vec<ProcessEntry>> {
    let mut entries = Vec::with_capacity(pids.len());
    for &pid in pids {
        entries.extend(proc_pid::entry(pid).map_err(|error| system("look at a process", error))?);
    }
    entries.sort_by_key(|entry| entry.pid);
    Ok(entries)
}
