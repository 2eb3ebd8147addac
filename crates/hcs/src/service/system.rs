//! A container over the service.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{
    ComputeSystem, Error, ErrorKind, Exec, ExecSpec, ExitStatus, Phase, Process, Properties, Query,
    Result, State, Stdio, Summary,
};
use hoist_spec::{
    ConsoleSize, ContainerId, ContainerSpec, ExecId, ProcessSpec, Signal, oci::LinuxResources,
};

use hoist_windows::streams::Carriers;

use super::{
    Shared,
    ended::Ended,
    exec::{self, HcsExec},
    failure, modify,
    process::{About, HcsProcess, Kind, Watched},
    record::{Config, ExecStarted, Record, Started},
    request, signal,
    state::Seen,
    statistics,
};
use crate::{
    calls::{CallError, CallResult, Calls, HcsExports, HcsProcessHandle, HcsSystemHandle},
    console_input::ConsoleInput,
};

/// How often a wait looks whether a container that was not started yet is.
pub(super) const UNTIL_STARTED: Duration = Duration::from_millis(10);

/// The contract's container.
pub(super) struct HcsSystem<E: HcsExports> {
    pub(super) shared: Arc<Shared<E>>,
    pub(super) record: Record,
    pub(super) config: Config,
}

impl<E: HcsExports> Clone for HcsSystem<E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            record: self.record.clone(),
            config: self.config.clone(),
        }
    }
}

fn console(stdio: &Stdio) -> Option<ConsoleSize> {
    match stdio {
        Stdio::Console(size) => Some(*size),
        Stdio::Streams { .. } => None,
    }
}

impl<E: HcsExports> HcsSystem<E> {
    fn wrong_state(&self, verb: &str, phase: Phase, state: State) -> Error {
        let id = self.record.id();
        failure::invalid_state(
            id,
            phase,
            &format!("{verb} container {id}, which is {state}"),
        )
    }

    pub(super) fn id_text(&self) -> &str {
        self.record.id().as_str()
    }

    pub(super) fn failed(&self, error: CallError, phase: Phase, verb: &str) -> Error {
        failure::of_record(error, phase, verb, &self.record)
    }

    /// The system to be started: the one that was made with the container, or the same again where that is gone or was begun with.
    fn fresh_system(&self, run: u64) -> CallResult<HcsSystemHandle<E>> {
        let id = self.record.id();
        if self.record.is_marked("begun", run) {
            self.shared.end_system(id, false)?;
        } else if let Some(system) = self.shared.open_system(id)? {
            return Ok(system);
        }
        self.shared
            .calls
            .create_system(id.as_str(), &self.config.configuration)
    }

    /// Starts a process in a system that runs, and has its end dealt with.
    fn launch(
        &self,
        system: HcsSystemHandle<E>,
        parameters: &str,
        program: &str,
        stdio: Stdio,
        about: About,
    ) -> Result<Arc<Watched<E>>> {
        let shared = &self.shared;
        let id = self.record.id();
        let no_thread = |error: std::io::Error| {
            Error::new(
                ErrorKind::System,
                Phase::Start,
                format!("watch the processes of container {id}"),
            )
            .about(id.as_str())
            .because(error)
        };
        shared.keeper.prepare().map_err(no_thread)?;
        // Before there is a process: one that nothing watches must not go on.
        let ended = Ended::new().map_err(no_thread)?;
        let started = shared
            .calls
            .create_process(&system, parameters, request::pipes(&stdio))
            .map_err(|error| failure::of_process(error, program, &self.record))?;
        let calls = Arc::clone(&shared.calls);
        let watched = Watched::new(calls, system, started.process, started.pid, about, ended);
        let watched = Arc::new(watched);
        let begun = self.begin(
            &watched,
            stdio,
            Carriers {
                stdin: started.stdin,
                stdout: started.stdout,
                stderr: started.stderr,
            },
        );
        if let Err(error) = begun {
            watched.ends.end();
            // Nothing watches it: it must not go on. The error is told already.
            let _ = shared
                .calls
                .terminate_process(&watched.system, &watched.process);
            return Err(error);
        }
        Ok(watched)
    }

    fn begin(&self, watched: &Arc<Watched<E>>, stdio: Stdio, carriers: Carriers) -> Result<()> {
        let id = self.record.id();
        let failed = |what: &str, error: std::io::Error| {
            let operation = format!("{what} container {id}");
            Error::new(ErrorKind::System, Phase::Start, operation)
                .about(id.as_str())
                .because(error)
        };
        let About { run, kind, .. } = &watched.about;
        match kind {
            Kind::First => {
                self.record
                    .write_started(*run, &Started::now(watched.pid))?;
                self.shared.own(&self.record, *run, watched);
            }
            Kind::Further => {}
            Kind::Exec(exec) => {
                let created = self.creation_of(watched.pid)?;
                exec.write_started(exec::RUN, &ExecStarted::now(watched.pid, created, *run))?;
                self.shared.own(exec, exec::RUN, watched);
            }
        }
        let for_stdin = Arc::downgrade(watched);
        let has_console = watched.about.has_console;
        let build = request::image_build(&self.config.spec);
        watched
            .ends
            .connect(
                stdio,
                carriers,
                move |pipe| Box::new(ConsoleInput::new(pipe, has_console, build)),
                move || {
                    if let Some(watched) = for_stdin.upgrade() {
                        // A process that has ended reads nothing any more.
                        let _ = watched.calls.close_stdin(&watched.process);
                    }
                },
            )
            .map_err(|error| failed("connect the streams of", error))?;
        self.shared
            .keeper
            .watch(watched)
            .map_err(|error| failed("watch the processes of", error))
    }

    /// A process of the container, which another program may have started.
    pub(super) fn with_process<T>(
        &self,
        pid: u32,
        act: impl FnOnce(&HcsSystemHandle<E>, &HcsProcessHandle<E>) -> CallResult<T>,
    ) -> CallResult<T> {
        let calls = &self.shared.calls;
        let system = calls.open_system(self.record.id().as_str())?;
        let process = calls.open_process(&system, pid)?;
        act(&system, &process)
    }

    /// Waits until a process that another program has started may have ended, and looks.
    ///
    /// Its exit code goes with the last handle to it: `look` is called while there is one here.
    pub(super) fn wait_for_foreign<T>(
        &self,
        pid: u32,
        limit: Option<Duration>,
        look: impl Fn() -> Result<T>,
    ) -> CallResult<Result<T>> {
        let poll = self.shared.patience.poll;
        let limit = limit.map_or(poll, |limit| limit.min(poll));
        let waited = self.with_process(pid, |_, process| {
            process.wait_exit(Some(limit));
            Ok(look())
        });
        match waited {
            Err(error) if error.is_gone() => Ok(look()),
            waited => waited,
        }
    }

    fn force_end(&self, run: u64) -> Result<()> {
        self.record.mark("forced", run)?;
        self.shared
            .end_system(self.record.id(), false)
            .inspect_err(|_| self.record.unmark("forced", run))
            .map_err(|error| self.failed(error, Phase::Operate, "end"))?;
        self.look_at(run)?;
        self.shared.wait_until_told(&self.record, run);
        Ok(())
    }

    /// Starts a further process; as `exec`, where it is that one.
    pub(super) fn start_further(
        &self,
        process: &ProcessSpec,
        exec: Option<&Record>,
        stdio: Stdio,
    ) -> Result<HcsProcess<E>> {
        let id = self.record.id();
        let console = console(&stdio);
        let (parameters, request) = request::further_process(
            id,
            &self.config.spec,
            process,
            request::pipes(&stdio),
            console,
            &self.shared.settings,
        )?;
        let (run, seen) = self.look()?;
        if !matches!(
            seen,
            Seen::Running {
                is_paused: false,
                ..
            }
        ) {
            return Err(self.wrong_state("start a process in", Phase::Start, seen.state()));
        }
        let system = self
            .shared
            .calls
            .open_system(id.as_str())
            .map_err(|error| self.failed(error, Phase::Start, "start a process in"))?;
        let about = About {
            container: self.record.clone(),
            run,
            kind: exec.map_or(Kind::Further, |exec| Kind::Exec(exec.clone())),
            has_console: console.is_some(),
            tells_updates: self.shared.tells_updates,
        };
        let watched = self.launch(system, &parameters, request.program(), stdio, about)?;
        Ok(HcsProcess(watched))
    }
}

impl<E: HcsExports> ComputeSystem for HcsSystem<E> {
    fn id(&self) -> &ContainerId {
        self.record.id()
    }

    fn spec(&self) -> &ContainerSpec {
        &self.config.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>> {
        let id = self.record.id();
        let console = console(&stdio);
        let (parameters, process) = request::first_process(
            id,
            &self.config.spec,
            request::pipes(&stdio),
            console,
            &self.shared.settings,
        )?;
        let _locked = self.shared.records.lock(&self.record)?;
        let (run, seen) = self.look()?;
        if !matches!(seen, Seen::Created) {
            return Err(self.wrong_state("start", Phase::Start, seen.state()));
        }
        let system = self
            .fresh_system(run)
            .map_err(|error| self.failed(error, Phase::Start, "start"))?;
        self.record.mark("begun", run)?;
        let started = self
            .shared
            .calls
            .start_system(&system)
            .map_err(|error| self.failed(error, Phase::Start, "start"))
            .and_then(|()| {
                let about = About {
                    container: self.record.clone(),
                    run,
                    kind: Kind::First,
                    has_console: console.is_some(),
                    tells_updates: self.shared.tells_updates,
                };
                self.launch(system, &parameters, process.program(), stdio, about)
            });
        match started {
            Ok(watched) => {
                self.record.unmark("begun", run);
                Ok(Box::new(HcsProcess(watched)))
            }
            Err(error) => {
                // Nobody shall take the end of the system for that of a run. Why the start failed matters more.
                let _ = self.record.forget_started(run);
                // The next start makes the system anew; what is left of this one is ended now, or else by that.
                if self.shared.end_system(id, false).is_ok() {
                    self.record.unmark("begun", run);
                }
                Err(error)
            }
        }
    }

    fn create_process(&self, process: &ProcessSpec, stdio: Stdio) -> Result<Box<dyn Process>> {
        Ok(Box::new(self.start_further(process, None, stdio)?))
    }

    fn create_exec(&self, id: &ExecId, spec: &ExecSpec) -> Result<Box<dyn Exec>> {
        Ok(Box::new(HcsExec::create(self, id, spec)?))
    }

    fn open_exec(&self, id: &ExecId) -> Result<Box<dyn Exec>> {
        Ok(Box::new(HcsExec::open(self, self.record.exec(id))?))
    }

    fn execs(&self) -> Result<Vec<Summary>> {
        let mut list = Vec::new();
        for record in self.record.execs()? {
            match HcsExec::open(self, record).and_then(|exec| exec.summary()) {
                Ok(summary) => list.push(summary),
                // Not made yet, or deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        list.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(list)
    }

    fn pause(&self) -> Result<()> {
        let (_, seen) = self.look()?;
        if !matches!(
            seen,
            Seen::Running {
                is_paused: false,
                ..
            }
        ) {
            return Err(self.wrong_state("pause", Phase::Operate, seen.state()));
        }
        let calls = &self.shared.calls;
        calls
            .open_system(self.record.id().as_str())
            .and_then(|system| calls.pause_system(&system))
            .map_err(|error| self.failed(error, Phase::Operate, "pause"))
    }

    fn resume(&self) -> Result<()> {
        let (_, seen) = self.look()?;
        if !matches!(
            seen,
            Seen::Running {
                is_paused: true,
                ..
            }
        ) {
            return Err(self.wrong_state("resume", Phase::Operate, seen.state()));
        }
        let calls = &self.shared.calls;
        calls
            .open_system(self.record.id().as_str())
            .and_then(|system| calls.resume_system(&system))
            .map_err(|error| self.failed(error, Phase::Operate, "resume"))
    }

    fn modify(&self, resources: &LinuxResources) -> Result<()> {
        let requests = modify::requests(self.record.id(), resources)?;
        let (_, seen) = self.look()?;
        if !matches!(seen, Seen::Running { .. }) {
            return Err(self.wrong_state("change", Phase::Operate, seen.state()));
        }
        let calls = &self.shared.calls;
        calls
            .open_system(self.record.id().as_str())
            .and_then(|system| {
                requests
                    .iter()
                    .try_for_each(|request| calls.modify_system(&system, request))
            })
            .map_err(|error| self.failed(error, Phase::Operate, "change"))
    }

    fn state(&self) -> Result<State> {
        Ok(self.look()?.1.state())
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let (_, seen) = self.look()?;
        let summary = self.summary_of(&seen);
        let (processes, statistics) = match seen {
            Seen::Running { .. } => statistics::ask(&self.shared.calls, &self.record, query)?,
            _ => (
                query.processes.then(Vec::new),
                query.statistics.then(Default::default),
            ),
        };
        Ok(Properties {
            summary,
            processes,
            statistics,
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let (run, seen) = self.look()?;
        let Seen::Running { started, .. } = seen else {
            return Err(self.wrong_state("signal", Phase::Operate, seen.state()));
        };
        if signal == Signal::KILL {
            return self.force_end(run);
        }
        let options = signal::options(signal)?;
        self.with_process(started.pid, |_, process| {
            self.shared.calls.signal_process(process, &options)
        })
        .map_err(|error| self.failed(error, Phase::Operate, "signal"))
    }

    fn shutdown(&self) -> Result<()> {
        let (_, seen) = self.look()?;
        if !matches!(seen, Seen::Running { .. }) {
            return Err(self.wrong_state("shut down", Phase::Operate, seen.state()));
        }
        let calls = &self.shared.calls;
        let asked = calls
            .open_system(self.record.id().as_str())
            .and_then(|system| calls.shutdown_system(&system));
        match asked {
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(self.failed(error, Phase::Operate, "shut down")),
            Ok(_) => Ok(()),
        }
    }

    fn terminate(&self) -> Result<()> {
        let (run, seen) = self.look()?;
        match seen {
            Seen::Running { .. } => self.force_end(run),
            Seen::Created => Ok(()),
            Seen::Stopped { .. } => self
                .shared
                .end_system(self.record.id(), false)
                .map_err(|error| self.failed(error, Phase::Operate, "end")),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let id = self.record.id();
        let run = self.record.run()?;
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let run_out = || failure::timeout(id, &format!("wait for container {id}"));
            if let Some(status) = self.record.exit(run)? {
                return Ok(status);
            }
            let Some(started) = self.record.started::<Started>(run)? else {
                self.record.config::<Config>()?;
                if left.is_some_and(|left| left.is_zero()) {
                    return Err(run_out());
                }
                thread::sleep(left.map_or(UNTIL_STARTED, |left| left.min(UNTIL_STARTED)));
                continue;
            };
            if let Some(watched) = self.shared.owned_process(&self.record, run) {
                return watched.ended.wait(left).ok_or_else(run_out);
            }
            // The look records the end, where there is one.
            self.wait_for_foreign(started.pid, left, || self.look_at(run))
                .map_err(|error| self.failed(error, Phase::Operate, "wait for"))??;
            if let Some(status) = self.record.exit(run)? {
                return Ok(status);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(run_out());
            }
        }
    }

    fn reset(&self) -> Result<()> {
        let id = self.record.id();
        let _locked = self.shared.records.lock(&self.record)?;
        let (run, seen) = self.look()?;
        if !matches!(seen, Seen::Stopped { .. }) {
            return Err(self.wrong_state("reset", Phase::Operate, seen.state()));
        }
        self.shared
            .end_system(id, true)
            .map_err(|error| self.failed(error, Phase::Operate, "reset"))?;
        self.record.next_run(run)
    }

    fn install_updates(&self) -> Result<()> {
        self.shared.install_updates(&self.record, &self.config.spec)
    }

    fn delete(&self) -> Result<()> {
        let id = self.record.id();
        let _locked = self.shared.records.lock(&self.record)?;
        let politely = match self.look() {
            Ok((_, seen @ Seen::Running { .. })) => {
                return Err(self.wrong_state("delete", Phase::Delete, seen.state()));
            }
            Ok((_, Seen::Stopped { .. })) => true,
            Ok((_, Seen::Created)) => false,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        self.shared
            .end_system(id, politely)
            .map_err(|error| self.failed(error, Phase::Delete, "delete"))?;
        self.shared.records.remove(&self.record)
    }
}
