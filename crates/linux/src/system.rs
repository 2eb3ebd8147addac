//! One container: the contract's operations on it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hoist_compute::{
    Change, ComputeSystem, Confinement, Error, ErrorKind, Exec, ExecSpec, ExitStatus, Phase,
    Process, Properties, Query, Result, RootFiles, State, Statistics, Stdio, Summary,
};
use hoist_spec::oci::{LinuxResources, Mount};
use hoist_spec::{ContainerId, ContainerSpec, ExecId, ProcessSpec, Signal};

use crate::cgroup::limits::refuse_device_rules;
use crate::cgroup::{Cgroup, DeviceControl, plan_limits};
use crate::descriptors::RuntimeDescriptors;
use crate::exec::{self, LinuxExec};
use crate::own_run::OwnRun;
use crate::plan::{PID_NAMESPACE, Plan, RuntimeOptions};
use crate::process::{not_running, send, timed_out, wait_for};
use crate::process_cgroup::ProcessCgroup;
use crate::process_tree::Tree;
use crate::record::{Created, Folder, Making, Record};
use crate::service::{Shared, boot_id, not_found};
pub(crate) use crate::waiting::open_process;
use crate::waiting::{OWNER_PATIENCE, Recorded, is_running};
use crate::{intel_rdt, network_usage, own_root, removal, servers, start_socket, systemd};

mod further;
mod processes;
mod start;

pub(crate) use further::{Further, root_of, running_container};
pub(crate) use processes::entries;
use processes::processes;

/// How long a container may take to end by force, to freeze, or to thaw.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container, opened.
pub(crate) struct LinuxSystem {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: ContainerId,
    pub(crate) spec: Arc<ContainerSpec>,
    pub(crate) folder: Folder,
    prepared: Mutex<Prepared>,
}

/// What its maker has at hand for the start.
#[derive(Default)]
pub(crate) struct Prepared {
    /// It need not be planned again.
    pub(crate) plan: Option<Plan>,
    /// It is not written down yet.
    pub(crate) unwritten: Option<Unwritten>,
    /// It was started by its maker.
    pub(crate) own_run: Option<OwnRun>,
}

/// A container that nobody else knows.
pub(crate) struct Unwritten {
    pub(crate) created: Created,
    /// Held until it is written down: without it, the folder counts as left by a crash.
    pub(crate) making: Making,
}

impl LinuxSystem {
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: ContainerId,
        spec: Arc<ContainerSpec>,
        prepared: Prepared,
    ) -> Self {
        let folder = shared.folder(&id);
        Self {
            shared,
            id,
            spec,
            folder,
            prepared: Mutex::new(prepared),
        }
    }

    /// Another handle of the same container.
    pub(crate) fn again(&self) -> Self {
        Self::new(
            self.shared.clone(),
            self.id.clone(),
            self.spec.clone(),
            Prepared::default(),
        )
    }

    fn prepared(&self) -> MutexGuard<'_, Prepared> {
        self.prepared
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Keeps others from starting or removing the container meanwhile; `None` where it is gone. One that is not written down is given up:
    /// its maker has the lock.
    fn lock_folder(&self) -> Result<Option<File>> {
        drop(self.prepared().unwritten.take());
        self.folder.lock()
    }

    /// What this program knows of the container without reading it, where that has ended and is locked now.
    fn end_of_own_run(&self) -> Result<Option<(File, Arc<Record>)>> {
        let own_run = self.prepared().own_run.take();
        match (own_run, self.shared.owned(&self.id)) {
            (Some(own_run), Some(owned)) if owned.try_wait()?.is_some() => {
                own_run.end(&self.folder)
            }
            _ => Ok(None),
        }
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
        self.lock_folder()?.ok_or_else(|| {
            not_found(
                &self.id,
                &self.folder,
                Error::new(ErrorKind::NotFound, Phase::Operate, "open the record"),
            )
        })
    }

    /// The record, the state at this moment, and the cgroup of a container that is alive.
    pub(crate) fn look(&self) -> Result<(Record, State, Option<Cgroup>)> {
        let record = self.record()?;
        if record.exit.is_some() {
            return Ok((record, State::Stopped, None));
        }
        let Some(process) = record.process() else {
            return Ok((record, State::Created, None));
        };
        // Another program may have started it once more.
        if let Some(owned) = self.shared.owned(&self.id)
            && owned.pid == process.pid
            && owned.try_wait()?.is_some()
        {
            return Ok((record, State::Stopped, None));
        }
        if !is_running(&record)? {
            return Ok((record, State::Stopped, None));
        }
        let cgroup = open_cgroup(&record)?;
        let frozen = match cgroup.as_ref().map(Cgroup::frozen) {
            // It has ended since, and its cgroup is gone: systemd removes one with its last process.
            Some(Err(_)) if !is_running(&record)? => return Ok((record, State::Stopped, None)),
            Some(looked) => looked.map_err(operate)?,
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

    /// Whether a start with these limits could have them.
    fn check_limits(&self, spec: &ContainerSpec, changed: &LinuxResources) -> Result<()> {
        let refused = |error| operate(crate::cgroup::CgroupError::from(error));
        refuse_device_rules(changed).map_err(refused)?;
        let resources = spec.oci.linux().as_ref();
        let resources = resources.and_then(|linux| linux.resources().clone());
        let own = self.shared.features()?.own_cgroups();
        plan_limits(&resources.unwrap_or_default(), own, DeviceControl::Leave)
            .map(drop)
            .map_err(refused)
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
            match self.look() {
                // Of a cgroup without processes the kernel never says that it stands still.
                Ok((_, State::Stopped, _)) => wrong_state(&self.id, "pause", State::Stopped),
                _ => operate(error),
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
        // Whoever starts it once more, or looks at its spec, finds them.
        let _lock = self.lock()?;
        let (record, state, cgroup) = self.look()?;
        let changed = || {
            self.folder
                .read_spec()?
                .with_resources(resources)
                .map_err(unwritable)
        };
        if !has_process(&record, state) {
            let changed = changed()?;
            self.check_limits(&changed, resources)?;
            // It was made with others.
            self.prepared().plan.take();
            return self.folder.draft_spec(changed.to_json())?.publish();
        }
        let cgroup = cgroup.ok_or_else(self.no_cgroup("update"))?;
        let spec = self.folder.draft_spec(changed()?.to_json())?;
        let written = cgroup.modify(resources).map_err(operate)?;
        spec.publish()?;
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
        let mut statistics = match &cgroup {
            Some(cgroup) if query.statistics => Some(cgroup.statistics().map_err(operate)?),
            _ => query.statistics.then(Statistics::default),
        };
        if let (Some(statistics), Some(process), true) = (&mut statistics, record.process(), alive)
        {
            statistics.network = network_usage::of(process.pid);
        }
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
        if let Some(owned) = self.shared.owned(&self.id)
            && owned.try_wait()?.is_none()
        {
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
        if let Some(released) = &record.released {
            self.folder.begin_again(released, exit)?;
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
        let (_lock, looked) = match self.end_of_own_run()? {
            Some((lock, record)) => (lock, Ok((record, State::Stopped))),
            None => {
                let Some(lock) = self.lock_folder()? else {
                    return Ok(());
                };
                let looked = self.look();
                (
                    lock,
                    looked.map(|(record, state, _)| (Arc::new(record), state)),
                )
            }
        };
        match looked {
            Ok((record, state)) => {
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

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::InvalidSpec,
        Phase::Operate,
        "change the limits of the spec",
    )
    .because(error)
}

/// Whether the first process of a container in this state lives.
pub(crate) fn has_process(record: &Record, state: State) -> bool {
    match state {
        State::Running | State::Paused => true,
        State::Created => record.process().is_some(),
        State::Stopped => false,
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
