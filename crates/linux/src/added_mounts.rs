//! Mounts that a running container was given after its start.

use std::path::Path;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, State};
use hoist_spec::oci::Mount;
use serde::{Deserialize, Serialize};

use crate::descriptors::{RuntimeDescriptors, Sources};
use crate::execute::operate;
use crate::plan::{Plan, plan_mount, plan_unmount};
use crate::process::not_running;
use crate::record::{ProcessIdentity, Record};
use crate::system::{LinuxSystem, open_process, running_container};

/// `mounts.json`: what a run of the container was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddedMounts {
    /// The first process of that run: with it they are gone.
    process: ProcessIdentity,
    mounts: Vec<AddedMount>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddedMount {
    mount: Mount,
    /// What the kernel calls it (statx(2), `stx_mnt_id`).
    id: u64,
}

impl LinuxSystem {
    pub(crate) fn mount_in(&self, mount: &Mount) -> Result<()> {
        let _lock = self.lock()?;
        let (record, mut added) = self.added("add a mount to")?;
        let target = mount.destination();
        if added.find(target).is_some() {
            let operation = format!("add a mount at {}", target.display());
            return Err(
                Error::new(ErrorKind::AlreadyExists, Phase::Operate, operation)
                    .because("one was added there before")
                    .remedy("remove that first: hoist mount rm"),
            );
        }
        let features = self.shared.features()?;
        let container = running_container(&record);
        let plan = plan_mount(mount, &container, features)?;
        let id = self.carry_out(&record, &plan)?;
        added.mounts.push(AddedMount {
            mount: mount.clone(),
            id,
        });
        self.folder.write_added_mounts(&added).inspect_err(|_| {
            // What nobody knows of, nobody could take away.
            let plan = plan_unmount(&target.to_string_lossy(), id, &container);
            let _ = plan.map(|plan| self.carry_out(&record, &plan));
        })
    }

    pub(crate) fn unmount_in(&self, target: &Path) -> Result<()> {
        let _lock = self.lock()?;
        let (record, mut added) = self.added("remove a mount from")?;
        let operation = format!("remove the mount at {}", target.display());
        let Some(index) = added.find(target) else {
            return Err(Error::new(ErrorKind::NotFound, Phase::Operate, operation)
                .because("none was added there")
                .remedy("hoist inspect lists the mounts that were added"));
        };
        let AddedMount { id, .. } = added.mounts.remove(index);
        let plan = plan_unmount(&target.to_string_lossy(), id, &running_container(&record))?;
        let removed = self.carry_out(&record, &plan);
        let is_another = removed.as_ref().is_err_and(|error| {
            matches!(
                error.os_code(),
                Some(OsCode::Errno(libc::ESTALE | libc::ENOENT))
            )
        });
        if removed.is_ok() || is_another {
            self.folder.write_added_mounts(&added)?;
        }
        match removed {
            Err(error) if is_another => {
                let operation = format!("{operation}: what was added is not there any more");
                Err(Error::new(ErrorKind::InvalidState, Phase::Operate, operation).because(error))
            }
            removed => removed.map(drop),
        }
    }

    pub(crate) fn mounts_in(&self) -> Result<Vec<Mount>> {
        let record = self.record()?;
        let added = self.folder.read_added_mounts()?;
        let of_this_run = |added: &AddedMounts| record.process() == Some(added.process);
        let mounts = added
            .filter(of_this_run)
            .map_or_else(Vec::new, |added| added.mounts);
        Ok(mounts.into_iter().map(|added| added.mount).collect())
    }

    fn added(&self, what: &str) -> Result<(Record, AddedMounts)> {
        let (record, _) = self.in_state(&[State::Running, State::Paused], what)?;
        let process = record.process().ok_or_else(|| not_running(what))?;
        let added = self.folder.read_added_mounts()?;
        let added = added.filter(|added| added.process == process);
        Ok((
            record,
            added.unwrap_or(AddedMounts {
                process,
                mounts: Vec::new(),
            }),
        ))
    }

    fn carry_out(&self, record: &Record, plan: &Plan) -> Result<u64> {
        let first = open_process(record)?.ok_or_else(|| not_running("enter the container"))?;
        let sources = Sources {
            cgroup: None,
            process: Some(std::os::fd::AsFd::as_fd(&first)),
            runtime: &RuntimeDescriptors::default(),
            service: &self.shared,
        };
        let descriptors = sources.open(&plan.descriptors)?;
        operate(plan, self.shared.features()?, &descriptors)
    }
}

impl AddedMounts {
    fn find(&self, target: &Path) -> Option<usize> {
        let is_there = |added: &AddedMount| added.mount.destination() == target;
        self.mounts.iter().position(is_there)
    }
}
