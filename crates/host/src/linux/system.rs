//! A container without isolation.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hoist_compute::{
    ComputeSystem, Confinement, Error, ErrorKind, Exec, ExecSpec, ExitStatus, Phase, Process,
    Properties, Query, Result, State, Statistics, Stdio, Summary,
};
use hoist_init::owner::proc_pid;
use hoist_spec::oci::LinuxResources;
use hoist_spec::{ContainerId, ContainerSpec, ExecId, ProcessSpec, Signal};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::exec::HostExec;
use super::launch::Launch;
use super::process::HostProcess;
use super::record::{Config, Folder, Released, entries, optional, system};
use super::run::{Run, Seen, end_keeper, gone, invalid_state, of_exec, open};
use super::service::Shared;
use super::tree;
use crate::plan::linux::{self as plan, Kind};
use crate::refused::not_without_isolation;

/// The contract's container.
#[derive(Clone)]
pub(crate) struct HostSystem {
    pub(crate) shared: Arc<Shared>,
    id: ContainerId,
    config: Config,
    pub(crate) folder: Folder,
}

impl HostSystem {
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: ContainerId,
        config: Config,
        folder: Folder,
    ) -> Self {
        Self {
            shared,
            id,
            config,
            folder,
        }
    }

    pub(crate) fn what(&self) -> String {
        format!("container {}", self.id)
    }

    fn gone(&self) -> Error {
        gone(&format!("container: {}", self.id)).about(self.id.as_str())
    }

    fn wrong_state(&self, verb: &str, state: State) -> Error {
        invalid_state(format!("{verb} {}", self.what()), &format!("it is {state}"))
            .about(self.id.as_str())
    }

    /// The present run and its number.
    fn run(&self) -> Result<(u64, Run)> {
        let number = optional(self.folder.run())?.ok_or_else(|| self.gone())?;
        let run = Run {
            folder: self.folder.run_folder(number),
            owner: self.folder.clone(),
        };
        Ok((number, run))
    }

    fn state_of(run: &Run, seen: &Seen) -> State {
        match seen {
            Seen::Created => State::Created,
            Seen::Running(_) if run.is_paused() => State::Paused,
            Seen::Running(_) => State::Running,
            Seen::Stopped(..) => State::Stopped,
        }
    }

    /// Its state, and its keeper where it runs.
    pub(crate) fn look(&self) -> Result<(State, Option<Released>)> {
        let (_, run) = self.run()?;
        let seen = run.look()?;
        let state = Self::state_of(&run, &seen);
        match seen {
            Seen::Running(released) => Ok((state, Some(released))),
            _ => Ok((state, None)),
        }
    }

    /// The keepers that live: of the first process, of execs and of further processes. What is left of further processes whose
    /// keepers are gone is removed.
    fn keepers(&self) -> Result<Vec<proc_pid::ProcessIdentity>> {
        let mut keepers = Vec::new();
        let (_, run) = self.run()?;
        keepers.extend(run.keeper()?);
        for folder in entries(&self.folder.execs())? {
            keepers.extend(of_exec(&folder).keeper()?);
        }
        for folder in self.folder.further()? {
            let run = of_exec(&folder);
            match run.keeper()? {
                Some(keeper) => keepers.push(keeper),
                None if run.released()?.is_some() => {
                    // What stays goes with the container.
                    let _ = std::fs::remove_dir_all(&folder);
                }
                None => {}
            }
        }
        Ok(keepers)
    }

    fn keeper_ids(&self) -> Result<Vec<u32>> {
        Ok(self.keepers()?.iter().map(|keeper| keeper.pid).collect())
    }

    /// Starts a further process, which is recorded in `run`.
    pub(crate) fn start_further(
        &self,
        run: Run,
        process: &ProcessSpec,
        confinement: &Confinement,
        stdio: Stdio,
        is_confined: bool,
    ) -> Result<HostProcess> {
        refuse_limits(confinement)?;
        let verb = "start a process in";
        let (state, released) = self.look()?;
        let Some(container) = released.filter(|_| state == State::Running) else {
            return Err(self.wrong_state(verb, state));
        };
        let facts = self
            .shared
            .facts(process.user.as_deref(), process.oci.user())?;
        let timeout = confinement.timeout.map_or(0, |limit| {
            u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)
        });
        let kind = Kind {
            is_first: false,
            has_companion: true,
            timeout,
            has_console: matches!(stdio, Stdio::Console(_)),
        };
        let plan = plan::further(&process.oci, process.user.as_deref(), kind, &facts)?;
        let keeper = open(&container, container.keeper)?
            .ok_or_else(|| self.wrong_state(verb, State::Stopped))?;
        // Whoever ends or pauses the container after this was written finds the process.
        let publish = |released: &Released| {
            run.publish(released)?;
            match self.look()? {
                (State::Running, Some(now)) if now == container => Ok(()),
                (state, _) => Err(self.wrong_state(verb, state)),
            }
        };
        let launch = Launch {
            plan: &plan,
            folder: &run.folder,
            with: Some(keeper.as_fd()),
            publish: &publish,
        };
        let launched = launch.start(stdio).map_err(|error| {
            run.take_back();
            // It ends with its container, at whatever moment of its start.
            match self.look() {
                Ok((state, _)) if state != State::Running => {
                    self.wrong_state(verb, state).because(error)
                }
                _ => error,
            }
        })?;
        HostProcess::new(run, launched, is_confined)
    }

    fn start_unnamed(
        &self,
        process: &ProcessSpec,
        confinement: Option<&Confinement>,
        stdio: Stdio,
    ) -> Result<Box<dyn Process>> {
        let (state, _) = self.look()?;
        if state != State::Running {
            return Err(self.wrong_state("start a process in", state));
        }
        let folder = self.folder.new_further()?;
        let none = Confinement::default();
        let (given, is_confined) = (confinement.unwrap_or(&none), confinement.is_some());
        let started = self.start_further(of_exec(&folder), process, given, stdio, is_confined);
        match started {
            Ok(process) => Ok(Box::new(process)),
            Err(error) => {
                // What stays goes with the container.
                let _ = std::fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// Starts the first process of a run, which is created.
    fn start_run(&self, run: Run, stdio: Stdio) -> Result<HostProcess> {
        let takes_along = self.shared.options.takes_containers_along;
        let spec = &self.config.spec;
        let mut spec = spec.clone();
        if let Some(process) = spec.oci.process_mut() {
            process.set_terminal(Some(matches!(stdio, Stdio::Console(_))));
        }
        let plan = plan::first(&spec, &self.shared.facts_of(&spec)?, takes_along)?;
        let own = match takes_along {
            true => Some(
                pidfd_open(getpid(), PidfdFlags::empty())
                    .map_err(|errno| system("open the own process", errno.into()))?,
            ),
            false => None,
        };
        let launch = Launch {
            plan: &plan,
            folder: &run.folder,
            with: own.as_ref().map(|own| own.as_fd()),
            publish: &|released| run.publish(released),
        };
        let launched = launch.start(stdio).inspect_err(|_| run.take_back())?;
        HostProcess::new(run, launched, false)
    }

    /// Ends all that any keeper of the container keeps.
    fn end_all(&self) -> Result<()> {
        // Those that begin meanwhile see that their container is at its end.
        loop {
            let keepers = match self.keepers() {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                keepers => keepers?,
            };
            if keepers.is_empty() {
                return Ok(());
            }
            for keeper in keepers {
                end_keeper(keeper)?;
            }
        }
    }

    pub(crate) fn summary_of(
        id: ContainerId,
        process: Option<&hoist_spec::oci::Process>,
        created_at: hoist_compute::Timestamp,
        (state, seen): (State, Seen),
    ) -> Summary {
        let (released, exit) = match seen {
            Seen::Created => (None, None),
            Seen::Running(released) => (Some(released), None),
            Seen::Stopped(released, exit) => (released, Some(exit)),
        };
        let command = process.and_then(|process| process.args().clone());
        Summary {
            id,
            state,
            pid: released
                .as_ref()
                .filter(|_| exit.is_none())
                .map(|released| released.process.pid),
            command: command.unwrap_or_default(),
            created_at,
            started_at: released.map(|released| released.started_at),
            exit,
        }
    }
}

/// A limit needs a cgroup, and a root of its own a mount namespace.
pub(crate) fn refuse_limits(confinement: &Confinement) -> Result<()> {
    let what = match confinement {
        confinement if confinement.limits != LinuxResources::default() => "limits",
        confinement if confinement.root.is_some() => "a root of its own",
        _ => return Ok(()),
    };
    Err(not_without_isolation(what))
}

/// What is known of the processes below keepers.
pub(crate) fn properties(summary: Summary, keepers: &[u32], query: Query) -> Result<Properties> {
    let pids = match query.processes || query.statistics {
        true => tree::below(keepers)?,
        false => Vec::new(),
    };
    let listed = || {
        pids.iter()
            .filter_map(|pid| proc_pid::entry(*pid).ok().flatten())
    };
    Ok(Properties {
        summary,
        processes: query.processes.then(|| listed().collect()),
        statistics: query.statistics.then(|| Statistics {
            pids: Some(pids.len() as u64),
            ..Statistics::default()
        }),
    })
}

impl ComputeSystem for HostSystem {
    fn id(&self) -> &ContainerId {
        &self.id
    }

    fn spec(&self) -> &ContainerSpec {
        &self.config.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>> {
        let _lock = self.folder.lock()?.ok_or_else(|| self.gone())?;
        let (number, run) = self.run()?;
        let seen = run.look_locked()?;
        if !matches!(seen, Seen::Created) {
            return Err(self.wrong_state("start", Self::state_of(&run, &seen)));
        }
        let started = self.start_run(run, stdio);
        // Where it fails after the process was let go, that is the present run all the same.
        if started.is_err()
            && let Ok((_, run)) = self.run()
            && matches!(run.look_locked(), Ok(Seen::Created))
        {
            self.folder.take_back_run(number);
        }
        Ok(Box::new(started?))
    }

    fn create_process(&self, process: &ProcessSpec, stdio: Stdio) -> Result<Box<dyn Process>> {
        self.start_unnamed(process, None, stdio)
    }

    fn create_confined_process(
        &self,
        process: &ProcessSpec,
        confinement: &Confinement,
        stdio: Stdio,
    ) -> Result<Box<dyn Process>> {
        self.start_unnamed(process, Some(confinement), stdio)
    }

    fn create_exec(&self, id: &ExecId, spec: &ExecSpec) -> Result<Box<dyn Exec>> {
        refuse_limits(&spec.confinement)?;
        if !self.folder.exists() {
            return Err(self.gone());
        }
        Ok(Box::new(HostExec::create(self, id, spec)?))
    }

    fn open_exec(&self, id: &ExecId) -> Result<Box<dyn Exec>> {
        Ok(Box::new(HostExec::open(self, id)?))
    }

    fn execs(&self) -> Result<Vec<Summary>> {
        let mut summaries = Vec::new();
        for folder in entries(&self.folder.execs())? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let Ok(id) = name.parse::<ExecId>() else {
                continue;
            };
            match HostExec::open(self, &id).and_then(|exec| exec.properties(Query::default())) {
                Ok(properties) => summaries.push(properties.summary),
                // Removed at this moment.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        summaries.sort_by_key(|summary| summary.created_at);
        Ok(summaries)
    }

    fn pause(&self) -> Result<()> {
        let _lock = self.folder.lock()?.ok_or_else(|| self.gone())?;
        let (_, run) = self.run()?;
        let seen = run.look_locked()?;
        match Self::state_of(&run, &seen) {
            State::Running => {}
            state => return Err(self.wrong_state("pause", state)),
        }
        // Before it is looked who there is: what is started from now on is refused.
        run.write_paused(&[])?;
        let stopped = self.keepers().and_then(|keepers| tree::stop(&keepers));
        match stopped.and_then(|stopped| run.write_paused(&stopped)) {
            Ok(()) => Ok(()),
            Err(error) => {
                // Why it cannot be paused is told.
                let _ = run.forget_paused();
                Err(error)
            }
        }
    }

    fn resume(&self) -> Result<()> {
        let _lock = self.folder.lock()?.ok_or_else(|| self.gone())?;
        let (_, run) = self.run()?;
        let seen = run.look_locked()?;
        match Self::state_of(&run, &seen) {
            State::Paused => {}
            state => return Err(self.wrong_state("resume", state)),
        }
        let mut stopped = run.read_paused()?;
        if stopped.is_empty() {
            // Whoever paused it came no further: all go on.
            let all = tree::below(&self.keeper_ids()?)?;
            stopped = all
                .into_iter()
                .filter_map(|pid| proc_pid::ProcessIdentity::of(pid).ok())
                .collect();
        }
        run.forget_paused()?;
        tree::resume(&stopped);
        Ok(())
    }

    fn modify(&self, _resources: &LinuxResources) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            Phase::Operate,
            format!(
                "limit {}: it runs without isolation, and so without a cgroup",
                self.what()
            ),
        ))
    }

    fn state(&self) -> Result<State> {
        Ok(self.look()?.0)
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let (_, run) = self.run()?;
        let seen = run.look()?;
        let state = Self::state_of(&run, &seen);
        let process = self.config.spec.oci.process().as_ref();
        let created_at = self.config.created_at;
        let keepers = match (state, query.processes || query.statistics) {
            (State::Running | State::Paused, true) => self.keeper_ids()?,
            _ => Vec::new(),
        };
        let summary = Self::summary_of(self.id.clone(), process, created_at, (state, seen));
        properties(summary, &keepers, query)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.run()?.1.signal(&self.what(), signal)
    }

    fn shutdown(&self) -> Result<()> {
        self.signal(self.config.spec.stop.signal)
    }

    fn terminate(&self) -> Result<()> {
        self.end_all()
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.run()?.1.wait(&self.what(), timeout)
    }

    fn reset(&self) -> Result<()> {
        let _lock = self.folder.lock()?.ok_or_else(|| self.gone())?;
        let (number, run) = self.run()?;
        let seen = run.look_locked()?;
        if !matches!(seen, Seen::Stopped(..)) {
            return Err(self.wrong_state("reset", Self::state_of(&run, &seen)));
        }
        self.end_all()?;
        self.folder.next_run(number)
    }

    fn delete(&self) -> Result<()> {
        let Some(_lock) = self.folder.lock()? else {
            return Ok(());
        };
        let (_, run) = self.run()?;
        let seen = run.look_locked()?;
        if let Seen::Running(_) = seen {
            return Err(self
                .wrong_state("delete", Self::state_of(&run, &seen))
                .remedy("stop it first"));
        }
        self.end_all()?;
        self.folder.remove()?;
        // Where others are, it stays.
        let _ = std::fs::remove_dir(&self.shared.containers);
        Ok(())
    }
}

/// The folder of an exec.
pub(crate) fn exec_folder(container: &HostSystem, id: &ExecId) -> PathBuf {
    container.folder.execs().join(id.as_str())
}
