//! One container: the contract's operations on it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoist_compute::{
    Change, ComputeSystem, Confinement, Error, ErrorKind, Exec, ExecSpec, ExitStatus, OsCode,
    Phase, Process, ProcessEntry, Properties, Query, Result, RootFiles, State, Stdio, Stream,
    Summary,
};
use hoist_spec::oci::{LinuxResources, Mount};
use hoist_spec::{ContainerId, ContainerSpec, ExecId, ProcessSpec, Signal};

use crate::cgroup::{Cgroup, CgroupRecord, Version};
use crate::descriptors::{RuntimeDescriptors, Sources};
use crate::exec::{self, LinuxExec};
use crate::execute::{Start, Started, Tracer};
use crate::features::setgroups_denied;
use crate::making::CgroupMaker;
use crate::oom::{oom_kill, too_little_memory};
use crate::plan::{
    CgroupPlace, PID_NAMESPACE, Plan, RunningContainer, RuntimeOptions, plan, plan_process,
};
use crate::process::{LinuxProcess, OnExit, OwnedProcess, not_running, send, timed_out, wait_for};
use crate::process_cgroup::ProcessCgroup;
use crate::process_tree::Tree;
use crate::record::{Folder, Record};
use crate::recorder::{ExecRecorder, FurtherWitness, Recorder};
use crate::root::Root;
use crate::root_facts::RootFacts;
use crate::seccomp_agent::{self, Agent};
use crate::servers::{self, Servers};
use crate::service::{Shared, boot_id, not_found, system};
pub(crate) use crate::waiting::open_process;
use crate::waiting::{OWNER_PATIENCE, Recorded, is_running};
use crate::{intel_rdt, own_root, proc_pid, reaper, removal, start_socket, systemd};

/// How long a container may take to end by force, to freeze, or to thaw.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a container that ends may take from the end of its other processes to that of its first.
const ENDING: Duration = Duration::from_secs(1);
/// A container, opened.
pub(crate) struct LinuxSystem {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: ContainerId,
    pub(crate) spec: ContainerSpec,
    pub(crate) folder: Folder,
    /// What its maker has at hand: the start need not plan again.
    planned: Mutex<Option<Plan>>,
}

impl LinuxSystem {
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: ContainerId,
        spec: ContainerSpec,
        planned: Option<Plan>,
    ) -> Self {
        let folder = shared.folder(&id);
        Self {
            shared,
            id,
            spec,
            folder,
            planned: Mutex::new(planned),
        }
    }

    /// Another handle of the same container.
    pub(crate) fn again(&self) -> Self {
        Self::new(
            self.shared.clone(),
            self.id.clone(),
            self.spec.clone(),
            None,
        )
    }

    pub(crate) fn record(&self) -> Result<Record> {
        self.folder
            .read_record()
            .map_err(|error| not_found(&self.id, &self.folder, error))
    }

    /// Does `work` with what is written down of its first process.
    fn recorded<T>(&self, work: impl FnOnce(Recorded<'_>) -> T) -> T {
        work(Recorded {
            folder: &self.folder,
            read: &|| self.record(),
        })
    }

    pub(crate) fn lock(&self) -> Result<File> {
        self.folder.lock()?.ok_or_else(|| {
            not_found(
                &self.id,
                &self.folder,
                Error::new(ErrorKind::NotFound, Phase::Operate, "open the record"),
            )
        })
    }

    pub(crate) fn plan(&self) -> Result<Plan> {
        let planned = self
            .planned
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        match planned {
            Some(planned) => Ok(planned),
            None => {
                let facts = RootFacts::read(&self.spec).map_err(Error::from)?;
                Ok(plan(&self.id, &self.spec, self.shared.features()?, &facts)?)
            }
        }
    }

    /// The record, the state at this moment, and the cgroup of a container that is alive.
    pub(crate) fn look(&self) -> Result<(Record, State, Option<Cgroup>)> {
        let record = self.record()?;
        if record.exit.is_some() {
            return Ok((record, State::Stopped, None));
        }
        if let Some(owned) = self.shared.owned(&self.id)
            && owned.try_wait()?.is_some()
        {
            return Ok((record, State::Stopped, None));
        }
        if record.process().is_none() {
            return Ok((record, State::Created, None));
        }
        if !is_running(&record)? {
            return Ok((record, State::Stopped, None));
        }
        let cgroup = open_cgroup(&record)?;
        let frozen = match &cgroup {
            Some(cgroup) => cgroup.frozen().map_err(operate)?,
            None => false,
        };
        let awaits_start = record
            .released
            .as_ref()
            .is_some_and(|released| released.awaits_start)
            && start_socket::is_there(self.folder.path());
        let state = match (frozen, awaits_start) {
            (true, _) => State::Paused,
            (false, true) => State::Created,
            (false, false) => State::Running,
        };
        Ok((record, state, cgroup))
    }

    /// As [`Self::look`], of a container whose first process is there and in one of `states`; otherwise the error of `what`.
    pub(crate) fn with_process(
        &self,
        states: &[State],
        what: &str,
    ) -> Result<(Record, Option<Cgroup>)> {
        let (record, state, cgroup) = self.look()?;
        // Created by another program, which has left its process waiting.
        let waits = state == State::Created && record.process().is_some();
        if waits || states.contains(&state) {
            Ok((record, cgroup))
        } else {
            Err(wrong_state(&self.id, what, state))
        }
    }

    /// As [`Self::look`], of a container in one of `states`; otherwise the error of `what`.
    pub(crate) fn in_state(
        &self,
        states: &[State],
        what: &str,
    ) -> Result<(Record, Option<Cgroup>)> {
        let (record, state, cgroup) = self.look()?;
        if states.contains(&state) {
            Ok((record, cgroup))
        } else {
            Err(wrong_state(&self.id, what, state))
        }
    }

    /// The error of `what` for a container that has no cgroup.
    pub(crate) fn no_cgroup(&self, what: &str) -> impl FnOnce() -> Error {
        let operation = format!("{what} container {}", self.id);
        || {
            Error::new(ErrorKind::Unsupported, Phase::Operate, operation)
                .because("it has no cgroup: an ordinary user may make none where none is delegated to it")
                .remedy("start it where one is, as by systemd-run --user --scope -p Delegate=yes, or as root")
        }
    }

    fn on_exit(&self, record: Record) -> OnExit {
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
}

impl ComputeSystem for LinuxSystem {
    fn id(&self) -> &ContainerId {
        &self.id
    }

    fn spec(&self) -> &ContainerSpec {
        &self.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>> {
        let (started, record) = self.launch(stdio, &RuntimeDescriptors::default())?;
        self.own(started, record)
    }

    fn create_process(&self, process: &ProcessSpec, stdio: Stdio) -> Result<Box<dyn Process>> {
        let started = self.launch_process(
            process,
            stdio,
            &RuntimeOptions::default(),
            &RuntimeDescriptors::default(),
        )?;
        self.own_further(started)
    }

    fn create_confined_process(
        &self,
        process: &ProcessSpec,
        confinement: &Confinement,
        stdio: Stdio,
    ) -> Result<Box<dyn Process>> {
        let (_, cgroup) = self.in_state(&[State::Running], "start a process in")?;
        // With nothing but a root of its own it is where every other process of the container is.
        let own = match (
            confinement.root.is_some() && confinement.has_no_bounds(),
            cgroup,
        ) {
            (true, _) => None,
            (false, Some(cgroup)) => {
                let name = ProcessCgroup::new_name();
                let made = ProcessCgroup::make(&cgroup, &name, &confinement.limits)?;
                Some(Arc::new(made))
            }
            (false, None) if confinement.limits == LinuxResources::default() => None,
            (false, None) => return Err(self.no_cgroup("limit a process in")()),
        };
        let further = Further {
            process,
            options: &own_root::options(confinement, own.is_some())?,
            runtime: &RuntimeDescriptors::default(),
            own: own.as_ref().map(|own| &own.0),
        };
        let started = self.launch_further(&further, stdio, None)?;
        let (_, process) = self.own_process(started, None)?;
        let tree = Tree::of(own, confinement);
        Ok(Box::new(process.with_tree(tree, confinement.timeout)?))
    }

    fn create_exec(&self, id: &ExecId, spec: &ExecSpec) -> Result<Box<dyn Exec>> {
        Ok(Box::new(LinuxExec::create(self, id, spec)?))
    }

    fn open_exec(&self, id: &ExecId) -> Result<Box<dyn Exec>> {
        Ok(Box::new(LinuxExec::open(self, id)?))
    }

    fn execs(&self) -> Result<Vec<Summary>> {
        exec::list(self)
    }

    fn pause(&self) -> Result<()> {
        // Whoever resumes it waits until it stands still: a freeze that is taken back half-way is never done.
        let _lock = self.lock()?;
        let (_, cgroup) = self.with_process(&[State::Running], "pause")?;
        let cgroup = cgroup.ok_or_else(self.no_cgroup("pause"))?;
        cgroup.freeze(PATIENCE).map_err(|error| {
            let error = operate(error);
            match self.look() {
                Ok((_, State::Stopped, _)) => {
                    wrong_state(&self.id, "pause", State::Stopped).because(error)
                }
                _ => error,
            }
        })
    }

    fn resume(&self) -> Result<()> {
        let _lock = self.lock()?;
        let (_, cgroup) = self.in_state(&[State::Paused], "resume")?;
        let cgroup = cgroup.ok_or_else(self.no_cgroup("resume"))?;
        cgroup.thaw(PATIENCE).map_err(operate)
    }

    fn modify(&self, resources: &LinuxResources) -> Result<()> {
        let (record, cgroup) = self.with_process(&[State::Running, State::Paused], "update")?;
        let cgroup = cgroup.ok_or_else(self.no_cgroup("update"))?;
        let written = cgroup.modify(resources).map_err(operate)?;
        match &record.created.unit {
            Some(unit) => systemd::update(unit, &written),
            None => Ok(()),
        }
    }

    fn state(&self) -> Result<State> {
        Ok(self.look()?.1)
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let (record, state, cgroup) = self.look()?;
        let alive = has_process(&record, state);
        let exit = match state {
            State::Stopped => self.wait(Some(Duration::ZERO)).ok(),
            _ => None,
        };
        let statistics = match &cgroup {
            Some(cgroup) if query.statistics => Some(cgroup.statistics().map_err(operate)?),
            _ => query.statistics.then(Default::default),
        };
        let processes = match query.processes {
            true if alive => Some(processes(&record, cgroup.as_ref())?),
            true => Some(Vec::new()),
            false => None,
        };
        let arguments = self
            .spec
            .oci
            .process()
            .as_ref()
            .and_then(|process| process.args().clone());
        let summary = Summary {
            id: self.id.clone(),
            state,
            pid: record
                .process()
                .filter(|_| alive)
                .map(|process| process.pid),
            command: arguments.unwrap_or_default(),
            created_at: record.created.created_at,
            started_at: record.released.as_ref().map(|released| released.started_at),
            exit,
        };
        Ok(Properties {
            summary,
            processes,
            statistics,
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(owned) = self.shared.owned(&self.id) {
            return owned.signal(signal);
        }
        let (record, _) = self.with_process(&[State::Running, State::Paused], "signal")?;
        let process = open_process(&record)?.ok_or_else(|| not_running("signal the container"))?;
        send(process.as_fd(), signal)
    }

    fn shutdown(&self) -> Result<()> {
        self.signal(self.spec.stop.signal)
    }

    fn terminate(&self) -> Result<()> {
        let (record, state, cgroup) = self.look()?;
        if !has_process(&record, state) {
            return Ok(());
        }
        let Some(process) = open_process(&record)? else {
            return Ok(());
        };
        let pid = record.process().map_or(0, |process| process.pid);
        let only_by_cgroup = record.created.namespaces & PID_NAMESPACE == 0;
        match cgroup {
            Some(cgroup) if only_by_cgroup || state == State::Paused => {
                cgroup.kill_all(PATIENCE).map_err(operate)?;
            }
            _ => match send(process.as_fd(), Signal::KILL) {
                Err(error) if error.kind() != ErrorKind::InvalidState => return Err(error),
                _ => {}
            },
        }
        if !wait_for(process.as_fd(), Some(PATIENCE))? {
            return Err(timed_out(pid));
        }
        // Where this program is the owner, the exit is written down before the call returns.
        self.shared
            .owned(&self.id)
            .map_or(Ok(()), |owned| owned.try_wait().map(|_| ()))
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        if let Some(owned) = self.shared.owned(&self.id) {
            return owned.wait(timeout);
        }
        self.recorded(|recorded| recorded.wait(timeout))
    }

    fn reset(&self) -> Result<()> {
        let exit = match self.look()? {
            (_, State::Stopped, _) => self.wait(Some(OWNER_PATIENCE))?,
            (_, state, _) => return Err(wrong_state(&self.id, "start again", state)),
        };
        let _lock = self.lock()?;
        // Somebody else may have done it meanwhile.
        let (record, _) = self.in_state(&[State::Stopped], "start again")?;
        removal::remove_cgroup(record.cgroup())?;
        if let Some(process) = record.process() {
            self.folder.begin_again(process, exit)?;
        }
        self.shared
            .owned
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .remove(&self.id);
        Ok(())
    }

    fn add_mount(&self, mount: &Mount) -> Result<()> {
        self.mount_in(mount)
    }

    fn remove_mount(&self, target: &Path) -> Result<()> {
        self.unmount_in(target)
    }

    fn added_mounts(&self) -> Result<Vec<Mount>> {
        self.mounts_in()
    }

    fn files(&self) -> Result<Box<dyn RootFiles + '_>> {
        Ok(Box::new(self.open_files()?))
    }

    fn changes(&self) -> Result<Vec<Change>> {
        self.find_changes()
    }

    fn delete(&self) -> Result<()> {
        let Some(_lock) = self.folder.lock()? else {
            return Ok(());
        };
        match self.look() {
            Ok((record, state, _)) => {
                if has_process(&record, state) {
                    let remedy =
                        format!("stop it first, or force it: hoist rm --force {}", self.id);
                    return Err(wrong_state(&self.id, "delete", state).remedy(remedy));
                }
                match &record.released {
                    Some(released) => {
                        removal::remove_cgroup(released.cgroup.as_ref())?;
                        if record.created.boot_id == boot_id()? {
                            servers::end_all(&released.servers);
                        }
                    }
                    None => removal::remove_intended_cgroup(record.created.cgroup.as_ref())?,
                }
                if let Some(unit) = &record.created.unit {
                    systemd::end(unit, &self.shared.features()?.cgroup);
                }
                if let Some(rdt) = &record.created.rdt {
                    intel_rdt::remove(rdt)?;
                }
            }
            // The making ended before the record was written: then nothing else was made.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.folder.remove()?;
        self.shared
            .owned
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .remove(&self.id);
        Ok(())
    }
}

impl LinuxSystem {
    /// Starts the first process; nobody waits for it yet.
    pub(crate) fn launch(
        &self,
        stdio: Stdio,
        runtime: &RuntimeDescriptors,
    ) -> Result<(Started, Record)> {
        let stdio = with_console_size(&self.spec.oci, stdio)?;
        let _lock = self.lock()?;
        let (mut record, state, _) = self.look()?;
        if state != State::Created || record.process().is_some() {
            return Err(wrong_state(&self.id, "start", state));
        }
        let agent = match runtime.listener {
            None => Agent::connect(&self.spec, || self.oci_state("creating", None))?,
            // Whoever starts it connects.
            Some(_) => seccomp_agent::check(&self.spec).map(|()| None)?,
        };
        let mut tracer = Tracer::new(self.shared.timeline.clone());
        let features = self.shared.features()?;
        let plan = self.shared.faulty(self.plan()?);
        let maker = |planned| CgroupMaker::new(planned, features.own_cgroups());
        let rdt = record.created.rdt.clone();
        if let (Some(rdt), Some(group)) = (&rdt, &plan.rdt) {
            intel_rdt::make(rdt, group)?;
        }
        let mut recorder = Recorder {
            folder: &self.folder,
            plan: &plan,
            cgroup: plan.cgroup.as_ref().map(maker),
            released: None,
            system: self,
            runtime,
            hook_output: None,
            rdt: rdt.as_ref(),
            agent,
            servers: Servers::default(),
        };
        let started = recorder
            .cgroup
            .as_mut()
            .map_or(Ok(()), CgroupMaker::make_birthplace)
            .and_then(|()| recorder.sources().open(plan.early_and_late().0))
            .and_then(|descriptors| {
                tracer.mark("make the birthplace");
                Start {
                    plan: &plan,
                    features: &|| Ok(features),
                    descriptors: &descriptors,
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
            let error = match cgroup.map(too_little_memory) {
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
        Ok((started, record))
    }

    /// Becomes the owner of a further process.
    pub(crate) fn own_further(&self, started: Started) -> Result<Box<dyn Process>> {
        self.own_process(started, None)
            .map(|(_, process)| Box::new(process) as Box<dyn Process>)
    }

    /// Becomes the owner of the first process: it is reaped, and its exit written down.
    pub(crate) fn own(&self, started: Started, record: Record) -> Result<Box<dyn Process>> {
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

    /// Starts a further process; nobody waits for it yet.
    pub(crate) fn launch_process(
        &self,
        process: &ProcessSpec,
        stdio: Stdio,
        options: &RuntimeOptions,
        runtime: &RuntimeDescriptors,
    ) -> Result<Started> {
        let own = match &options.cgroup_below {
            Some(asked) => Some(self.cgroup_below(asked)?),
            None => None,
        };
        let further = Further {
            process,
            options,
            runtime,
            own: own.as_ref(),
        };
        self.launch_further(&further, stdio, None)
    }

    /// The cgroup below the container's that is asked for ([`RuntimeOptions::cgroup_below`]).
    fn cgroup_below(&self, asked: &str) -> Result<Cgroup> {
        let refused = |reason: &str| {
            Error::new(
                ErrorKind::InvalidSpec,
                Phase::Operate,
                format!("start a process in cgroup {asked:?}: {reason}"),
            )
        };
        let (_, cgroup) = self.with_process(&[State::Running], "start a process in")?;
        let mut record = cgroup
            .ok_or_else(self.no_cgroup("start a process in a cgroup of"))?
            .record();
        let (controllers, path) = match asked.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None => (None, asked),
        };
        let path = path.trim_matches('/');
        if path.split('/').any(|part| matches!(part, ".." | ".")) {
            return Err(refused("it is no path below the container's cgroup"));
        }
        let mut is_known = controllers.is_none();
        for directory in &mut record.directories {
            let is_meant = controllers.is_none_or(|controllers| {
                let mut names = controllers.split(',');
                names.any(|name| directory.controllers.iter().any(|known| known == name))
            });
            if is_meant && !path.is_empty() {
                directory.path.push(path);
                directory.identity = None;
            }
            is_known |= is_meant;
        }
        if !is_known {
            return Err(refused("the container has no such controller"));
        }
        let opened = Cgroup::open(&record).map_err(operate)?;
        match opened.directories.len() == record.directories.len() {
            true => Ok(opened),
            false => Err(refused("it does not exist")),
        }
    }

    /// As [`Self::launch_process`]; what becomes of an exec is written down in `record`.
    ///
    /// While the container's processes are moved into a leaf of its cgroup, that takes nobody in (`EBUSY`): then it is tried
    /// again, in the leaf.
    pub(crate) fn launch_further(
        &self,
        further: &Further<'_>,
        mut stdio: Stdio,
        mut record_of_exec: Option<&mut ExecRecorder<'_>>,
    ) -> Result<Started> {
        const TRIES: u32 = 50;
        const PAUSE: Duration = Duration::from_millis(10);
        let mut left = TRIES;
        loop {
            let (record, cgroup) = self.with_process(&[State::Running], "start a process in")?;
            let may_be_moved =
                further.own.is_none() && cgroup.as_ref().is_some_and(gives_controllers);
            let spare = match may_be_moved && left > 0 {
                true => Some(copy_of(&stdio)?),
                false => None,
            };
            let record_of_exec = record_of_exec.as_deref_mut();
            let launched = self.launch_in(&record, cgroup, further, stdio, record_of_exec);
            match (launched, spare) {
                (Err(error), Some(spare))
                    if error.os_code() == Some(OsCode::Errno(libc::EBUSY)) =>
                {
                    stdio = spare;
                    left -= 1;
                    std::thread::sleep(PAUSE);
                }
                (launched, _) => return launched,
            }
        }
    }

    fn launch_in(
        &self,
        record: &Record,
        cgroup: Option<Cgroup>,
        further: &Further<'_>,
        stdio: Stdio,
        record_of_exec: Option<&mut ExecRecorder<'_>>,
    ) -> Result<Started> {
        let first = open_process(record)?.ok_or_else(|| not_running("start a process"))?;
        let leaf = match (&cgroup, further.own) {
            (Some(cgroup), None) => cgroup.leaf().map_err(operate)?,
            _ => None,
        };
        let other = further.own.or(leaf.as_ref());
        let sources = Sources {
            cgroup: other.or(cgroup.as_ref()),
            process: Some(first.as_fd()),
            runtime: further.runtime,
            service: &self.shared,
        };
        let mut container = running_container(record);
        if let Some(other) = other {
            container.cgroup = places(&other.record());
        }
        let place = Place {
            container: &container,
            sources: &sources,
            root: match servers::hide_root(record, &self.shared)? {
                true => {
                    servers::lend_accounts(root_of(record, &first)?, first.as_fd(), &self.shared)?
                }
                false => Root::directory(root_of(record, &first)?),
            },
            pid: record.process().map(|process| process.pid),
        };
        self.start_in(place, further, stdio, record_of_exec)
            .map_err(|error| {
                // What fails while the container ends fails because of that; a process that is ending says so only later.
                let code = error.os_code();
                let is_gone = error.kind() == ErrorKind::InvalidState
                    || code == Some(OsCode::Errno(libc::ESRCH));
                // In a process namespace whose first process is ending, clone(2) fails with ENOMEM.
                let was_killed =
                    matches!(code, Some(OsCode::Errno(libc::ECONNRESET | libc::ENOMEM)));
                let patience = if was_killed { ENDING } else { Duration::ZERO };
                match wait_for(first.as_fd(), Some(patience)) {
                    Ok(ended) if ended || is_gone => {
                        wrong_state(&self.id, "start a process in", State::Stopped).because(error)
                    }
                    _ => error,
                }
            })
    }

    fn start_in(
        &self,
        place: Place<'_>,
        further: &Further<'_>,
        stdio: Stdio,
        record: Option<&mut ExecRecorder<'_>>,
    ) -> Result<Started> {
        let facts =
            RootFacts::read_for_process(&place.root, further.process).map_err(Error::from)?;
        let plan = plan_process(
            &self.spec,
            further.process,
            place.container,
            &facts,
            further.options,
        )?;
        let plan = self.shared.faulty(plan);
        let agent = Agent::connect(&self.spec, || self.oci_state("running", place.pid))?;
        let linux = self.spec.oci.linux().as_ref();
        let rdt = match linux.is_some_and(|linux| linux.intel_rdt().is_some()) {
            true => self.record()?.created.rdt,
            false => None,
        };
        Start {
            plan: &plan,
            features: &|| self.shared.features(),
            descriptors: &place.sources.open(&plan.descriptors)?,
            tracer: &mut Tracer::new(self.shared.timeline.clone()),
            console: None,
            dies_with_owner: false,
            witness: &mut FurtherWitness { agent, record, rdt },
        }
        .run(stdio)
    }
}

/// Whether a cgroup may come to have controllers for others below it, as only one of version 2 without processes may.
fn gives_controllers(cgroup: &Cgroup) -> bool {
    let mut directories = cgroup.directories.iter();
    directories
        .any(|directory| directory.version == Version::V2 && !directory.controllers.is_empty())
}

/// The same streams once more.
fn copy_of(stdio: &Stdio) -> Result<Stdio> {
    let copy = |stream: &Stream| -> Result<Stream> {
        Ok(match stream {
            Stream::Null => Stream::Null,
            Stream::Pipe => Stream::Pipe,
            Stream::Given(file) => Stream::Given(
                file.try_clone()
                    .map_err(|error| system("duplicate a descriptor", error))?,
            ),
        })
    };
    Ok(match stdio {
        Stdio::Console(size) => Stdio::Console(*size),
        Stdio::Streams {
            stdin,
            stdout,
            stderr,
        } => Stdio::Streams {
            stdin: copy(stdin)?,
            stdout: copy(stdout)?,
            stderr: copy(stderr)?,
        },
    })
}

/// A further process that is to be started.
pub(crate) struct Further<'a> {
    pub(crate) process: &'a ProcessSpec,
    pub(crate) options: &'a RuntimeOptions,
    pub(crate) runtime: &'a RuntimeDescriptors,
    /// Its own cgroup within the container's.
    pub(crate) own: Option<&'a Cgroup>,
}

/// Where a further process is started.
struct Place<'a> {
    container: &'a RunningContainer,
    sources: &'a Sources<'a>,
    root: Root,
    /// The container's first process.
    pid: Option<u32>,
}

pub(crate) fn running_container(record: &Record) -> RunningContainer {
    RunningContainer {
        setgroups_denied: setgroups_denied(),
        namespaces: record.created.namespaces,
        id_maps: record.created.id_maps.clone(),
        cgroup: record.cgroup().map(places).unwrap_or_default(),
    }
}

fn places(cgroup: &CgroupRecord) -> Vec<CgroupPlace> {
    let directories = cgroup.directories.iter();
    directories
        .map(|directory| CgroupPlace {
            directory: directory.path.display().to_string(),
            version: directory.version,
        })
        .collect()
}

/// Whether the first process of a container in this state lives.
pub(crate) fn has_process(record: &Record, state: State) -> bool {
    match state {
        State::Running | State::Paused => true,
        State::Created => record.process().is_some(),
        State::Stopped => false,
    }
}

/// The root that the container's first process sees.
pub(crate) fn root_of(record: &Record, first: &OwnedFd) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let pid = record.process().map_or(0, |process| process.pid);
    let path = format!("/proc/{pid}/root");
    let root = rustix::fs::open(
        &path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| match errno {
        // An ending process lets go of its root before its end is told.
        rustix::io::Errno::NOENT | rustix::io::Errno::SRCH => {
            not_running("open the container's root")
        }
        errno => system(format!("open {path}"), errno.into()),
    })?;
    // The process held by the pidfd still lives, so the path was its own.
    match wait_for(first.as_fd(), Some(Duration::ZERO))? {
        false => Ok(root),
        true => Err(not_running("open the container's root")),
    }
}

pub(crate) fn open_cgroup(record: &Record) -> Result<Option<Cgroup>> {
    record
        .cgroup()
        .map(Cgroup::open)
        .transpose()
        .map_err(operate)
}

pub(crate) fn operate(error: crate::cgroup::CgroupError) -> Error {
    error.into_error(Phase::Operate)
}

fn processes(record: &Record, cgroup: Option<&Cgroup>) -> Result<Vec<ProcessEntry>> {
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

pub(crate) fn wrong_state(id: &ContainerId, what: &str, state: State) -> Error {
    let state = match state {
        State::Created => "created and not started",
        State::Running => "running",
        State::Paused => "paused",
        State::Stopped => "stopped",
    };
    Error::new(
        ErrorKind::InvalidState,
        Phase::Operate,
        format!("{what} container {id}: it is {state}"),
    )
    .about(id.as_str())
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
