//! A further process of a container as an object: recorded below the container's folder, as the container is.

use std::collections::HashMap;
use std::fs;
use std::os::fd::AsFd;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use hoist_compute::{
    Error, ErrorKind, Exec, ExecSpec, ExitStatus, Phase, Process, Properties, Query, Result, State,
    Stdio, Summary,
};
use hoist_spec::oci::LinuxResources;
use hoist_spec::{ContainerId, ExecId, Signal};

use crate::cgroup::{Cgroup, CgroupRecord};
use crate::descendants;
use crate::descriptors::RuntimeDescriptors;
use crate::oom::oom_kill_of_process;
use crate::own_root;
use crate::process::{OnExit, OwnedProcess, not_running, send};
use crate::process_cgroup::ProcessCgroup;
use crate::process_tree::Tree;
use crate::record::{Created, Folder, Record};
use crate::recorder::ExecRecorder;
use crate::removal;
use crate::service::{boot_id, system};
use crate::system::{Further, LinuxSystem, entries, open_cgroup, operate};
use crate::waiting::{Recorded, is_running, open_process};

/// How long its end by force may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many execs of a container that have ended are kept.
const MOST_ENDED: usize = 1000;
/// How many there may be before the oldest are forgotten: so that not every new one has to look at all.
const MOST: usize = MOST_ENDED + 100;

/// An exec, opened.
pub(crate) struct LinuxExec {
    container: LinuxSystem,
    id: ExecId,
    spec: ExecSpec,
    folder: Folder,
}

impl LinuxExec {
    /// Writes one down.
    pub(crate) fn create(container: &LinuxSystem, id: &ExecId, spec: &ExecSpec) -> Result<Self> {
        let record = container.record()?;
        let execs = container.folder.execs();
        match fs::create_dir(&execs) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(system("make an exec", error));
            }
            _ => {}
        }
        forget_oldest(container)?;
        let folder = Folder::of(&execs, id);
        let _making = folder.make("exec", id)?;
        let mut created = Created::new(id, boot_id()?);
        // By name, so that one that a crash has left is found.
        created.cgroup = record.cgroup().map(|cgroup| cgroup.below(&cgroup_name(id)));
        folder
            .write_created(serde_json::to_string(spec), &created)
            .inspect_err(|_| drop(folder.remove()))?;
        Ok(Self::new(container, id, spec.clone(), folder))
    }

    /// Opens one that is written down.
    pub(crate) fn open(container: &LinuxSystem, id: &ExecId) -> Result<Self> {
        let folder = Folder::of(&container.folder.execs(), id);
        let spec = folder
            .read_exec_spec()
            .map_err(|error| no_such_exec(id, error))?;
        Ok(Self::new(container, id, spec, folder))
    }

    fn new(container: &LinuxSystem, id: &ExecId, spec: ExecSpec, folder: Folder) -> Self {
        Self {
            container: container.again(),
            id: id.clone(),
            spec,
            folder,
        }
    }

    fn record(&self) -> Result<Record> {
        self.folder
            .read_record()
            .map_err(|error| no_such_exec(&self.id, error))
    }

    fn key(&self) -> (ContainerId, ExecId) {
        (self.container.id.clone(), self.id.clone())
    }

    fn all_owned(&self) -> MutexGuard<'_, HashMap<(ContainerId, ExecId), Arc<OwnedProcess>>> {
        let owned = &self.container.shared.owned_execs;
        owned.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// The process, where this program has started it and it has not ended.
    fn owned(&self) -> Option<Arc<OwnedProcess>> {
        self.all_owned().get(&self.key()).cloned()
    }

    fn look(&self) -> Result<(Record, State)> {
        let record = self.record()?;
        if record.exit.is_some() {
            return Ok((record, State::Stopped));
        }
        if record.process().is_none() {
            return Ok((record, State::Created));
        }
        let has_ended = match self.owned() {
            Some(owned) => owned.try_wait()?.is_some(),
            None => !is_running(&record)?,
        };
        let state = match has_ended {
            true => State::Stopped,
            false => match self.container.look()?.1 {
                State::Paused => State::Paused,
                _ => State::Running,
            },
        };
        Ok((record, state))
    }

    /// Its own cgroup within that of its container; none where that has none and nothing asks for one.
    fn make_cgroup(&self, container: Option<&Cgroup>) -> Result<Option<Arc<ProcessCgroup>>> {
        let confinement = &self.spec.confinement;
        match container {
            Some(container) => {
                let name = cgroup_name(&self.id);
                let made = ProcessCgroup::make(container, &name, &confinement.limits)?;
                Ok(Some(Arc::new(made)))
            }
            None if confinement.limits == LinuxResources::default() => Ok(None),
            None => Err(self.container.no_cgroup("limit a process in")()),
        }
    }

    /// What is done when its process has ended.
    fn on_exit(&self, own: Option<Arc<ProcessCgroup>>, container: Option<Cgroup>) -> OnExit {
        let (folder, shared, key) = (
            self.folder.clone(),
            self.container.shared.clone(),
            self.key(),
        );
        Box::new(move |mut status| {
            if status.signal == Some(Signal::KILL)
                && let Some(own) = &own
            {
                status.oom = oom_kill_of_process(&own.0, container.as_ref());
            }
            // The container may be gone by now, removed by force; then nobody asks for the status again.
            let status = folder.write_exit(&status).unwrap_or(status);
            let owned = shared.owned_execs.lock();
            owned
                .unwrap_or_else(|poison| poison.into_inner())
                .remove(&key);
            status
        })
    }
}

impl Exec for LinuxExec {
    fn id(&self) -> &ExecId {
        &self.id
    }

    fn spec(&self) -> &ExecSpec {
        &self.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>> {
        let Some(_lock) = self.folder.lock()? else {
            return self.record().and(Err(not_running("start the exec")));
        };
        let (_, state) = self.look()?;
        if state != State::Created {
            return Err(wrong_state(&self.id, "start", state));
        }
        let running = self
            .container
            .in_state(&[State::Running], "start a process in");
        let (_, cgroup) = running?;
        let own = self.make_cgroup(cgroup.as_ref())?;
        let own_cgroup = own.as_ref().map(|own| &own.0);
        let mut recorder = ExecRecorder::new(&self.folder, own_cgroup.map(Cgroup::record));
        let options = own_root::options(&self.spec.confinement, own.is_some())?;
        let further = Further {
            process: &self.spec.process,
            options: &options,
            runtime: &RuntimeDescriptors::default(),
            own: own_cgroup,
        };
        let started = self
            .container
            .launch_further(&further, stdio, Some(&mut recorder))
            .inspect_err(|_| self.folder.forget_released())?;
        let on_exit = self.on_exit(own.clone(), cgroup);
        // Held while it is noted: one that ends at once takes itself out after that.
        let mut all = self.all_owned();
        let (owned, process) = self.container.own_process(started, Some(on_exit))?;
        all.insert(self.key(), owned.clone());
        drop(all);
        let tree = Tree::of(own, &self.spec.confinement);
        Ok(Box::new(
            process.with_tree(tree, self.spec.confinement.timeout)?,
        ))
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let (record, state) = self.look()?;
        let alive = matches!(state, State::Running | State::Paused);
        let cgroup = match &record.released {
            Some(_) if query.statistics || query.processes => open_cgroup(&record)?,
            _ => None,
        };
        let process = record.process().filter(|_| alive);
        let processes = match (query.processes, &cgroup) {
            (false, _) => None,
            (true, Some(cgroup)) => Some(entries(&cgroup.pids().map_err(operate)?)?),
            (true, None) => {
                let pid: Vec<u32> = process.iter().map(|process| process.pid).collect();
                Some(entries(&pid)?)
            }
        };
        let statistics = match &cgroup {
            Some(cgroup) if query.statistics => Some(cgroup.statistics().map_err(operate)?),
            _ => query.statistics.then(Default::default),
        };
        let exit = match state {
            State::Stopped => self.wait(Some(Duration::ZERO)).ok(),
            _ => None,
        };
        Ok(Properties {
            summary: Summary {
                id: self.id.clone(),
                state,
                pid: process.map(|process| process.pid),
                command: self.spec.process.oci.args().clone().unwrap_or_default(),
                created_at: record.created.created_at,
                started_at: record.released.as_ref().map(|released| released.started_at),
                exit,
            },
            processes,
            statistics,
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(owned) = self.owned() {
            return owned.signal(signal);
        }
        let (record, state) = self.look()?;
        if !matches!(state, State::Running | State::Paused) {
            return Err(wrong_state(&self.id, "signal", state));
        }
        let process = open_process(&record)?.ok_or_else(|| not_running("signal the process"))?;
        send(process.as_fd(), signal)
    }

    fn terminate(&self) -> Result<()> {
        let (record, state) = self.look()?;
        if record.released.is_none() {
            return Ok(());
        }
        match open_cgroup(&record)? {
            Some(cgroup) => cgroup.kill_all(PATIENCE).map_err(operate)?,
            None if state == State::Stopped => {}
            None if self.spec.confinement.timeout.is_some() => {
                if let (Some(process), Some(held)) = (record.process(), open_process(&record)?) {
                    descendants::end(held.as_fd(), process.pid)?;
                }
            }
            None => match self.signal(Signal::KILL) {
                Err(error) if error.kind() != ErrorKind::InvalidState => return Err(error),
                _ => {}
            },
        }
        self.wait(Some(PATIENCE)).map(drop)
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        if let Some(owned) = self.owned() {
            return owned.wait(timeout);
        }
        Recorded {
            folder: &self.folder,
            read: &|| self.record(),
        }
        .wait(timeout)
    }

    fn delete(&self) -> Result<()> {
        let Some(_lock) = self.folder.lock()? else {
            return Ok(());
        };
        match self.look() {
            Ok((_, state @ (State::Running | State::Paused))) => {
                return Err(wrong_state(&self.id, "delete", state)
                    .remedy("stop it first, or force it: hoist process rm --force"));
            }
            Ok((record, _)) => remove_cgroup(record.cgroup())?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.folder.remove()
    }
}

/// Removes a cgroup that an owner has not lived to remove. What is in use, by what the exec has left behind, goes with the
/// container's.
fn remove_cgroup(cgroup: Option<&CgroupRecord>) -> Result<()> {
    let unused = cgroup.filter(|cgroup| {
        let directories = &cgroup.directories;
        directories.iter().any(|directory| directory.path.exists())
    });
    match unused.map(Cgroup::open).transpose().map_err(operate)? {
        Some(cgroup) if cgroup.pids().map_err(operate)?.is_empty() => {
            removal::remove_intended_cgroup(unused)
        }
        _ => Ok(()),
    }
}

/// The container's execs, in the order in which they were made.
pub(crate) fn list(container: &LinuxSystem) -> Result<Vec<Summary>> {
    let mut found = Vec::new();
    for id in ids(container)? {
        let summary = LinuxExec::open(container, &id)
            .and_then(|exec| exec.properties(Query::default()))
            .map(|properties| properties.summary);
        match summary {
            Ok(summary) => found.push(summary),
            // Being made or removed at this moment.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by_key(|summary| summary.created_at);
    Ok(found)
}

fn ids(container: &LinuxSystem) -> Result<Vec<ExecId>> {
    // The container itself must be there.
    container.record()?;
    let failed = |error| system("list the execs", error);
    let entries = match fs::read_dir(container.folder.execs()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        ids.extend(name.to_str().and_then(|name| name.parse::<ExecId>().ok()));
    }
    Ok(ids)
}

fn forget_oldest(container: &LinuxSystem) -> Result<()> {
    if ids(container)?.len() < MOST {
        return Ok(());
    }
    let mut ended = list(container)?;
    ended.retain(|summary| summary.exit.is_some());
    let surplus = ended.len().saturating_sub(MOST_ENDED);
    for summary in ended.iter().take(surplus) {
        match LinuxExec::open(container, &summary.id).and_then(|exec| exec.delete()) {
            // Somebody else has just forgotten it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

fn cgroup_name(id: &ExecId) -> String {
    format!("exec-{id}")
}

fn no_such_exec(id: &ExecId, error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let operation = format!("no such exec: {id}");
    Error::new(ErrorKind::NotFound, Phase::Operate, operation).about(id.as_str())
}

fn wrong_state(id: &ExecId, what: &str, state: State) -> Error {
    let state = match state {
        State::Created => "not started",
        State::Running => "running",
        State::Paused => "paused",
        State::Stopped => "ended",
    };
    let operation = format!("{what} exec {id}: it is {state}");
    Error::new(ErrorKind::InvalidState, Phase::Operate, operation).about(id.as_str())
}
