//! A container without isolation.

use std::{
    io,
    os::windows::io::{AsHandle, OwnedHandle},
    sync::{Arc, PoisonError},
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{
    ComputeSystem, Confinement, Error, ErrorKind, ExitStatus, Phase, Process as ComputeProcess,
    Properties, Query, Result, State, Stdio, Summary, Timestamp,
};
use hoist_spec::{ContainerId, ContainerSpec, ProcessSpec, Signal, oci::LinuxResources};
use hoist_windows::{command_line, error::system, records::Record};

use super::{
    launch, members,
    process::{HostProcess, Watched, invalid_state, signal, timed_out},
    record::{Config, Started},
    service::Shared,
    streams,
    sys::{Job, KILLED, Process},
};
use crate::plan::windows::{self as plan, Facts, Limits, Plan};
use crate::refused::not_without_isolation;

/// How long an end by force may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether a container was started.
const UNTIL_STARTED: Duration = Duration::from_millis(10);
/// How often it is looked whether a job is empty.
const UNTIL_EMPTY: Duration = Duration::from_millis(1);

/// The contract's container.
pub(super) struct HostSystem {
    pub(super) shared: Arc<Shared>,
    pub(super) record: Record,
    pub(super) config: Config,
}

/// What was found.
enum Seen {
    Created,
    Running {
        started: Started,
        process: Process,
        is_paused: bool,
    },
    Stopped {
        started: Option<Started>,
        status: ExitStatus,
    },
}

impl Seen {
    fn state(&self) -> State {
        match self {
            Self::Created => State::Created,
            Self::Running {
                is_paused: true, ..
            } => State::Paused,
            Self::Running { .. } => State::Running,
            Self::Stopped { .. } => State::Stopped,
        }
    }
}

/// Waits until nothing runs in a job that was ended.
pub(super) fn until_empty(job: &Job, what: &str) -> Result<()> {
    let failed = |error| system(Phase::Operate, format!("end {what}"), error);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = job.process_ids().map_err(failed)?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let left: Vec<String> = left.iter().map(u32::to_string).collect();
            return Err(Error::new(
                ErrorKind::Unkillable,
                Phase::Operate,
                format!("end {what}: the processes {} stay", left.join(", ")),
            )
            .remedy("they wait inside the kernel: end what they wait for"));
        }
        thread::sleep(UNTIL_EMPTY);
    }
}

impl HostSystem {
    fn id(&self) -> &ContainerId {
        self.record.id()
    }

    fn what(&self) -> String {
        format!("container {}", self.id())
    }

    fn wrong_state(&self, verb: &str, state: State) -> Error {
        invalid_state(format!("{verb} {}", self.what()), &format!("it is {state}"))
            .about(self.id().as_str())
    }

    fn failed(&self, verb: &str) -> impl Fn(io::Error) -> Error {
        let operation = format!("{verb} {}", self.what());
        move |error| system(Phase::Operate, operation.clone(), error)
    }

    fn look(&self) -> Result<(u64, Seen)> {
        let run = self.record.run()?;
        Ok((run, self.look_at(run)?))
    }

    fn look_at(&self, run: u64) -> Result<Seen> {
        let started = self.record.started::<Started>(run)?;
        if let Some(status) = self.record.exit(run)? {
            return Ok(Seen::Stopped { started, status });
        }
        let Some(started) = started else {
            if run < self.record.run()? {
                let status = ExitStatus::unknown("it was started several times since");
                return Ok(Seen::Stopped {
                    started: None,
                    status,
                });
            }
            // One that was deleted is not created.
            self.record.config::<Config>()?;
            return Ok(Seen::Created);
        };
        let failed = self.failed("look at");
        let process = Process::open_exactly(started.pid, started.created).map_err(&failed)?;
        let status = match process {
            Some(process) if !process.has_ended().map_err(&failed)? => {
                return Ok(Seen::Running {
                    is_paused: self.record.is_marked("paused", run),
                    started,
                    process,
                });
            }
            Some(process) => match process.code().map_err(&failed)? {
                KILLED if self.record.is_marked("forced", run) => {
                    ExitStatus::signalled(Signal::KILL)
                }
                code => ExitStatus::exited(code.cast_signed()),
            },
            // Its owner records an end before it lets the process go.
            None => match self.record.exit(run)? {
                Some(status) => status,
                None if !self.record.exists() => return Err(self.gone()),
                None => ExitStatus::unknown("its owner was lost"),
            },
        };
        let status = self.record.write_exit(run, &status)?;
        Ok(Seen::Stopped {
            started: Some(started),
            status,
        })
    }

    fn gone(&self) -> Error {
        Error::new(
            ErrorKind::NotFound,
            Phase::Operate,
            format!("find {}", self.what()),
        )
        .about(self.id().as_str())
    }

    pub(super) fn summary(&self) -> Result<Summary> {
        let (_, seen) = self.look()?;
        Ok(self.summary_of(&seen))
    }

    fn summary_of(&self, seen: &Seen) -> Summary {
        let (pid, started, exit) = match seen {
            Seen::Created => (None, None, None),
            Seen::Running { started, .. } => (Some(started.pid), Some(started), None),
            Seen::Stopped { started, status } => (None, started.as_ref(), Some(status.clone())),
        };
        let process = self.config.spec.oci.process().as_ref();
        Summary {
            id: self.id().clone(),
            state: seen.state(),
            pid,
            command: process
                .and_then(|process| process.args().clone())
                .unwrap_or_default(),
            created_at: self.config.created_at,
            started_at: started.map(|started| started.started_at),
            exit,
        }
    }

    /// What the first process was given.
    fn command_line(&self) -> Option<String> {
        let process = self.config.spec.oci.process().as_ref()?;
        let joined = || {
            let arguments = process.args().as_ref()?.iter();
            Some(command_line::join(arguments.map(String::as_str)))
        };
        process.command_line().clone().or_else(joined)
    }

    /// Ends all that is left of a run.
    fn end_job(&self, started: &Started) -> Result<()> {
        let failed = self.failed("end");
        let Some(job) = Job::open(&started.job).map_err(&failed)? else {
            return Ok(());
        };
        job.end().map_err(&failed)?;
        until_empty(&job, &self.what())
    }

    fn force_end(&self, run: u64, started: &Started, process: &Process) -> Result<()> {
        self.record.mark("forced", run)?;
        let failed = self.failed("end");
        let ended = match Job::open(&started.job).map_err(&failed)? {
            Some(job) => job.end(),
            None => process.end(),
        };
        match ended {
            Err(error) if !process.has_ended().map_err(&failed)? => return Err(failed(error)),
            _ => {}
        }
        if !process.wait(Some(PATIENCE)).map_err(&failed)? {
            return Err(Error::new(
                ErrorKind::Unkillable,
                Phase::Operate,
                format!("end {}: process {} stays", self.what(), process.pid),
            ));
        }
        // Records the end, where nobody has yet.
        self.look_at(run)?;
        self.end_job(started)
    }

    /// The job of a run that goes on.
    fn job(&self, verb: &str, started: &Started) -> Result<Job> {
        Job::open(&started.job)
            .map_err(self.failed(verb))?
            .ok_or_else(|| self.wrong_state(verb, State::Stopped))
    }

    /// The first process of a run, whose end this program sees to from now on.
    fn first(&self, run: u64, started: &Started, process: Process) -> Result<Arc<Watched>> {
        let key = (self.id().clone(), run);
        let mut firsts = self
            .shared
            .firsts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = firsts.get(&key).and_then(std::sync::Weak::upgrade) {
            return Ok(first);
        }
        let job = self.job("start a process in", started)?;
        let first = Arc::new(Watched::first(
            process,
            Arc::new(job),
            self.record.clone(),
            run,
        ));
        first.watch(None)?;
        firsts.retain(|_, first| first.strong_count() > 0);
        firsts.insert(key, Arc::downgrade(&first));
        Ok(first)
    }

    fn start_further(
        &self,
        process: &ProcessSpec,
        confinement: Option<&Confinement>,
        stdio: Stdio,
    ) -> Result<Box<dyn ComputeProcess>> {
        const VERB: &str = "start a process in";
        let none = Confinement::default();
        let given = confinement.unwrap_or(&none);
        if given.root.is_some() {
            return Err(not_without_isolation("a root of its own"));
        }
        let plan = plan::further(
            &process.oci,
            process.user.as_deref(),
            &given.limits,
            &Facts::here(),
        )?;
        let (run, seen) = self.look()?;
        let Seen::Running {
            started,
            process: first,
            is_paused: false,
        } = seen
        else {
            return Err(self.wrong_state(VERB, seen.state()));
        };
        let first = self.first(run, &started, first)?;
        let own = match confinement {
            Some(_) => Some(self.limited_job(None, &plan.limits)?),
            None => None,
        };
        let prepared = streams::prepare(stdio)?;
        let process = self.launch(&plan, &prepared.process, first.job())?;
        let watched = Arc::new(Watched::further(process, own, &first));
        let begun = watched.assign_own().and_then(|()| {
            // Who ends or pauses the container from now on finds the process in its job.
            match self.look_at(run)? {
                Seen::Running {
                    is_paused: false, ..
                } if !self.record.is_marked("forced", run) => {}
                seen => return Err(self.wrong_state(VERB, seen.state())),
            }
            watched.watch(given.timeout)?;
            watched.process.resume().map_err(self.failed(VERB))
        });
        if let Err(error) = begun {
            // Why it was not started is told.
            let _ = watched.process.end();
            // It ends with its container, at whatever moment of its start.
            return Err(match self.look_at(run) {
                Ok(Seen::Running { .. }) => error,
                Ok(seen) => self.wrong_state(VERB, seen.state()).because(error),
                Err(gone) => gone,
            });
        }
        Ok(Box::new(HostProcess::new(watched, prepared.caller)))
    }

    fn limited_job(&self, name: Option<&str>, limits: &Limits) -> Result<Job> {
        let failed = |error| {
            let operation = format!("make a job for {}", self.what());
            system(Phase::Start, operation, error)
        };
        let job = Job::new(name).map_err(failed)?;
        job.limit(limits).map_err(|error| {
            let operation = format!("limit the job of {}", self.what());
            system(Phase::Start, operation, error)
        })?;
        Ok(job)
    }

    /// Makes the process of a plan, in a job, where it waits to be let go.
    fn launch(&self, plan: &Plan, streams: &[OwnedHandle; 3], job: &Job) -> Result<Process> {
        let process = launch::create(plan, streams)?;
        job.assign(process.as_handle()).map_err(|error| {
            // Nothing of it has run.
            let _ = process.end();
            let operation = format!("put a process into the job of {}", self.what());
            system(Phase::Start, operation, error)
                .remedy("the caller is in a job that does not let another begin in it: start it outside of that")
        })?;
        Ok(process)
    }

    fn begin(&self, run: u64, plan: &Plan, stdio: Stdio) -> Result<HostProcess> {
        let name = job_name();
        let job = Arc::new(self.limited_job(Some(&name), &plan.limits)?);
        let prepared = streams::prepare(stdio)?;
        let process = self.launch(plan, &prepared.process, &job)?;
        let failed = |error| system(Phase::Start, format!("start {}", self.what()), error);
        let begun = (|| {
            job.lend_to(process.as_handle()).map_err(failed)?;
            let created = process.times().map_err(failed)?.created;
            let started = Started::now(process.pid, created, name);
            self.record.write_started(run, &started)
        })();
        let watched = Arc::new(Watched::first(process, job, self.record.clone(), run));
        let begun = begun.and_then(|()| {
            let key = (self.id().clone(), run);
            let firsts = self.shared.firsts.lock();
            firsts
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, Arc::downgrade(&watched));
            watched.process.resume().map_err(failed)?;
            // Not before: an end that is dealt with is recorded, and one that ran nothing has none.
            watched.watch(None)
        });
        if let Err(error) = begun {
            // Why it was not started is told; with it goes whatever it has started meanwhile.
            let _ = watched.job().end();
            return Err(error);
        }
        Ok(HostProcess::new(watched, prepared.caller))
    }
}

/// A name that no other job has had.
fn job_name() -> String {
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
        let _locked = self.shared.records.lock(self.id())?;
        let (run, seen) = self.look()?;
        if !matches!(seen, Seen::Created) {
            return Err(self.wrong_state("start", seen.state()));
        }
        match self.begin(run, &plan, stdio) {
            Ok(process) => Ok(Box::new(process)),
            Err(error) => {
                // Why the start failed matters more.
                let _ = self.record.forget_started(run);
                Err(error)
            }
        }
    }

    fn create_process(
        &self,
        process: &ProcessSpec,
        stdio: Stdio,
    ) -> Result<Box<dyn ComputeProcess>> {
        self.start_further(process, None, stdio)
    }

    fn create_confined_process(
        &self,
        process: &ProcessSpec,
        confinement: &Confinement,
        stdio: Stdio,
    ) -> Result<Box<dyn ComputeProcess>> {
        self.start_further(process, Some(confinement), stdio)
    }

    fn pause(&self) -> Result<()> {
        let _locked = self.shared.records.lock(self.id())?;
        let (run, seen) = self.look()?;
        let Seen::Running {
            started,
            is_paused: false,
            ..
        } = seen
        else {
            return Err(self.wrong_state("pause", seen.state()));
        };
        let job = self.job("pause", &started)?;
        // Before it is looked who there is: what is started from now on is refused.
        self.record.mark("paused", run)?;
        members::suspend(&job)
            .inspect_err(|_| self.record.unmark("paused", run))
            .map_err(self.failed("pause"))
    }

    fn resume(&self) -> Result<()> {
        let _locked = self.shared.records.lock(self.id())?;
        let (run, seen) = self.look()?;
        let Seen::Running {
            started,
            is_paused: true,
            ..
        } = seen
        else {
            return Err(self.wrong_state("resume", seen.state()));
        };
        members::resume(&self.job("resume", &started)?).map_err(self.failed("resume"))?;
        self.record.unmark("paused", run);
        Ok(())
    }

    fn modify(&self, resources: &LinuxResources) -> Result<()> {
        let limits = Limits::changed(resources, &Facts::here())?;
        let (_, seen) = self.look()?;
        let Seen::Running { started, .. } = seen else {
            return Err(self.wrong_state("limit", seen.state()));
        };
        let job = self.job("limit", &started)?;
        job.limit(&limits).map_err(self.failed("limit"))
    }

    fn state(&self) -> Result<State> {
        Ok(self.look()?.1.state())
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let (_, seen) = self.look()?;
        let summary = self.summary_of(&seen);
        let (processes, statistics) = match &seen {
            Seen::Running { started, .. } if query.processes || query.statistics => {
                let job = Job::open(&started.job).map_err(self.failed("ask about"))?;
                let measured = job.map(|job| {
                    members::measure(&job, query, |pid| match pid == started.pid {
                        true => self.command_line(),
                        false => None,
                    })
                });
                let measured = measured.transpose().map_err(self.failed("ask about"))?;
                measured.unwrap_or_default()
            }
            _ => Default::default(),
        };
        Ok(Properties {
            summary,
            processes: query.processes.then_some(processes),
            statistics: query.statistics.then_some(statistics),
        })
    }

    fn signal(&self, given: Signal) -> Result<()> {
        let (run, seen) = self.look()?;
        let Seen::Running {
            started, process, ..
        } = seen
        else {
            return Err(self.wrong_state("signal", seen.state()));
        };
        match given {
            Signal::KILL => self.force_end(run, &started, &process),
            given => signal(&process, &self.what(), given),
        }
    }

    fn shutdown(&self) -> Result<()> {
        self.signal(self.config.spec.stop.signal)
    }

    fn terminate(&self) -> Result<()> {
        let (run, seen) = self.look()?;
        match seen {
            Seen::Running {
                started, process, ..
            } => self.force_end(run, &started, &process),
            Seen::Stopped {
                started: Some(started),
                ..
            } => self.end_job(&started),
            Seen::Created | Seen::Stopped { started: None, .. } => Ok(()),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let run = self.record.run()?;
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let is_over = left.is_some_and(|left| left.is_zero());
            match self.look_at(run)? {
                Seen::Stopped { status, .. } => return Ok(status),
                _ if is_over => return Err(timed_out(&self.what())),
                Seen::Running { process, .. } => {
                    process.wait(left).map_err(self.failed("wait for"))?;
                }
                Seen::Created => {
                    thread::sleep(left.map_or(UNTIL_STARTED, |left| left.min(UNTIL_STARTED)));
                }
            }
        }
    }

    fn reset(&self) -> Result<()> {
        let _locked = self.shared.records.lock(self.id())?;
        let (run, seen) = self.look()?;
        let Seen::Stopped { started, .. } = seen else {
            return Err(self.wrong_state("reset", seen.state()));
        };
        if let Some(started) = started {
            self.end_job(&started)?;
        }
        self.record.next_run(run)
    }

    fn delete(&self) -> Result<()> {
        let _locked = self.shared.records.lock(self.id())?;
        let seen = match self.look() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            looked => looked?.1,
        };
        match seen {
            Seen::Running { .. } => {
                return Err(self
                    .wrong_state("delete", seen.state())
                    .remedy("stop it first"));
            }
            Seen::Stopped {
                started: Some(started),
                ..
            } => self.end_job(&started)?,
            Seen::Created | Seen::Stopped { started: None, .. } => {}
        }
        self.shared.records.remove(&self.record)
    }
}
