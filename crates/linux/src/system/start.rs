//! Starting the first process, and becoming the owner of what was started.

use std::sync::Arc;

use hoist_compute::{ComputeSystem, Error, ErrorKind, Phase, Process, Result, State, Stdio};
use hoist_spec::Signal;

use super::{LinuxSystem, PATIENCE, Unwritten, open_cgroup, wrong_state};
use crate::cgroup::Cgroup;
use crate::descriptors::RuntimeDescriptors;
use crate::execute::{Start, Started, Tracer, Witness};
use crate::making::CgroupMaker;
use crate::oom::{oom_kill, too_little_memory};
use crate::own_run::OwnRun;
use crate::plan::{CgroupPlan, PID_NAMESPACE, Plan, plan};
use crate::process::{LinuxProcess, OnExit, OwnedProcess};
use crate::record::Record;
use crate::recorder::Recorder;
use crate::root_facts::RootFacts;
use crate::seccomp_agent::{self, Agent};
use crate::servers::{self, Servers};
use crate::service::{Recording, system};
use crate::{intel_rdt, reaper, removal, systemd};

impl LinuxSystem {
    pub(crate) fn plan(&self) -> Result<Plan> {
        let planned = self.prepared().plan.take();
        match planned {
            Some(planned) => Ok(planned),
            None => {
                // Its limits may have been changed while it ran.
                let spec = self.shared.spec(&self.folder)?;
                let spec = self.shared.with_joined(&spec)?;
                let facts = RootFacts::read(&spec).map_err(Error::from)?;
                Ok(plan(&self.id, &spec, self.shared.features()?, &facts)?)
            }
        }
    }

    fn on_exit(&self, record: Arc<Record>) -> OnExit {
        let folder = self.folder.clone();
        Box::new(move |mut status| {
            if status.signal == Some(Signal::KILL) {
                status.oom = open_cgroup(&record)
                    .ok()
                    .flatten()
                    .as_ref()
                    .and_then(oom_kill);
            }
            // A process namespace takes all its processes with its first; without one the cgroup is what holds them.
            if record.created.namespaces & PID_NAMESPACE == 0
                && let Ok(Some(cgroup)) = open_cgroup(&record)
            {
                let _ = cgroup.kill_all(PATIENCE);
            }
            if let Some(released) = &record.released {
                servers::reap_ended(&released.servers);
            }
            // The container may be gone by now, removed by force; then nobody asks for its status again.
            folder.write_exit(&status).unwrap_or(status)
        })
    }

    /// Starts the first process; nobody waits for it yet.
    pub(crate) fn launch(
        &self,
        stdio: Stdio,
        runtime: &RuntimeDescriptors,
    ) -> Result<(Started, Arc<Record>)> {
        let unwritten = self.prepared().unwritten.take();
        if let Some(Unwritten { created, making }) = unwritten {
            let record = Record::of(created);
            let launched = self.launch_created(record, Recording::WithStart, stdio, runtime);
            match &launched {
                Ok((_, record)) => {
                    self.prepared().own_run = making.finish().map(|folder| OwnRun {
                        folder,
                        record: record.clone(),
                    });
                }
                Err(_) => {
                    drop(making);
                    // What cannot be removed now is in the record.
                    let _ = self.delete();
                }
            }
            return launched;
        }
        let _lock = self.lock()?;
        let (record, state, _) = self.look()?;
        if state != State::Created || record.process().is_some() {
            return Err(wrong_state(&self.id, "start", state));
        }
        self.launch_created(record, Recording::Now, stdio, runtime)
            .inspect_err(|_| {
                // What cannot be put back now was that of a run before.
                let _ = self.folder.take_back_beginning();
            })
    }

    fn launch_created(
        &self,
        mut record: Record,
        recording: Recording,
        stdio: Stdio,
        runtime: &RuntimeDescriptors,
    ) -> Result<(Started, Arc<Record>)> {
        let stdio = with_console_size(&self.spec.oci, stdio)?;
        let agent = match runtime.listener {
            None => Agent::connect(&self.spec, || {
                Ok(self.oci_state_of(record.created.clone(), "creating", None))
            })?,
            // Whoever starts it connects.
            Some(_) => seccomp_agent::check(&self.spec).map(|()| None)?,
        };
        let mut tracer = Tracer::new(self.shared.timeline.clone());
        let features = self.shared.features()?;
        let plan = self.shared.faulty(self.plan()?);
        let maker = |planned| CgroupMaker::new(planned, features.own_cgroups());
        let rdt = record.created.rdt.clone();
        let mut recorder = Recorder {
            folder: &self.folder,
            plan: &plan,
            cgroup: plan.cgroup.as_ref().map(maker),
            released: None,
            unwritten: (recording == Recording::WithStart).then(|| record.created.clone()),
            system: self,
            runtime,
            hook_output: None,
            rdt: rdt.as_ref(),
            agent,
            servers: Servers::default(),
        };
        let makes_at_once = plan.cgroup.as_ref().is_some_and(CgroupPlan::has_birthplace);
        if (rdt.is_some() || makes_at_once) && recorder.record()? {
            tracer.mark("write the record");
        }
        if let (Some(rdt), Some(group)) = (&rdt, &plan.rdt) {
            intel_rdt::make(rdt, group)?;
        }
        let started = recorder
            .cgroup
            .as_mut()
            .map_or(Ok(()), CgroupMaker::make_birthplace)
            .and_then(|()| {
                tracer.mark("make the birthplace");
                Start {
                    plan: &plan,
                    features: &|| Ok(features),
                    tracer: &mut tracer,
                    console: None,
                    dies_with_owner: self.shared.takes_containers_along,
                    witness: &mut recorder,
                }
                .run(stdio)
            });
        let started = started.map_err(|error| {
            self.folder.forget_released();
            let error = recorder.servers.end(error);
            if let Some(rdt) = &rdt {
                // What cannot be removed now is in the record, as below.
                let _ = intel_rdt::remove(rdt);
            }
            // It would be a process in the cgroup that is to be removed.
            if let Some(maker) = &mut recorder.cgroup {
                maker.end_scope();
            }
            let cgroup = recorder.sources().cgroup;
            let memory = memory_limit(&self.spec.oci);
            let error = match cgroup.map(|cgroup| too_little_memory(cgroup, memory)) {
                Some(Some(reason)) => reason.because(error),
                _ => error,
            };
            // What cannot be removed now is in the record, and is removed with the container.
            let _ = removal::remove_cgroup(cgroup.map(Cgroup::record).as_ref());
            let planned = plan.cgroup.as_ref();
            if let Some(unit) = planned.and_then(|cgroup| cgroup.unit.as_ref()) {
                systemd::end(&unit.name, &features.cgroup);
            }
            error
        })?;
        record.released = recorder.released.map(|(released, _)| released);
        Ok((started, Arc::new(record)))
    }

    /// Becomes the owner of a further process.
    pub(crate) fn own_further(&self, started: Started) -> Result<Box<dyn Process>> {
        self.own_process(started, None)
            .map(|(_, process)| Box::new(process) as Box<dyn Process>)
    }

    /// Becomes the owner of the first process: it is reaped, and its exit written down.
    pub(crate) fn own(&self, started: Started, record: Arc<Record>) -> Result<Box<dyn Process>> {
        let (owned, process) = self.own_process(started, Some(self.on_exit(record)))?;
        self.shared
            .owned
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .insert(self.id.clone(), owned);
        Ok(Box::new(process))
    }

    /// Has a process reaped when it ends, unless the caller sees to that.
    pub(crate) fn own_process(
        &self,
        started: Started,
        on_exit: Option<OnExit>,
    ) -> Result<(Arc<OwnedProcess>, LinuxProcess)> {
        let Started {
            pid,
            pidfd,
            streams,
        } = started;
        let owned = Arc::new(OwnedProcess::new(pid, pidfd, on_exit));
        if !self.shared.waits_for_each {
            reaper::watch(&owned)?;
        }
        let process = LinuxProcess::new(owned.clone(), streams)
            .map_err(|error| system("keep the console", error))?;
        Ok((owned, process))
    }
}

fn memory_limit(oci: &hoist_spec::oci::Spec) -> Option<i64> {
    let resources = oci.linux().as_ref()?.resources().as_ref()?;
    resources.memory().as_ref()?.limit()
}

/// A console is asked for in the spec and handed over at the start: the two must agree.
fn with_console_size(oci: &hoist_spec::oci::Spec, stdio: Stdio) -> Result<Stdio> {
    let asked = oci
        .process()
        .as_ref()
        .and_then(|process| process.terminal())
        .unwrap_or(false);
    match (asked, &stdio) {
        (true, Stdio::Console(_)) | (false, Stdio::Streams { .. }) => Ok(stdio),
        (true, _) => Err(Error::new(
            ErrorKind::InvalidSpec,
            Phase::Plan,
            "start with streams: the spec asks for a terminal",
        )),
        (false, _) => Err(Error::new(
            ErrorKind::InvalidSpec,
            Phase::Plan,
            "start with a console: the spec asks for no terminal",
        )),
    }
}
