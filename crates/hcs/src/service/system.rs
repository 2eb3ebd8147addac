//! A container over the service.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{
    ComputeSystem, Error, ErrorKind, ExitStatus, Phase, Process, Properties, Query, Result, State,
    Stdio,
};
use hoist_spec::{
    ConsoleSize, ContainerId, ContainerSpec, ProcessSpec, Signal, oci::LinuxResources,
};

use hoist_windows::streams::Carriers;

use super::{
    Shared,
    ended::Ended,
    failure, modify,
    process::{About, HcsProcess, Watched},
    record::{Config, Record, Started},
    request, signal,
    state::Seen,
    statistics,
};
use crate::{
    calls::{CallResult, Calls, HcsExports, HcsSystemHandle},
    console_input::ConsoleInput,
};

/// How often a wait looks whether a container that was not started yet is.
const UNTIL_STARTED: Duration = Duration::from_millis(10);
/// For so long at most a caller who has ended a container waits until its own process is told.
const UNTIL_TOLD: Duration = Duration::from_secs(5);

/// The contract's container.
pub(super) struct HcsSystem<E: HcsExports> {
    pub(super) shared: Arc<Shared<E>>,
    pub(super) record: Record,
    pub(super) config: Config,
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

    fn failed(&self, error: crate::calls::CallError, phase: Phase, verb: &str) -> Error {
        failure::of_system(error, phase, verb, self.record.id())
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
            .map_err(|error| failure::of_process(error, program, id))?;
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
        if watched.is_first {
            self.record
                .write_started(watched.run, &Started::now(watched.pid))?;
            self.shared.own(id, watched.run, watched);
        }
        let for_stdin = Arc::downgrade(watched);
        let has_console = watched.has_console;
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

    /// The first process of a container that runs, for another process than its owner.
    fn first_process<T>(
        &self,
        started: Started,
        verb: &str,
        act: impl FnOnce(&crate::calls::HcsProcessHandle<E>) -> CallResult<T>,
    ) -> Result<T> {
        let calls = &self.shared.calls;
        let acted = calls
            .open_system(self.record.id().as_str())
            .and_then(|system| {
                let process = calls.open_process(&system, started.pid)?;
                act(&process)
            });
        acted.map_err(|error| self.failed(error, Phase::Operate, verb))
    }

    /// Waits for the end of a run whose first process another program has started.
    fn wait_for_foreign(&self, run: u64, started: Started, limit: Option<Duration>) -> Result<()> {
        let poll = self.shared.patience.poll;
        let limit = limit.map_or(poll, |limit| limit.min(poll));
        let calls = &self.shared.calls;
        let waited = calls
            .open_system(self.record.id().as_str())
            .and_then(|system| {
                let process = calls.open_process(&system, started.pid)?;
                process.wait_exit(Some(limit));
                Ok(())
            });
        match waited {
            Err(error) if !error.is_gone() => {
                return Err(self.failed(error, Phase::Operate, "wait for"));
            }
            _ => {}
        }
        // Records the end, where there is one.
        self.look_at(run).map(drop)
    }

    fn force_end(&self, run: u64) -> Result<()> {
        self.record.mark("forced", run)?;
        self.shared
            .end_system(self.record.id(), false)
            .inspect_err(|_| self.record.unmark("forced", run))
            .map_err(|error| self.failed(error, Phase::Operate, "end"))?;
        self.look_at(run)?;
        if let Some(watched) = self.shared.owned_process(self.record.id(), run) {
            watched.ended.wait(Some(UNTIL_TOLD));
        }
        Ok(())
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
                    record: self.record.clone(),
                    run,
                    is_first: true,
                    has_console: console.is_some(),
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
        if !matches!(seen, Seen::Running { paused: false, .. }) {
            return Err(self.wrong_state("start a process in", Phase::Start, seen.state()));
        }
        let system = self
            .shared
            .calls
            .open_system(id.as_str())
            .map_err(|error| self.failed(error, Phase::Start, "start a process in"))?;
        let about = About {
            record: self.record.clone(),
            run,
            is_first: false,
            has_console: console.is_some(),
        };
        let watched = self.launch(system, &parameters, request.program(), stdio, about)?;
        Ok(Box::new(HcsProcess(watched)))
    }

    fn pause(&self) -> Result<()> {
        let (_, seen) = self.look()?;
        if !matches!(seen, Seen::Running { paused: false, .. }) {
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
        if !matches!(seen, Seen::Running { paused: true, .. }) {
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
            Seen::Running { .. } => statistics::ask(&self.shared.calls, self.record.id(), query)?,
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
        self.first_process(started, "signal", |process| {
            self.shared.calls.signal_process(process, &options)
        })
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
            let Some(started) = self.record.started(run)? else {
                self.record.config::<Config>()?;
                if left.is_some_and(|left| left.is_zero()) {
                    return Err(run_out());
                }
                thread::sleep(left.map_or(UNTIL_STARTED, |left| left.min(UNTIL_STARTED)));
                continue;
            };
            if let Some(watched) = self.shared.owned_process(id, run) {
                return watched.ended.wait(left).ok_or_else(run_out);
            }
            self.wait_for_foreign(run, started, left)?;
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

    fn delete(&self) -> Result<()> {
        let id = self.record.id();
        let _locked = self.shared.records.lock(&self.record)?;
        let politely = match self.look() {
            Ok((_, Seen::Running { paused, .. })) => {
                let state = if paused {
                    State::Paused
                } else {
                    State::Running
                };
                return Err(self.wrong_state("delete", Phase::Delete, state));
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
