//! Containers that have a supervisor: running, attaching, starting once more, logs.

use std::{
    io,
    time::{Duration, Instant},
};

use hoist_compute::{Error, ErrorKind, ExitStatus, OsCode, Phase, Result, State};
use hoist_spec::{ConsoleSize, ContainerId};

use crate::{
    Container, Engine, RunRequest, StopRequest,
    supervise::{
        Attachment, Connection, DRAIN_LIMIT, Entry, Launch, Launched, Launcher, LogDriver,
        LogQuery, LogReader, Packet, RestartPolicy, SuperviseOptions, SupervisorFolder,
        SupervisorStatus, is_being_started, is_gone,
    },
};

/// How long a supervisor may take to answer a question, and to end after its container.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long somebody else may take to start a container that one wants started, too.
const OTHER_START_LIMIT: Duration = Duration::from_secs(30);
/// How often a log is looked at that is followed, should the kernel not tell of a change.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Who launches a supervisor, and how.
#[derive(Clone, Copy, Debug)]
pub struct LaunchOptions<'a> {
    /// The program that becomes the supervisor.
    pub launcher: &'a Launcher,
    /// The size with which a console begins; 24 rows of 80 where `None`.
    pub console: Option<ConsoleSize>,
}

impl Engine {
    /// Runs a container that outlives the caller: makes it, and starts a supervisor that owns it. Returns the id of its process
    /// when its program was executed. After an error nothing of the container is left.
    pub fn run_detached(
        &self,
        request: &RunRequest,
        options: &SuperviseOptions,
        launch: LaunchOptions<'_>,
    ) -> Result<u32> {
        Ok(self.create_and_launch(request, options, launch, None)?.pid)
    }

    /// As [`Engine::run_detached`], and attaches to the container before it starts. The container waits for one who is
    /// attached so, as it would for a terminal.
    pub fn run_attached(
        &self,
        request: &RunRequest,
        options: &SuperviseOptions,
        launch: LaunchOptions<'_>,
    ) -> Result<Attachment> {
        let attach = Some(options.interactive);
        let launched = self.create_and_launch(request, options, launch, attach)?;
        let has_console = self.container_has_console(request);
        Ok(Attachment::launched(launched.connection, has_console))
    }

    fn container_has_console(&self, request: &RunRequest) -> bool {
        let process = request.spec.oci.process().as_ref();
        process.and_then(|process| process.terminal()) == Some(true)
    }

    fn create_and_launch(
        &self,
        request: &RunRequest,
        options: &SuperviseOptions,
        launch: LaunchOptions<'_>,
        attach: Option<bool>,
    ) -> Result<Launched> {
        let container = self.create_detached(request, options)?;
        self.launch(container.id(), launch, attach)
            .inspect_err(|_| {
                // What cannot be removed now is in the record.
                let _ = self.clean(&request.id, true);
            })
    }

    /// Makes a container that [`Engine::start_detached`] will start.
    pub fn create_detached(
        &self,
        request: &RunRequest,
        options: &SuperviseOptions,
    ) -> Result<Container> {
        let container = self.create(request)?;
        self.supervisor_folder(&request.id)
            .make(options)
            .inspect_err(|_| {
                let _ = self.clean(&request.id, true);
            })?;
        Ok(container)
    }

    /// Starts a container that was made, or has ended, with a supervisor that owns it; returns the id of its process.
    ///
    /// Its root begins anew where that is thrown away with each run (an ephemeral writable layer); a directory or a kept
    /// layer is as it was left. One that runs gives `InvalidState`. After an error the container is there still.
    /// Of several who start it at once one does, and the others find it running.
    pub fn start_detached(&self, id: &ContainerId, launch: LaunchOptions<'_>) -> Result<u32> {
        Ok(self.begin(id, launch, None)?.1.pid)
    }

    /// As [`Engine::start_detached`], and attaches to the container before it starts.
    pub fn start_attached(
        &self,
        id: &ContainerId,
        input: bool,
        launch: LaunchOptions<'_>,
    ) -> Result<Attachment> {
        let (container, launched) = self.begin(id, launch, Some(input))?;
        Ok(Attachment::launched(
            launched.connection,
            container.has_console(),
        ))
    }

    fn begin(
        &self,
        id: &ContainerId,
        launch: LaunchOptions<'_>,
        attach_with_input: Option<bool>,
    ) -> Result<(Container, Launched)> {
        let until = Instant::now() + OTHER_START_LIMIT;
        loop {
            let container = self.prepare_start(id, until)?;
            match self.launch(id, launch, attach_with_input) {
                // Somebody else was faster, by less than it takes to look.
                Err(error) if error.kind() == ErrorKind::InProgress && Instant::now() < until => {}
                launched => return Ok((container, launched?)),
            }
        }
    }

    /// Waits until a container that does not run has no supervisor either: one whose container has ended is about to end, too, and
    /// one that somebody else has launched is about to start it.
    fn prepare_start(&self, id: &ContainerId, until: Instant) -> Result<Container> {
        let container = self.container(id)?;
        let folder = self.supervisor_folder(id);
        let refused = |operation: String| {
            Error::new(ErrorKind::InvalidState, Phase::Start, operation).about(id.as_str())
        };
        let mut pause = Duration::from_micros(500);
        loop {
            // Looked at before the state: a supervisor that ends after its container has ended leaves that ended.
            let lives = folder.is_alive()?;
            let state = container.system.state()?;
            if matches!(state, State::Running | State::Paused) || self.is_restarting(id)? {
                return Err(refused(format!("start container {id}: it is running")));
            }
            if !lives {
                break;
            }
            if Instant::now() > until {
                return Err(is_being_started(id)
                    .because("its supervisor has neither started it nor ended in time")
                    .remedy("wait until hoist ps shows it running, or end it: hoist rm --force"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        if folder.options()?.is_none() {
            folder.make(&SuperviseOptions::default())?;
        }
        Ok(container)
    }

    /// Has another policy say from now on when the container is started once more, also that of a supervisor that lives.
    ///
    /// `InvalidState` where it runs and has no supervisor, and where it is removed when it has ended.
    pub fn set_restart_policy(&self, id: &ContainerId, policy: RestartPolicy) -> Result<()> {
        let container = self.container(id)?;
        let folder = self.supervisor_folder(id);
        let refused = |reason: &str| {
            let operation = format!("change the restart policy of container {id}");
            Error::new(ErrorKind::InvalidState, Phase::Operate, operation)
                .about(id.as_str())
                .because(reason.to_owned())
        };
        let mut options = folder.options()?.unwrap_or_default();
        if options.remove && policy != RestartPolicy::No {
            return Err(refused("it is removed when it has ended (--rm)"));
        }
        if let Some(mut connection) = self.supervisor(id)? {
            let ask = |error| failed("tell the supervisor", error);
            match connection.send(&Packet::Policy(policy)) {
                // It ends at this moment.
                Err(error) if is_gone(&error) => {}
                sent => {
                    sent.map_err(ask)?;
                    if !connection.wait(Some(ANSWER_LIMIT)).map_err(ask)? {
                        return Err(refused("its supervisor does not answer"));
                    }
                    match connection.receive().map_err(ask)? {
                        Some(Packet::Changed) => return Ok(()),
                        Some(Packet::Failed(error)) => {
                            return Err(Error::from_json(error)
                                .unwrap_or_else(|| refused("its supervisor refuses it")));
                        }
                        None if !folder.is_alive()? => {}
                        _ => {
                            return Err(refused("its supervisor does not know how: it is of another version of Hoist")
                                .remedy("restart the container, and try again"));
                        }
                    }
                }
            }
        } else if matches!(container.system.state()?, State::Running | State::Paused) {
            return Err(refused("it has no supervisor: it runs in the foreground"));
        }
        options.restart = policy;
        folder.make(&options)
    }

    /// Stops a container, where it runs, and starts it once more; returns the id of its process.
    pub fn restart(
        &self,
        id: &ContainerId,
        stop: StopRequest,
        launch: LaunchOptions<'_>,
    ) -> Result<u32> {
        let outcome = self.stop(id, stop)?;
        if outcome.status.is_some() {
            // Where somebody else owns it, he must have written its end down.
            self.wait(id, Some(ANSWER_LIMIT))?;
        }
        self.wait_until_gone(&self.supervisor_folder(id))?;
        self.start_detached(id, launch)
    }

    fn launch(
        &self,
        id: &ContainerId,
        launch: LaunchOptions<'_>,
        attach_with_input: Option<bool>,
    ) -> Result<Launched> {
        let absolute = |path: &std::path::Path| {
            std::path::absolute(path).map_err(|error| failed("find the state directory", error))
        };
        launch.launcher.launch(Launch {
            state_root: absolute(&self.state_root)?,
            data_root: absolute(&self.data_root)?,
            id: id.clone(),
            console: launch.console,
            attach: attach_with_input.map(Attachment::of_launcher),
            exec: None,
        })
    }

    /// Attaches to the streams of a container that has a supervisor; with `input` one may send it input, too.
    ///
    /// Any number may be attached. All get what it writes from now on; one who takes nothing for a second misses
    /// something, and is told how much.
    pub fn attach(&self, id: &ContainerId, input: bool) -> Result<Attachment> {
        let system = self.service.open(id)?;
        if !matches!(system.state()?, State::Running | State::Paused) {
            let operation = format!("attach to container {id}: it is not running");
            return Err(
                Error::new(ErrorKind::InvalidState, Phase::Operate, operation).about(id.as_str()),
            );
        }
        match self.supervisor(id)? {
            Some(connection) => Attachment::open(connection, input),
            None => Err(no_supervisor(id, "attach to")),
        }
    }

    /// What the container's supervisor has last said of itself, and whether it lives; `None` where it never had one.
    pub fn supervisor_status(&self, id: &ContainerId) -> Result<Option<(SupervisorStatus, bool)>> {
        let folder = self.supervisor_folder(id);
        match folder.status()? {
            Some(status) => Ok(Some((status, folder.is_alive()?))),
            None => Ok(None),
        }
    }

    /// How the container is looked after while it runs detached; `None` where it never was.
    pub fn supervise_options(&self, id: &ContainerId) -> Result<Option<SuperviseOptions>> {
        self.supervisor_folder(id).options()
    }

    /// Where the container's log is, whether or not there is anything.
    pub fn log_path(&self, id: &ContainerId) -> std::path::PathBuf {
        self.supervisor_folder(id).log()
    }

    /// Whether the container has ended and will be started once more.
    pub fn is_restarting(&self, id: &ContainerId) -> Result<bool> {
        use crate::supervise::SupervisorState;
        let status = self.supervisor_status(id)?;
        Ok(status
            .is_some_and(|(status, alive)| alive && status.state == SupervisorState::Restarting))
    }

    /// Gives every entry of the container's log to `take`, and with `follow` those that come, until the container has ended for
    /// good. An error of `take` ends it and is returned. `gap` is called where entries were put away and removed faster than they
    /// were taken, and some may be missing.
    pub fn logs(
        &self,
        id: &ContainerId,
        query: LogQuery,
        follow: bool,
        take: &mut dyn FnMut(Entry) -> io::Result<()>,
        gap: &mut dyn FnMut(),
    ) -> Result<()> {
        let folder = self.supervisor_folder(id);
        if self.service.open(id)?.state()? == State::Stopped && !follow {
            // What it has written last may still be on its way.
            let limit = DRAIN_LIMIT + FOLLOW_INTERVAL;
            match self.wait_for_supervisor(id, Some(limit)) {
                Err(error) if error.kind() != ErrorKind::Timeout => return Err(error),
                _ => {}
            }
        }
        if !folder.exists() {
            return Err(no_supervisor(id, "read the log of"));
        }
        if let Some(options) = folder.options()?
            && options.log.driver == LogDriver::None
        {
            let operation = format!("read the log of container {id}");
            return Err(
                Error::new(ErrorKind::Unsupported, Phase::Operate, operation)
                    .about(id.as_str())
                    .because("it was made with the log driver none, which keeps nothing")
                    .remedy("hoist attach shows what it writes from now on"),
            );
        }
        let mut changes = match follow {
            true => Some(Changes::new(&folder)?),
            false => None,
        };
        let mut reader = LogReader::new(folder.log(), query);
        loop {
            let lives = match &mut changes {
                Some(changes) => changes.supervisor_lives()?,
                None => false,
            };
            let more = reader
                .read(take)
                .map_err(|error| failed("read the log", error))?;
            if reader.misses_some() {
                gap();
            }
            match &mut changes {
                Some(changes) if more && lives => changes.wait()?,
                _ => return Ok(()),
            }
        }
    }

    pub(crate) fn supervisor_folder(&self, id: &ContainerId) -> SupervisorFolder {
        SupervisorFolder::of(&self.state_root, &self.data_root, id)
    }

    /// A connection to the container's supervisor, where it has one that lives.
    fn supervisor(&self, id: &ContainerId) -> Result<Option<Connection>> {
        connect(&self.supervisor_folder(id))
    }

    /// Tells the container's supervisor, where it has one, not to start it once more.
    pub(super) fn hold(&self, id: &ContainerId) -> Result<()> {
        let Some(mut connection) = self.supervisor(id)? else {
            return Ok(());
        };
        let ask = |error| failed("tell the supervisor", error);
        match connection.send(&Packet::Hold) {
            // It ends at this moment.
            Err(error) if is_gone(&error) => return Ok(()),
            sent => sent.map_err(ask)?,
        }
        // One that is stuck is not waited for: what comes next is sent to the container itself.
        if connection.wait(Some(ANSWER_LIMIT)).map_err(ask)? {
            connection.receive().map_err(ask)?;
        }
        Ok(())
    }

    /// Waits until the supervisor says how the present run has ended; `None` where there is none, or it is lost meanwhile.
    pub(super) fn wait_for_supervisor(
        &self,
        id: &ContainerId,
        timeout: Option<Duration>,
    ) -> Result<Option<ExitStatus>> {
        let Some(mut connection) = self.supervisor(id)? else {
            return Ok(None);
        };
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let ask = |error| failed("ask the supervisor", error);
        match connection.send(&Packet::Watch) {
            Err(error) if is_gone(&error) => return Ok(None),
            sent => sent.map_err(ask)?,
        }
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if !connection.wait(left).map_err(ask)? {
                let operation = format!("wait for container {id}: it has not ended in time");
                return Err(Error::new(ErrorKind::Timeout, Phase::Operate, operation));
            }
            match connection.receive().map_err(ask)? {
                Some(Packet::Exited(exited)) => return Ok(Some(exited.status)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    fn wait_until_gone(&self, folder: &SupervisorFolder) -> Result<()> {
        let until = Instant::now() + ANSWER_LIMIT;
        let mut pause = Duration::from_micros(500);
        while folder.is_alive()? {
            if Instant::now() > until {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    Phase::Operate,
                    "wait for the container's supervisor to end",
                ));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Removes what the supervisor of a container that is gone has written.
    pub(super) fn forget_supervisor(&self, id: &ContainerId) -> Result<()> {
        let folder = self.supervisor_folder(id);
        if folder.exists() {
            // It ends by itself, and until then writes down what it is doing; one that is stuck has had its time.
            let _ = self.wait_until_gone(&folder);
        }
        folder.remove()?;
        self.forget_owners_of_execs(id)
    }

    /// Ends the supervisor of a container by force, where it lives, and waits for its end; what was ended.
    pub(super) fn end_supervisor(&self, id: &ContainerId) -> Result<Option<String>> {
        let folder = self.supervisor_folder(id);
        // One that does not listen any more is about to end.
        let Some(mut connection) = connect(&folder)? else {
            return Ok(None);
        };
        connection
            .kill()
            .map_err(|error| failed("end the supervisor", error))?;
        self.wait_until_gone(&folder)?;
        Ok(Some("its supervisor".to_owned()))
    }

    /// Removes what the supervisor of a container that is gone has written, whatever state that is in; what it was.
    pub(super) fn forget_damaged_supervisor(&self, id: &ContainerId) -> Result<Option<String>> {
        let log = self.log_path(id);
        let has_log = log.exists();
        self.forget_supervisor(id)?;
        Ok(has_log.then(|| format!("its log {}", log.display())))
    }

    /// Removes what owners of execs of a container that is gone have not lived to remove.
    fn forget_owners_of_execs(&self, id: &ContainerId) -> Result<()> {
        let folder = SupervisorFolder::execs_of(&self.state_root, id);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove the owners of execs", error))
            }
            _ => {
                // The last one leaves nothing; with others in it, it stays.
                let _ = folder.parent().map(std::fs::remove_dir);
                Ok(())
            }
        }
    }

    /// Removes a container that has ended, with its name and what its supervisor has written.
    pub(crate) fn remove_ended(&self, container: &Container) -> Result<()> {
        self.finish(container, true, &mut crate::Hooks::default())
    }
}

/// What there is to wait for while a log is followed.
struct Changes {
    inotify: std::os::fd::OwnedFd,
    supervisor: Option<Connection>,
}

impl Changes {
    fn new(folder: &SupervisorFolder) -> Result<Self> {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let watch = |errno: rustix::io::Errno| failed("watch the log", errno.into());
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(watch)?;
        let path = folder.log();
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        match add_watch(&inotify, path.parent().unwrap_or(&path), flags) {
            // Without a supervisor there may be no log, and then nothing to wait for.
            Ok(_) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(watch(errno)),
        }
        Ok(Self {
            inotify,
            supervisor: connect(folder)?,
        })
    }

    /// Whether there is one who may still write.
    fn supervisor_lives(&mut self) -> Result<bool> {
        let listen = |error| failed("listen to the supervisor", error);
        let Some(connection) = &mut self.supervisor else {
            return Ok(false);
        };
        if connection.wait(Some(Duration::ZERO)).map_err(listen)?
            && connection.receive().map_err(listen)?.is_none()
        {
            self.supervisor = None;
        }
        Ok(self.supervisor.is_some())
    }

    fn wait(&mut self) -> Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut set = vec![PollFd::new(&self.inotify, PollFlags::IN)];
        if let Some(supervisor) = &self.supervisor {
            set.push(PollFd::new(supervisor, PollFlags::IN));
        }
        let limit = Timespec::try_from(FOLLOW_INTERVAL).ok();
        match poll(&mut set, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(failed("watch the log", errno.into())),
        }
        let mut told = [0; 4096];
        while rustix::io::read(&self.inotify, &mut told).is_ok_and(|count| count > 0) {}
        Ok(())
    }
}

pub(super) fn connect(folder: &SupervisorFolder) -> Result<Option<Connection>> {
    match Connection::open(folder.path()) {
        Ok(connection) => Ok(Some(connection)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed("connect to the supervisor", error)),
    }
}

fn no_supervisor(id: &ContainerId, what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidState,
        Phase::Operate,
        format!("{what} container {id}: it has no supervisor"),
    )
    .about(id.as_str())
    .remedy("only containers that run detached have one: hoist run --detach")
}

pub(super) fn failed(operation: &str, error: io::Error) -> Error {
    let made = Error::new(ErrorKind::System, Phase::Operate, operation);
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}
