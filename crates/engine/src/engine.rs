//! The engine and a container's main path: create, start, attend, finish; exec beside it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hoist_compute::{
    ComputeService, ComputeSystem, Confinement, Error, ErrorKind, ExitStatus, Features, Phase,
    Process, Result, State, Stdio, StreamTransport, Timeline,
};
use hoist_spec::{ContainerId, ContainerSpec, ProcessSpec, Signal};

use crate::{HookContext, Hooks, OomNotice, names::Names, platform};

#[cfg(target_os = "linux")]
mod detached;
#[cfg(target_os = "linux")]
mod detached_execs;
mod execs;
mod kept_root;
mod limits;
mod query;
mod resolve;
mod stop;
#[cfg(test)]
#[cfg(unix)]
mod tests;

#[cfg(target_os = "linux")]
pub use detached::LaunchOptions;
pub use execs::{ExecRef, ListedExec};
pub use limits::{Pruned, Usage};
pub use query::{Listed, Listing};
pub use stop::{Ended, StopOutcome, StopRequest, TERMINATE_LIMIT};

/// How an [`Engine`] is opened.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Where containers are recorded; engines with the same state root see the same containers. By default
    /// `/run/hoist` for root, and for a user `$XDG_RUNTIME_DIR/hoist` or else `/tmp/hoist-UID`; `%ProgramData%\hoist` on Windows. It is
    /// made, with mode 0700, where it is not there yet.
    pub state_root: Option<PathBuf>,
    /// Where logs are kept. By default the state root, where one is given, else `/var/lib/hoist` for root and for a user
    /// `$XDG_DATA_HOME/hoist` or `~/.local/share/hoist`. It is made with mode 0700 where it is not there yet.
    pub data_root: Option<PathBuf>,
    /// Where to note what takes time in starts.
    pub timeline: Option<Arc<Timeline>>,
    /// The caller waits for every process it starts, as a command does that runs one in the foreground. Otherwise a thread
    /// sees to it that each is reaped at its end, and its status written down.
    pub waits_for_each: bool,
    /// The containers that this engine starts are ended by force when the thread that has started them ends, however it does:
    /// nothing runs on that nobody owns. For programs that start containers in their main thread alone. Refused on Windows, whose service
    /// runs on.
    pub takes_containers_along: bool,
    /// What is left of a container when its first process has ended is ended by force at once, not asked to shut down first. On Linux,
    /// and without isolation, that is always so.
    pub force_kill: bool,
    /// How the streams of the processes that this engine starts are carried. Named pipes are refused but on Windows.
    pub transport: StreamTransport,
}

/// A container to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRequest {
    /// Its id; [`random_id`] makes one.
    pub id: ContainerId,
    /// A name that no other container bears, in the form of an id.
    pub name: Option<String>,
    /// What to run.
    pub spec: ContainerSpec,
    /// Remove the container when its process has ended.
    pub remove: bool,
}

/// An id that nobody has: 64 random hexadecimal digits.
pub fn random_id() -> Result<ContainerId> {
    let mut bytes = [0; 32];
    platform::random(&mut bytes)?;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text.parse().map_err(|cause| {
        Error::new(ErrorKind::System, Phase::Plan, "make a random id").because(cause)
    })
}

/// A container that exists, or did a moment ago.
#[derive(Clone)]
pub struct Container {
    system: Arc<dyn ComputeSystem>,
    name: Option<String>,
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Container")
            .field("id", self.id())
            .field("name", &self.name)
            .finish()
    }
}

impl Container {
    /// Its id.
    pub fn id(&self) -> &ContainerId {
        self.system.id()
    }

    /// Its name, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What it was made from.
    pub fn spec(&self) -> &ContainerSpec {
        self.system.spec()
    }

    /// Whether its process gets a console.
    pub fn has_console(&self) -> bool {
        let process = self.spec().oci.process().as_ref();
        process.and_then(|process| process.terminal()) == Some(true)
    }

    /// The backend's own object, for what the engine does not wrap.
    pub fn system(&self) -> &dyn ComputeSystem {
        &*self.system
    }

    fn context(&self) -> HookContext<'_> {
        HookContext {
            id: self.id(),
            name: self.name(),
            spec: self.spec(),
        }
    }
}

/// Runs containers and looks after them.
///
/// All methods may be called from several threads at once; none holds a lock while it waits. An id that does not
/// exist gives `NotFound`.
#[derive(Clone)]
pub struct Engine {
    service: Arc<dyn ComputeService>,
    names: Arc<Names>,
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "only supervisors ask for it")
    )]
    state_root: Arc<Path>,
    data_root: Arc<Path>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// The same path, from wherever one stands.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| {
        let operation = format!("find the directory {:?}", path.display().to_string());
        Error::new(ErrorKind::System, Phase::Plan, operation).because(error)
    })
}

impl Engine {
    /// Opens this machine's containers. `Unsupported` on a platform without a backend.
    pub fn open(options: EngineOptions) -> Result<Self> {
        let data_root = match (options.data_root, &options.state_root) {
            (Some(path), _) => path,
            (None, Some(state_root)) => state_root.clone(),
            (None, None) => platform::default_data_root()?,
        };
        let state_root = match options.state_root {
            Some(path) => path,
            None => platform::default_state_root()?,
        };
        // What is written down of paths below them holds wherever somebody else stands.
        let (state_root, data_root) = (absolute(&state_root)?, absolute(&data_root)?);
        let ownership = platform::Ownership {
            waits_for_each: options.waits_for_each,
            takes_containers_along: options.takes_containers_along,
            force_kill: options.force_kill,
        };
        let service =
            platform::service(&state_root, options.timeline, ownership, options.transport)?;
        Ok(Self {
            data_root: data_root.into(),
            ..Self::with_service(service, &state_root)
        })
    }

    /// An engine over any backend. `state_root` keeps the names of its containers, and their logs.
    pub fn with_service(service: Arc<dyn ComputeService>, state_root: &Path) -> Self {
        Self {
            service,
            names: Arc::new(Names::new(state_root)),
            state_root: state_root.into(),
            data_root: state_root.into(),
        }
    }

    pub(crate) fn data_root(&self) -> &Path {
        &self.data_root
    }

    /// What this host can do, and why not what it cannot.
    pub fn features(&self) -> Features {
        self.service.features()
    }

    /// Runs a container to its end without attending to it, as [`Engine::run_with`].
    pub fn run(
        &self,
        request: &RunRequest,
        stdio: Stdio,
        hooks: &mut Hooks<'_>,
    ) -> Result<ExitStatus> {
        self.run_with(request, stdio, hooks, |process| process.wait(None))
    }

    /// Runs a container to its end: creates and starts it, calls `attend` with its process, calls the post-stop hooks, and
    /// removes the container where the request says so.
    ///
    /// `attend` returns when the process has ended (`foreground::attach`, or [`Process::wait`]); where it fails, the
    /// container is terminated. What goes wrong after the process's end stands in [`Hooks::failures`], and the status is
    /// returned all the same. After an error of the start nothing of the container is left.
    pub fn run_with(
        &self,
        request: &RunRequest,
        stdio: Stdio,
        hooks: &mut Hooks<'_>,
        attend: impl FnOnce(&dyn Process) -> Result<ExitStatus>,
    ) -> Result<ExitStatus> {
        // A hook of before the start may look for the container, as others may.
        let container = match hooks.pre_start.is_empty() {
            true => self.create_by(request, |id, spec| self.service.create_to_start(id, spec))?,
            false => self.create(request)?,
        };
        let process = self.start(&container, stdio, hooks)?;
        let ended = attend(&*process);
        if ended.is_err() {
            hooks
                .failures
                .extend(self.terminate(&container.system).err());
        }
        let finished = self.finish(&container, request.remove, hooks);
        hooks.failures.extend(finished.err());
        ended
    }

    /// Makes a container, its process not started, and gives it its name. After an error nothing of it is left. An id or
    /// name in use is `AlreadyExists`.
    pub fn create(&self, request: &RunRequest) -> Result<Container> {
        self.create_by(request, |id, spec| self.service.create(id, spec))
    }

    fn create_by(
        &self,
        request: &RunRequest,
        create: impl FnOnce(&ContainerId, &ContainerSpec) -> Result<Box<dyn ComputeSystem>>,
    ) -> Result<Container> {
        let reservation = match &request.name {
            Some(name) => Some(
                self.names
                    .reserve(name, &request.id, |holder| self.exists(holder))?,
            ),
            None => None,
        };
        self.volumes().make_missing(&request.spec)?;
        let system = create(&request.id, &request.spec).inspect_err(|_| {
            // What cannot be removed now a later prune of volumes does.
            let _ = self.remove_unused_volumes(&self.volumes().anonymous(&request.spec));
        })?;
        if let Some(reservation) = reservation {
            reservation.keep();
        }
        Ok(Container {
            system: system.into(),
            name: request.name.clone(),
        })
    }

    /// Opens a container that this or another process has made.
    pub fn container(&self, id: &ContainerId) -> Result<Container> {
        Ok(Container {
            system: self.service.open(id)?.into(),
            name: self.names.of(id)?,
        })
    }

    /// The spec that a container was made from.
    pub fn spec(&self, id: &ContainerId) -> Result<ContainerSpec> {
        self.with_spec(id, ContainerSpec::clone)
    }

    /// As [`Engine::spec`], for whoever only looks at it.
    pub fn with_spec<T>(
        &self,
        id: &ContainerId,
        look: impl FnOnce(&ContainerSpec) -> T,
    ) -> Result<T> {
        Ok(look(self.service.open(id)?.spec()))
    }

    /// Starts a container's process, with the pre-start hooks before it and the start hook after it.
    ///
    /// The caller owns the process, and calls [`Engine::finish`] after its end. Where a hook or the start fails, the
    /// post-stop hooks are called and the container is removed. A container that is not `Created` gives `InvalidState` and stays.
    pub fn start(
        &self,
        container: &Container,
        stdio: Stdio,
        hooks: &mut Hooks<'_>,
    ) -> Result<Box<dyn Process>> {
        if !hooks.pre_start.is_empty() && container.system.state()? != State::Created {
            return Err(Error::new(
                ErrorKind::InvalidState,
                Phase::Start,
                format!("start container {}", container.id()),
            )
            .because("it was started before"));
        }
        let started = hooks
            .run_pre_start(&container.context())
            .and_then(|()| container.system.start(stdio));
        let error = match started {
            Ok(process) => {
                let hooked = hooks.run_start(&container.context(), process.pid(), || {
                    self.oom_notice(container)
                });
                match hooked {
                    Ok(()) => return Ok(process),
                    Err(error) => {
                        hooks
                            .failures
                            .extend(self.terminate(&container.system).err());
                        error
                    }
                }
            }
            // Somebody else started it, and it is theirs.
            Err(error)
                if container
                    .system
                    .state()
                    .is_ok_and(|state| state != State::Created) =>
            {
                hooks.run_post_stop(&container.context());
                return Err(error);
            }
            Err(error) => error,
        };
        let finished = self.finish(container, true, hooks);
        hooks.failures.extend(finished.err());
        Err(error)
    }

    /// After the end of a container's process: calls the post-stop hooks, installs the updates that its run has left
    /// ([`ComputeSystem::install_updates`]), and with `remove` removes the container, its name, and its volumes that nobody has named. Where updates
    /// cannot be installed, nothing is removed.
    pub fn finish(&self, container: &Container, remove: bool, hooks: &mut Hooks<'_>) -> Result<()> {
        hooks.run_post_stop(&container.context());
        container.system.install_updates()?;
        if !remove {
            return Ok(());
        }
        let volumes = self.volumes().anonymous(container.spec());
        container.system.delete()?;
        #[cfg(target_os = "linux")]
        self.supervisor_folder(container.id()).remove()?;
        if let Some(name) = &container.name {
            self.names.release_name(name, container.id())?;
        }
        self.remove_unused_volumes(&volumes)
    }

    /// Starts a further process in a running container; the caller owns it.
    ///
    /// Of the hooks only the start hook is called: the others are the container's. Where it fails, the process is killed.
    pub fn exec(
        &self,
        id: &ContainerId,
        process: &ProcessSpec,
        stdio: Stdio,
        hooks: &mut Hooks<'_>,
    ) -> Result<Box<dyn Process>> {
        let system = self.service.open(id)?;
        let process = system
            .create_process(process, stdio)
            .map_err(|error| self.unless_restarting(id, error))?;
        if hooks.start.is_none() {
            return Ok(process);
        }
        let container = Container {
            system: system.into(),
            name: self.names.of(id)?,
        };
        let hooked = hooks.run_start(&container.context(), process.pid(), || {
            self.oom_notice(&container)
        });
        match hooked {
            Ok(()) => Ok(process),
            Err(error) => {
                let ended = process
                    .signal(Signal::KILL)
                    .and_then(|()| process.wait(Some(TERMINATE_LIMIT)));
                hooks.failures.extend(ended.err());
                Err(error)
            }
        }
    }

    /// As [`Engine::exec`] without hooks, with limits and a time that the process and all it starts have for themselves.
    pub fn exec_confined(
        &self,
        id: &ContainerId,
        process: &ProcessSpec,
        confinement: &Confinement,
        stdio: Stdio,
    ) -> Result<Box<dyn Process>> {
        self.service
            .open(id)?
            .create_confined_process(process, confinement, stdio)
            .map_err(|error| self.unless_restarting(id, error))
    }

    /// The error of a process that cannot be started in a container: where that is between two runs, that it is.
    pub(crate) fn unless_restarting(&self, id: &ContainerId, error: Error) -> Error {
        if error.kind() != ErrorKind::InvalidState || !self.restarts(id).unwrap_or(false) {
            return error;
        }
        Error::new(
            ErrorKind::InvalidState,
            Phase::Operate,
            format!("start a process in container {id}: it is restarting"),
        )
        .about(id.as_str())
        .remedy("wait until it is running: hoist ps tells")
    }

    fn oom_notice(&self, container: &Container) -> OomNotice {
        OomNotice::new(Arc::clone(&self.service), container.id().clone())
    }

    /// Whether there is such a container; one that cannot be read is there too.
    fn exists(&self, id: &ContainerId) -> Result<bool> {
        match self.service.open(id) {
            Ok(_) => Ok(true),
            Err(error) => Ok(error.kind() != ErrorKind::NotFound),
        }
    }
}
