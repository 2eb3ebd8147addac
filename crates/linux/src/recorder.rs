//! What a start needs of this program while it goes on: cgroups, hooks, the record.

use std::os::fd::OwnedFd;

use hoist_compute::{Error, ErrorKind, Phase, Result, Timestamp};

use crate::cgroup::{Cgroup, CgroupRecord};
use crate::descriptors::{RuntimeDescriptors, Sources};
use crate::execute::Witness;
use crate::intel_rdt::RdtRecord;
use crate::making::CgroupMaker;
use crate::plan::{Plan, hooks as hook_plan};
use crate::record::{Created, Draft, Folder, ProcessIdentity, Released};
use crate::seccomp_agent::Agent;
use crate::servers::Servers;
use crate::service::system;
use crate::system::LinuxSystem;
use crate::{hooks, intel_rdt, net_devices};

/// Makes the cgroup of a container's first process, runs its hooks, and writes down what becomes of it.
pub(crate) struct Recorder<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) plan: &'a Plan,
    pub(crate) cgroup: Option<CgroupMaker<'a>>,
    pub(crate) released: Option<(Released, Option<Draft>)>,
    /// What is still to be written down of the container itself.
    pub(crate) unwritten: Option<Created>,
    pub(crate) system: &'a LinuxSystem,
    pub(crate) runtime: &'a RuntimeDescriptors,
    pub(crate) hook_output: Option<OwnedFd>,
    /// Its group of resctrl.
    pub(crate) rdt: Option<&'a RdtRecord>,
    /// Who answers calls that its filter leaves to him.
    pub(crate) agent: Option<Agent<'a>>,
    /// Who shows its layers.
    pub(crate) servers: Servers,
}

impl Recorder<'_> {
    /// What descriptors are opened from, as far as it is made.
    pub(crate) fn sources(&self) -> Sources<'_> {
        Sources {
            cgroup: self.cgroup.as_ref().and_then(CgroupMaker::made),
            process: None,
            runtime: self.runtime,
            service: &self.system.shared,
        }
    }
}

impl Witness for Recorder<'_> {
    fn record(&mut self) -> Result<bool> {
        let Some(created) = self.unwritten.take() else {
            return Ok(false);
        };
        let spec = self.system.spec.to_json();
        self.folder.write_created(spec, &created).map(|()| true)
    }

    fn helper_starts(&mut self) -> Result<Vec<OwnedFd>> {
        self.sources().open(self.plan.early_and_late().0)
    }

    fn helper_started(&mut self) -> Result<Vec<OwnedFd>> {
        let (_, late) = self.plan.early_and_late();
        match &mut self.cgroup {
            Some(cgroup) if !late.is_empty() => cgroup.make_rest()?,
            _ => return Ok(Vec::new()),
        }
        self.sources().open(late)
    }

    fn cloned(&mut self, pid: u32) -> Result<()> {
        let cgroup = self.sources().cgroup.map(Cgroup::record);
        let released = released(pid, cgroup, self.runtime.listener.is_some())?;
        net_devices::move_into(&self.plan.net_devices, pid)?;
        if let Some(rdt) = self.rdt {
            intel_rdt::join(rdt, pid)?;
        }
        let draft = self.folder.draft_released(&released)?;
        self.released = Some((released, Some(draft)));
        Ok(())
    }

    fn hooks(&mut self, pid: u32) -> Result<[OwnedFd; 2]> {
        let system = self.system;
        let state = |status| system.oci_state(status, Some(pid));
        let creating = state("creating")?;
        for (kind, hook) in hook_plan::runtime_hooks(&system.spec.oci) {
            hooks::run(kind, hook, &creating)?;
        }
        let output = hooks::output()?;
        let copy = output
            .try_clone()
            .map_err(|error| crate::service::system("duplicate a descriptor", error))?;
        self.hook_output = Some(output);
        Ok([state("created")?.file()?, copy])
    }

    fn listener(&mut self, pid: u32, listener: OwnedFd) -> Result<()> {
        hand_to_agent(self.agent.take(), pid, listener)
    }

    fn serve(&mut self, pid: u32, server: u64, connection: OwnedFd) -> Result<()> {
        let plan = usize::try_from(server)
            .ok()
            .and_then(|server| self.plan.servers.get(server));
        let plan = plan.ok_or_else(nobody_serves)?;
        self.servers
            .start(plan, pid, connection, &self.system.shared)
    }

    fn hook_output(&self) -> Option<String> {
        self.hook_output.as_ref().map(hooks::written)
    }

    /// Only now others may enter it: before, it was not yet in its own root.
    fn releasing(&mut self) -> Result<()> {
        let servers = self.servers.identities();
        if let (false, Some((released, draft))) = (servers.is_empty(), &mut self.released) {
            // They were started after it was written.
            drop(draft.take());
            released.servers = servers;
            *draft = Some(self.folder.draft_released(released)?);
        }
        let draft = self.released.as_mut().and_then(|(_, draft)| draft.take());
        draft.map_or(Ok(()), Draft::publish)
    }
}

fn nobody_serves() -> Error {
    let operation = "have its layers shown: nobody is to do that";
    Error::new(ErrorKind::System, Phase::Start, operation)
}

/// What is known of a process that is about to be let go; this program is its owner.
pub(crate) fn released(
    pid: u32,
    cgroup: Option<CgroupRecord>,
    awaits_start: bool,
) -> Result<Released> {
    let identity = |pid| {
        ProcessIdentity::of(pid).map_err(|error| system(format!("look at process {pid}"), error))
    };
    Ok(Released {
        started_at: Timestamp::now(),
        process: identity(pid)?,
        owner: identity(std::process::id())?,
        cgroup,
        awaits_start,
        servers: Vec::new(),
    })
}

/// Writes down what becomes of an exec.
pub(crate) struct ExecRecorder<'a> {
    folder: &'a Folder,
    cgroup: Option<CgroupRecord>,
    draft: Option<Draft>,
}

impl<'a> ExecRecorder<'a> {
    /// Of the exec in `folder`, with a cgroup of its own.
    pub(crate) fn new(folder: &'a Folder, cgroup: Option<CgroupRecord>) -> Self {
        Self {
            folder,
            cgroup,
            draft: None,
        }
    }
}

impl ExecRecorder<'_> {
    fn cloned(&mut self, pid: u32) -> Result<()> {
        let released = released(pid, self.cgroup.take(), false)?;
        self.draft = Some(self.folder.draft_released(&released)?);
        Ok(())
    }
}

/// Has part in the start of a further process: nothing is made for it, and written down only what becomes of an exec.
pub(crate) struct FurtherWitness<'a, 'b> {
    /// Opens the plan's descriptors.
    pub(crate) descriptors: &'a mut dyn FnMut() -> Result<Vec<OwnedFd>>,
    /// Who answers calls that its filter leaves to him.
    pub(crate) agent: Option<Agent<'a>>,
    /// Where it is written down.
    pub(crate) record: Option<&'a mut ExecRecorder<'b>>,
    /// The container's group of resctrl.
    pub(crate) rdt: Option<RdtRecord>,
}

impl Witness for FurtherWitness<'_, '_> {
    fn record(&mut self) -> Result<bool> {
        Ok(false)
    }

    fn helper_starts(&mut self) -> Result<Vec<OwnedFd>> {
        (self.descriptors)()
    }

    fn helper_started(&mut self) -> Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }

    fn cloned(&mut self, pid: u32) -> Result<()> {
        if let Some(rdt) = &self.rdt {
            intel_rdt::join(rdt, pid)?;
        }
        match &mut self.record {
            Some(record) => record.cloned(pid),
            None => Ok(()),
        }
    }

    fn hooks(&mut self, _pid: u32) -> Result<[OwnedFd; 2]> {
        Err(Error::new(
            ErrorKind::System,
            Phase::Start,
            "run hooks: a further process has none",
        ))
    }

    fn releasing(&mut self) -> Result<()> {
        let draft = self.record.as_mut().and_then(|record| record.draft.take());
        draft.map_or(Ok(()), Draft::publish)
    }

    fn listener(&mut self, pid: u32, listener: OwnedFd) -> Result<()> {
        hand_to_agent(self.agent.take(), pid, listener)
    }

    fn serve(&mut self, _pid: u32, _server: u64, _connection: OwnedFd) -> Result<()> {
        Err(nobody_serves())
    }

    fn hook_output(&self) -> Option<String> {
        None
    }
}

/// A process with a listener that nobody takes would wait for ever at its first call.
pub(crate) fn hand_to_agent(agent: Option<Agent<'_>>, pid: u32, listener: OwnedFd) -> Result<()> {
    agent
        .ok_or_else(|| {
            Error::new(
                ErrorKind::System,
                Phase::Start,
                "hand the seccomp listener over: nobody is to have it",
            )
        })?
        .send(pid, listener)
}
