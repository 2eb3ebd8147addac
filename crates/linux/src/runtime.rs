//! What an OCI runtime does with containers beyond the contract: `create` and `start` by two processes, processes that nobody
//! here waits for, hooks, and the state that callers read (OCI runtime spec, "Runtime and Lifecycle").
//!
//! A container's process is a child of whoever creates it and, that one gone, of its nearest subreaper, which is its owner
//! then: nothing here records how it ended.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hoist_compute::{
    ComputeSystem, Error, ErrorKind, Phase, Process, Properties, Query, Result, State, Stdio,
    Timestamp,
};
use hoist_init::wire::MessageKind;
use hoist_spec::oci::{Hook, LinuxResources};
use hoist_spec::{ContainerId, ContainerSpec, ProcessSpec, Signal};

use crate::LinuxService;
use crate::cgroup::Cgroup;
use crate::cgroup::usage::Usage;
pub use crate::checkpoint::{
    CheckpointOptions, Criu, CriuOptions, ManageCgroups, PageServer, RestoreOptions,
    main_if_called_by_criu,
};
use crate::descriptors::RuntimeDescriptors;
use crate::execute::{Started, control::Control};
pub use crate::hooks::OciState;
use crate::plan::explain_late;
pub use crate::plan::{MOST_PRESERVED, RuntimeOptions, session_keyring};
use crate::process::send;
use crate::record::{Created, Record};
use crate::recorder::hand_to_agent;
pub use crate::runtime_features::{
    MEMORY_POLICY_FLAGS, MEMORY_POLICY_MODES, SECCOMP_ACTIONS, SECCOMP_ARCHITECTURES,
    SECCOMP_FLAGS, SECCOMP_OPERATORS, capability_names, mount_options,
};
use crate::seccomp_agent::Agent;
pub use crate::service::Recording;
use crate::service::system;
use crate::system::{LinuxSystem, has_process, open_process, operate, wrong_state};
use crate::{hooks, proc_pid, start_socket};

/// How long killing every process of a container may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that was started and is left to whoever reaps it.
#[derive(Debug)]
pub struct Launched {
    /// Its id on this machine.
    pub pid: u32,
    /// The controlling side of its console, where it has one.
    pub console: Option<File>,
}

/// A container made from a bundle, and where that was, as soon as it is known.
pub struct RuntimeContainer(LinuxSystem, OnceLock<PathBuf>);

impl LinuxService {
    /// Makes a container from `spec`, which was read from `bundle` (an absolute path); its process is not started. Where it is not written
    /// down now, its start comes next, and where that fails it may be gone.
    ///
    /// # Errors
    ///
    /// As [`ComputeService::create`](hoist_compute::ComputeService::create).
    pub fn create_from_bundle(
        &self,
        id: &ContainerId,
        spec: ContainerSpec,
        bundle: &Path,
        options: &RuntimeOptions,
        recording: Recording,
    ) -> Result<RuntimeContainer> {
        self.create_for_runtime(id, Arc::new(spec), Some(bundle), options, recording)
            .map(|system| RuntimeContainer(system, OnceLock::from(bundle.to_owned())))
    }

    /// Opens a container that any process has made.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none.
    pub fn open_for_runtime(&self, id: &ContainerId) -> Result<RuntimeContainer> {
        Ok(RuntimeContainer(self.open_system(id)?, OnceLock::new()))
    }
}

impl LinuxService {
    /// The folder in which a container of this id is recorded, whether or not there is one. Files of the caller's in it are
    /// removed with the container.
    pub fn folder_of(&self, id: &ContainerId) -> PathBuf {
        self.0.folder(id).path().to_owned()
    }
}

impl RuntimeContainer {
    /// Its spec.
    pub fn spec(&self) -> &ContainerSpec {
        &self.0.spec
    }

    /// Starts its process up to the point where [`RuntimeContainer::start`], of any process, executes the program; the container
    /// must have been made with [`RuntimeOptions::await_start`]. The hooks of before the start are run.
    ///
    /// # Errors
    ///
    /// As [`ComputeSystem::start`]; a program that cannot be found or executed is told here already.
    pub fn prepare(&self, stdio: Stdio, preserved: Vec<OwnedFd>) -> Result<Launched> {
        let descriptors = RuntimeDescriptors {
            listener: Some(start_socket::make(self.0.folder.path())?),
            preserved,
        };
        let (started, _) = self.0.launch(stdio, &descriptors)?;
        Ok(launched(started))
    }

    /// Starts its program at once, for a caller that does not stay.
    ///
    /// # Errors
    ///
    /// As [`ComputeSystem::start`].
    pub fn start_detached(&self, stdio: Stdio, preserved: Vec<OwnedFd>) -> Result<Launched> {
        let (started, _) = self.0.launch(stdio, &with_preserved(preserved))?;
        Ok(launched(started))
    }

    /// Starts its program at once; this program becomes its owner.
    ///
    /// # Errors
    ///
    /// As [`ComputeSystem::start`].
    pub fn start_owned(&self, stdio: Stdio, preserved: Vec<OwnedFd>) -> Result<Box<dyn Process>> {
        let (started, record) = self.0.launch(stdio, &with_preserved(preserved))?;
        self.0.own(started, record)
    }

    /// What it uses, in every detail that its cgroup keeps; nothing where it has none.
    ///
    /// # Errors
    ///
    /// `System` where a file of the cgroup cannot be read.
    pub fn usage(&self) -> Result<Usage> {
        let (_, _, cgroup) = self.0.look()?;
        match cgroup {
            Some(cgroup) => cgroup.usage().map_err(operate),
            None => Ok(Usage::default()),
        }
    }

    /// Has criu write the container down. Unless it is left running, its processes are gone afterwards.
    ///
    /// # Errors
    ///
    /// `InvalidState` where it does not run; `Unsupported` where criu cannot do it on this host or with this spec; what criu
    /// says where it fails: the container goes on then.
    pub fn checkpoint(&self, criu: &Criu, options: &CheckpointOptions) -> Result<()> {
        self.0.checkpoint(criu, options)
    }

    /// Has criu make its processes from a checkpoint, for a caller that does not stay. Standard streams that were the caller's
    /// are taken from `stdio`.
    ///
    /// # Errors
    ///
    /// `Unsupported` where criu cannot do it on this host or with this spec; `PermissionDenied` where others may have written
    /// the checkpoint, or where what it holds is isolated less than the spec asks for; what criu says where it fails. No process
    /// is left then.
    pub fn restore_detached(
        &self,
        criu: &Criu,
        options: &RestoreOptions,
        stdio: Stdio,
    ) -> Result<Launched> {
        let (started, _) = self.0.restore(criu, options, stdio)?;
        Ok(launched(started))
    }

    /// As [`RuntimeContainer::restore_detached`]; this program becomes its owner.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn restore_owned(
        &self,
        criu: &Criu,
        options: &RestoreOptions,
        stdio: Stdio,
    ) -> Result<Box<dyn Process>> {
        self.0.restore_owned(criu, options, stdio)
    }

    /// Has the waiting process execute its program.
    ///
    /// # Errors
    ///
    /// `InvalidState` where the container is not created, or was started before; in [`Phase::Execute`] where the program cannot be
    /// executed: the container is stopped then.
    pub fn start(&self) -> Result<()> {
        let _lock = self.0.lock()?;
        let (record, state, _) = self.0.look()?;
        if state != State::Created || record.process().is_none() {
            return Err(wrong_state(&self.0.id, "start", state));
        }
        let folder = self.0.folder.path();
        let Some(socket) = start_socket::connect_to(folder)? else {
            // Whoever started it did not live to say so.
            start_socket::remove(folder)?;
            return Err(wrong_state(&self.0.id, "start", self.0.look()?.1));
        };
        let pid = record.process().map(|process| process.pid);
        let agent = Agent::connect(&self.0.spec, || self.0.oci_state("created", pid))?;
        let control = Control::from(socket);
        control
            .go()
            .map_err(|error| system("let the process go", error))?;
        let outcome = self.follow(&control, pid, agent);
        start_socket::remove(folder)?;
        outcome.map_err(|error| match self.terminate() {
            Ok(()) => error,
            Err(other) => error.because(format!("and the process cannot be ended: {other}")),
        })
    }

    /// Listens to the process until it has executed its program or failed; its agent gets the listener of its filter.
    fn follow(
        &self,
        control: &Control,
        pid: Option<u32>,
        mut agent: Option<Agent<'_>>,
    ) -> Result<()> {
        loop {
            let received = control
                .receive()
                .map_err(|error| system("listen to the process", error))?;
            match (received, pid) {
                (None, _) => return Ok(()),
                (Some((message, Some(listener))), Some(pid))
                    if message.kind == MessageKind::Listener =>
                {
                    hand_to_agent(agent.take(), pid, listener)?;
                }
                (Some((message, _)), _) if message.kind == MessageKind::Failed => {
                    return Err(explain_late(
                        &message,
                        self.0.spec.oci.process().as_ref(),
                        self.0.shared.features()?,
                    ));
                }
                _ => {
                    return Err(Error::new(
                        ErrorKind::System,
                        Phase::Start,
                        "listen to the process: it says what it should not",
                    ));
                }
            }
        }
    }

    /// Starts a further process, which is left to whoever reaps it.
    ///
    /// # Errors
    ///
    /// As [`ComputeSystem::create_process`].
    pub fn exec_detached(
        &self,
        process: &ProcessSpec,
        stdio: Stdio,
        options: &RuntimeOptions,
        preserved: Vec<OwnedFd>,
    ) -> Result<Launched> {
        self.0
            .launch_process(process, stdio, options, &with_preserved(preserved))
            .map(launched)
    }

    /// Starts a further process that this program owns.
    ///
    /// # Errors
    ///
    /// As [`ComputeSystem::create_process`].
    pub fn exec_owned(
        &self,
        process: &ProcessSpec,
        stdio: Stdio,
        options: &RuntimeOptions,
        preserved: Vec<OwnedFd>,
    ) -> Result<Box<dyn Process>> {
        let started = self
            .0
            .launch_process(process, stdio, options, &with_preserved(preserved))?;
        self.0.own_further(started)
    }

    /// Its state at this moment, as callers and hooks read it.
    ///
    /// # Errors
    ///
    /// `NotFound` where it is gone; a record that cannot be read.
    pub fn oci_state(&self) -> Result<OciState> {
        let (record, state, _) = self.0.look()?;
        let pid = record
            .process()
            .filter(|_| has_process(&record, state))
            .map(|process| process.pid);
        let state = self.0.oci_state_of(record.created, status_name(state), pid);
        self.1.get_or_init(|| state.bundle.clone());
        Ok(state)
    }

    /// Its state once it is removed.
    pub fn stopped_state(&self) -> OciState {
        OciState {
            oci_version: self.0.spec.oci.version().clone(),
            id: self.0.id.to_string(),
            status: status_name(State::Stopped),
            pid: None,
            bundle: self.1.get().cloned().unwrap_or_default(),
            annotations: self.0.spec.oci.annotations().clone().unwrap_or_default(),
        }
    }

    /// When it was made.
    ///
    /// # Errors
    ///
    /// As [`RuntimeContainer::oci_state`].
    pub fn created_at(&self) -> Result<Timestamp> {
        Ok(self.0.record()?.created.created_at)
    }

    /// What it is doing.
    ///
    /// # Errors
    ///
    /// As [`ComputeSystem::properties`].
    pub fn properties(&self, query: Query) -> Result<Properties> {
        self.0.properties(query)
    }

    /// The processes in its cgroup, as the host numbers them.
    ///
    /// # Errors
    ///
    /// The cgroup cannot be read.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let record = self.0.record()?;
        match made_cgroup(&record)? {
            Some(cgroup) => cgroup.pids().map_err(operate),
            None => Ok(self.oci_state()?.pid.into_iter().collect()),
        }
    }

    /// Sends `signal` to its first process; as [`ComputeSystem::signal`].
    ///
    /// # Errors
    ///
    /// `InvalidState` where it has none.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.0.signal(signal)
    }

    /// Sends `signal` to every process in its cgroup, whether or not the first one lives.
    ///
    /// # Errors
    ///
    /// The cgroup cannot be read, or a process cannot be signalled.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        let record = self.0.record()?;
        let Some(cgroup) = made_cgroup(&record)? else {
            return self.0.signal(signal);
        };
        if signal == Signal::KILL {
            return cgroup.kill_all(PATIENCE).map_err(operate);
        }
        for pid in cgroup.pids().map_err(operate)? {
            let Some(pidfd) =
                proc_pid::open(pid).map_err(|error| system("open a process", error))?
            else {
                continue;
            };
            // Held fast now: if the number is still in the cgroup, the process is the one that was meant.
            if cgroup.pids().map_err(operate)?.contains(&pid) {
                match send(pidfd.as_fd(), signal) {
                    Err(error) if error.kind() != ErrorKind::InvalidState => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// As [`ComputeSystem::pause`].
    ///
    /// # Errors
    ///
    /// `InvalidState` where it does not run.
    pub fn pause(&self) -> Result<()> {
        self.0.pause()
    }

    /// As [`ComputeSystem::resume`].
    ///
    /// # Errors
    ///
    /// `InvalidState` where it is not paused.
    pub fn resume(&self) -> Result<()> {
        self.0.resume()
    }

    /// As [`ComputeSystem::modify`], of one that has a process.
    ///
    /// # Errors
    ///
    /// `InvalidState` where it has none; a limit that cannot be had: all are as before then.
    pub fn update(&self, resources: &LinuxResources) -> Result<()> {
        self.0
            .with_process(&[State::Running, State::Paused], "update")?;
        self.0.modify(resources)
    }

    /// Kills every process of it; as [`ComputeSystem::terminate`].
    ///
    /// # Errors
    ///
    /// Processes that do not end in time.
    pub fn terminate(&self) -> Result<()> {
        self.0.terminate()?;
        // Where the first process is gone, others may live on in a process namespace that is not the container's own.
        let Ok(record) = self.0.record() else {
            return Ok(());
        };
        match made_cgroup(&record)? {
            Some(cgroup) if !cgroup.pids().map_err(operate)?.is_empty() => {
                cgroup.kill_all(PATIENCE).map_err(operate)
            }
            _ => Ok(()),
        }
    }

    /// Removes it and all that was made for it; a container with a living process gives `InvalidState`.
    ///
    /// # Errors
    ///
    /// As [`ComputeSystem::delete`].
    pub fn delete(&self) -> Result<()> {
        if self.1.get().is_none()
            && let Ok(record) = self.0.record()
        {
            // Afterwards nobody could tell.
            self.1
                .get_or_init(|| record.created.bundle.unwrap_or_default());
        }
        self.0.delete()
    }

    /// Whether its first process lives.
    ///
    /// # Errors
    ///
    /// As [`RuntimeContainer::oci_state`].
    pub fn has_process(&self) -> Result<bool> {
        let (record, state, _) = self.0.look()?;
        Ok(has_process(&record, state))
    }

    /// Waits until its first process has ended; false where `timeout` runs out first.
    ///
    /// # Errors
    ///
    /// The process cannot be looked at.
    pub fn wait_for_end(&self, timeout: Duration) -> Result<bool> {
        match open_process(&self.0.record()?)? {
            Some(process) => crate::process::wait_for(process.as_fd(), Some(timeout)),
            None => Ok(true),
        }
    }

    /// Runs one hook in the host's namespaces with the container's state as its input.
    ///
    /// # Errors
    ///
    /// It did not end with 0, or not in its time.
    pub fn run_hook(&self, kind: &str, hook: &Hook, state: &OciState) -> Result<()> {
        hooks::run(kind, hook, state)
    }
}

impl LinuxSystem {
    /// The state with this status and process.
    pub(crate) fn oci_state(&self, status: &'static str, pid: Option<u32>) -> Result<OciState> {
        Ok(self.oci_state_of(self.record()?.created, status, pid))
    }

    /// As [`LinuxSystem::oci_state`], of a container that may not be written down yet.
    pub(crate) fn oci_state_of(
        &self,
        created: Created,
        status: &'static str,
        pid: Option<u32>,
    ) -> OciState {
        OciState {
            oci_version: self.spec.oci.version().clone(),
            id: self.id.to_string(),
            status,
            pid,
            bundle: created.bundle.unwrap_or_default(),
            annotations: self.spec.oci.annotations().clone().unwrap_or_default(),
        }
    }
}

/// The cgroup that was made for the container, this very one; none where none was. What only has the path of the one that was to
/// be made may be somebody else's.
fn made_cgroup(record: &Record) -> Result<Option<Cgroup>> {
    record
        .released
        .as_ref()
        .and_then(|released| released.cgroup.as_ref())
        .map(Cgroup::open)
        .transpose()
        .map_err(operate)
}

/// What the OCI runtime spec calls a state.
fn status_name(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Running => "running",
        State::Paused => "paused",
        State::Stopped => "stopped",
    }
}

fn with_preserved(preserved: Vec<OwnedFd>) -> RuntimeDescriptors {
    RuntimeDescriptors {
        listener: None,
        preserved,
    }
}

fn launched(started: Started) -> Launched {
    Launched {
        pid: started.pid,
        console: started.streams.console,
    }
}

/// How many descriptors from 3 on are open, one behind the other: called before anything was opened, those that the caller of
/// this program has left to it.
pub fn count_inherited_descriptors() -> u8 {
    (0..MOST_PRESERVED)
        .take_while(|index| inherited::is_open(3 + i32::from(*index)))
        .count() as u8
}

/// The descriptors from 3 on that the caller wants to hand on, each of which must be open.
///
/// # Errors
///
/// One of them is not open.
pub fn inherited_descriptors(count: u8) -> io::Result<Vec<OwnedFd>> {
    (3..3 + i32::from(count))
        .map(inherited::duplicate)
        .collect()
}

#[allow(unsafe_code, reason = "descriptors that are inherited by number")]
mod inherited {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

    pub(super) fn is_open(number: RawFd) -> bool {
        // SAFETY: the number is not -1; one that is not open makes fcntl(2) fail, which is the answer.
        rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) }).is_ok()
    }

    pub(super) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
        // SAFETY: the number is not -1; one that is not open makes fcntl(2) fail, and the copy is this program's own.
        unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
    }
}
