//! A container without isolation.

use std::{
    os::windows::io::AsHandle,
    sync::{Arc, PoisonError},
    time::Duration,
};

use hoist_compute::{
    ComputeSystem, Confinement, ErrorKind, Exec, ExecSpec, ExitStatus, Phase,
    Process as ComputeProcess, Properties, Query, Result, State, Stdio, StreamTransport, Summary,
    Timestamp,
};
use hoist_spec::{ContainerId, ContainerSpec, ExecId, ProcessSpec, Signal, oci::LinuxResources};
use hoist_windows::{error::system, records::Record};

use super::{
    exec::HostExec,
    members,
    process::{HostProcess, Watched},
    record::{Config, Started},
    run::{Run, Seen},
    service::Shared,
    streams::{self, PipeNames},
    sys::Job,
};
use crate::plan::windows::{self as plan, Facts, Limits, Plan};

/// The contract's container.
#[derive(Clone)]
pub(super) struct HostSystem {
    pub(super) shared: Arc<Shared>,
    pub(super) record: Record,
    pub(super) config: Config,
}

impl HostSystem {
    /// The present run.
    pub(super) fn run(&self) -> Result<Run> {
        Ok(Run::of_container(&self.record, self.record.run()?))
    }

    pub(super) fn summary(&self) -> Result<Summary> {
        Ok(self.properties(Query::default())?.summary)
    }

    /// The present run with its job, where that runs.
    fn running(&self, verb: &str) -> Result<(Run, Job, bool)> {
        let run = self.run()?;
        let seen = run.look()?;
        let Seen::Running {
            started, is_paused, ..
        } = seen
        else {
            return Err(run.wrong_state(verb, seen.state()));
        };
        let job = run.job(verb, &started)?;
        Ok((run, job, is_paused))
    }

    /// The names of the pipes of a process, where named ones carry its streams.
    pub(super) fn pipe_names(&self, is_further: bool) -> Option<PipeNames> {
        let names = || PipeNames::new(self.record.id().clone(), is_further);
        (self.shared.transport == StreamTransport::NamedPipes).then(names)
    }

    /// A job that was just made, with limits.
    pub(super) fn limited_job(
        &self,
        job: Result<Job, std::io::Error>,
        limits: &Limits,
    ) -> Result<Job> {
        let what = self.record.what();
        let job =
            job.map_err(|error| system(Phase::Start, format!("make a job for {what}"), error))?;
        job.limit(limits)
            .map_err(|error| system(Phase::Start, format!("limit the job of {what}"), error))?;
        Ok(job)
    }

    fn begin(&self, run: &Run, plan: &Plan, stdio: Stdio) -> Result<HostProcess> {
        let name = job_name();
        let job = Arc::new(self.limited_job(Job::new(Some(&name)), &plan.limits)?);
        let prepared = streams::prepare(stdio, self.pipe_names(false).as_ref())?;
        let process = self.launch(plan, &prepared.process, &job)?;
        let failed = |error| system(Phase::Start, format!("start {}", self.record.what()), error);
        let begun = (|| {
            job.lend_to(process.as_handle()).map_err(failed)?;
            let created = process.times().map_err(failed)?.created;
            let started = Started::now(process.pid, created, name, run.number);
            self.record.write_started(run.number, &started)
        })();
        let watched = Watched::first(process, job, run.clone());
        let watched = Arc::new(watched.on(prepared.process.into_console(), prepared.caller));
        let begun = begun.and_then(|()| {
            let key = (self.record.id().clone(), run.number);
            let firsts = self.shared.firsts.lock();
            firsts
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, Arc::downgrade(&watched));
            watched.connect(prepared.carried)?;
            watched.process.resume().map_err(failed)?;
            // Not before: an end that is dealt with is recorded, and one that ran nothing has none.
            watched.watch(None)
        });
        if let Err(error) = begun {
            // Why it was not started is told; with it goes whatever it has started meanwhile.
            let _ = watched.end_unstarted();
            let _ = watched.job().end();
            return Err(error);
        }
        Ok(HostProcess::new(watched))
    }
}

/// A name that no other job has had.
pub(super) fn job_name() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        r"Global\hoist-{}-{}-{}",
        std::process::id(),
        Timestamp::now().0,
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

impl ComputeSystem for HostSystem {
    fn id(&self) -> &ContainerId {
        self.record.id()
    }

    fn spec(&self) -> &ContainerSpec {
        &self.config.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn ComputeProcess>> {
        let plan = plan::plan(&self.config.spec, &Facts::here())?;
        let _locked = self.shared.records.lock(&self.record)?;
        let run = self.run()?;
        let seen = run.look()?;
        if !matches!(seen, Seen::Created) {
            return Err(run.wrong_state("start", seen.state()));
        }
        match self.begin(&run, &plan, stdio) {
            Ok(process) => Ok(Box::new(process)),
            Err(error) => {
                // Why the start failed matters more.
                let _ = self.record.forget_started(run.number);
                Err(error)
            }
        }
    }

    fn create_process(
        &self,
        process: &ProcessSpec,
        stdio: Stdio,
    ) -> Result<Box<dyn ComputeProcess>> {
        Ok(Box::new(self.start_further(process, None, None, stdio)?))
    }

    fn create_confined_process(
        &self,
        process: &ProcessSpec,
        confinement: &Confinement,
        stdio: Stdio,
    ) -> Result<Box<dyn ComputeProcess>> {
        let started = self.start_further(process, Some(confinement), None, stdio)?;
        Ok(Box::new(started))
    }

    fn create_exec(&self, id: &ExecId, spec: &ExecSpec) -> Result<Box<dyn Exec>> {
        Ok(Box::new(HostExec::create(self, id, spec)?))
    }

    fn open_exec(&self, id: &ExecId) -> Result<Box<dyn Exec>> {
        Ok(Box::new(HostExec::open(self, &self.record.exec(id))?))
    }

    fn execs(&self) -> Result<Vec<Summary>> {
        let mut list = Vec::new();
        for record in self.record.execs()? {
            let exec = HostExec::open(self, &record);
            match exec.and_then(|exec| exec.properties(Query::default())) {
                Ok(properties) => list.push(properties.summary),
                // Not made yet, or deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        list.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(list)
    }

    fn pause(&self) -> Result<()> {
        let _locked = self.shared.records.lock(&self.record)?;
        let (run, job, is_paused) = self.running("pause")?;
        if is_paused {
            return Err(run.wrong_state("pause", State::Paused));
        }
        // Before it is looked who there is: what is started from now on is refused.
        self.record.mark("paused", run.number)?;
        members::suspend(&job)
            .inspect_err(|_| self.record.unmark("paused", run.number))
            .map_err(run.failed("pause"))
    }

    fn resume(&self) -> Result<()> {
        let _locked = self.shared.records.lock(&self.record)?;
        let (run, job, is_paused) = self.running("resume")?;
        if !is_paused {
            return Err(run.wrong_state("resume", State::Running));
        }
        members::resume(&job).map_err(run.failed("resume"))?;
        self.record.unmark("paused", run.number);
        Ok(())
    }

    fn modify(&self, resources: &LinuxResources) -> Result<()> {
        let limits = Limits::changed(resources, &Facts::here())?;
        let (run, job, _) = self.running("limit")?;
        job.limit(&limits).map_err(run.failed("limit"))
    }

    fn state(&self) -> Result<State> {
        Ok(self.run()?.look()?.state())
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let process = self.config.spec.oci.process().as_ref();
        self.run()?
            .properties(query, process, self.config.created_at)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.run()?.signal(signal)
    }

    fn shutdown(&self) -> Result<()> {
        self.signal(self.config.spec.stop.signal)
    }

    fn terminate(&self) -> Result<()> {
        self.run()?.terminate()
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.run()?.wait(timeout)
    }

    fn reset(&self) -> Result<()> {
        let _locked = self.shared.records.lock(&self.record)?;
        let run = self.run()?;
        let seen = run.look()?;
        let Seen::Stopped { started, .. } = seen else {
            return Err(run.wrong_state("reset", seen.state()));
        };
        if let Some(started) = started {
            run.end_job(&started)?;
        }
        self.record.next_run(run.number)
    }

    fn delete(&self) -> Result<()> {
        let _locked = self.shared.records.lock(&self.record)?;
        let run = self.run()?;
        match run.look() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(Seen::Stopped {
                started: Some(started),
                ..
            }) => run.end_job(&started)?,
            Ok(Seen::Created | Seen::Stopped { started: None, .. }) => {}
            Ok(seen @ Seen::Running { .. }) => {
                return Err(run
                    .wrong_state("delete", seen.state())
                    .remedy("stop it first"));
            }
        }
        self.shared.records.remove(&self.record)
    }
}
