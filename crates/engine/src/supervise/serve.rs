//! The supervisor's life: start the container, attend to it, start it once more or let it be.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, State, Timestamp};
use hoist_spec::{ConsoleSize, ContainerId, ExecId, Signal};

use super::{
    Connection, RestartPolicy, SuperviseOptions, SupervisorFolder, SupervisorState,
    SupervisorStatus,
    become_supervisor::{become_supervisor, give_memory_back, reap_orphans},
    clients::{Client, Clients},
    execs::Execs,
    log::Log,
    policy::Restarts,
    run::{self, Read, Run},
    socket,
    turn::{Ready, Waiting, Which},
    wire::{Exited, LONGEST, LaunchRequest, MOST_DATA, Packet, StartExecRequest},
};
use crate::{Container, Engine, EngineOptions, foreground::SignalFd, foreground::SignalSource};

/// How long clients that take nothing are waited for at the end, unless the container had to wait for them, too.
const FAREWELL: Duration = Duration::from_secs(1);
/// `SIGCHLD` (signal(7)).
const CHILD: i32 = 17;

/// Makes the calling program the supervisor of one container, until that has ended for good.
///
/// The program must have been started for this, by a [`Launcher`](super::Launcher), and call it before anything else: every
/// descriptor but the standard ones is closed, and standard input is a socket on which it is told what to do. What goes
/// wrong is told to who launched it and written to the container's `status.json`.
pub fn serve() -> Result<()> {
    let failed = |error| system("become a supervisor", error);
    let socket = become_supervisor().map_err(failed)?;
    let mut launcher = Connection::new(socket.try_clone().map_err(failed)?);
    let request = match launcher.receive().map_err(failed)? {
        Some(Packet::Launch(request)) => request,
        _ => return Err(failed(io::ErrorKind::InvalidData.into())),
    };
    let mut launched = Client::new(socket);
    match &request.exec {
        Some(exec) => launched.about = Some(exec.clone()),
        None => launched.attached = request.attach,
    }
    launched.watches = request.attach.is_some();
    match Session::open(&request, launched) {
        Ok(session) => match &request.exec {
            Some(exec) => session.live_for(exec, &request),
            None => session.live(request.console),
        },
        Err(error) => {
            // Whoever launched it may be gone; then nobody wants to know.
            let _ = launcher.send(&Packet::Failed(error.to_json()));
            Err(error)
        }
    }
}

/// One supervisor.
pub(super) struct Session {
    pub(super) container: Container,
    engine: Engine,
    folder: SupervisorFolder,
    options: SuperviseOptions,
    pub(super) signals: SignalFd,
    pub(super) listener: OwnedFd,
    pub(super) clients: Clients,
    pub(super) log: Log,
    pub(super) run: Option<Run>,
    pub(super) execs: Execs,
    restarts: Restarts,
    last: Option<Exited>,
    /// It is not started once more.
    held: bool,
    /// The exec that it is the owner of, instead of the container.
    owns: Option<ExecId>,
    buffer: Box<[u8; LONGEST]>,
    _lock: File,
}

impl Session {
    fn open(request: &LaunchRequest, launched: Client) -> Result<Self> {
        // Blocked from here on, so that none is missed.
        let signals = SignalFd::of_a_supervisor()?;
        let engine = Engine::open(EngineOptions {
            state_root: Some(request.state_root.clone()),
            data_root: Some(request.data_root.clone()),
            waits_for_each: true,
            takes_containers_along: true,
            ..EngineOptions::default()
        })?;
        let container = engine.container(&request.id)?;
        let folder = match &request.exec {
            Some(exec) => SupervisorFolder::of_exec(&request.state_root, &request.id, exec),
            None => engine.supervisor_folder(&request.id),
        };
        if request.exec.is_some() {
            folder.make(&SuperviseOptions::default())?;
        }
        let lock = own(&folder, request)?;
        let options = folder.options()?.unwrap_or_default();
        if request.exec.is_none() {
            folder.make_log_folder()?;
        }
        let listener = socket::listen_in(folder.path())
            .map_err(|error| system("listen for clients", error))?;
        let log = Log::new(folder.log(), options.log.clone());
        Ok(Self {
            restarts: Restarts::new(options.restart),
            container,
            engine,
            folder,
            options,
            signals,
            listener,
            clients: Clients(vec![launched]),
            log,
            run: None,
            execs: Execs::default(),
            last: None,
            held: false,
            owns: request.exec.clone(),
            buffer: Box::new([0; LONGEST]),
            _lock: lock,
        })
    }

    fn live(mut self, console: Option<ConsoleSize>) -> Result<()> {
        self.note(SupervisorState::Starting, None);
        let result = self.runs(console);
        let told = result.as_ref().err().map(Error::to_string);
        self.note(SupervisorState::Ended, told);
        let removed = match self.options.remove && result.is_ok() {
            true => self.engine.remove_ended(&self.container),
            false => Ok(()),
        };
        self.farewell();
        result.and(removed)
    }

    /// The life of one who owns a single exec.
    fn live_for(mut self, exec: &ExecId, request: &LaunchRequest) -> Result<()> {
        let start = StartExecRequest {
            console: request.console,
            attach: request.attach,
        };
        self.begin_exec(0, exec, start);
        let mut result = Ok(());
        while result.is_ok() && !self.execs.are_over() {
            result = self.turn(None);
        }
        self.farewell();
        let removed = self.folder.remove();
        result.and(removed)
    }

    /// Run after run; until the last has ended.
    fn runs(&mut self, console: Option<ConsoleSize>) -> Result<()> {
        loop {
            self.start(console).inspect_err(|error| {
                let packet = Packet::Failed(error.to_json());
                self.clients
                    .0
                    .iter_mut()
                    .for_each(|client| client.tell(&packet));
            })?;
            let (status, life) = self.attend()?;
            let pause = match self.held {
                true => None,
                false => self.restarts.next(&status, life),
            };
            let exited = Exited {
                status,
                restarting: pause.is_some(),
            };
            self.clients.tell_end(None, &Packet::Exited(exited.clone()));
            self.last = Some(exited);
            let Some(pause) = pause else { return Ok(()) };
            self.note(SupervisorState::Restarting, None);
            let until = Instant::now() + pause;
            while !self.is_let_be() && Instant::now() < until {
                self.turn(Some(until))?;
            }
            if self.is_let_be() {
                return Ok(());
            }
        }
    }

    /// Whether somebody has said, since its end, that it is not to be started once more.
    fn is_let_be(&self) -> bool {
        self.held || self.options.restart == RestartPolicy::No
    }

    fn start(&mut self, console: Option<ConsoleSize>) -> Result<()> {
        let system = self.container.system();
        if system.state()? == State::Stopped {
            system.reset()?;
        }
        let (wants_console, interactive) = (self.container.has_console(), self.options.interactive);
        let process = system.start(run::stdio(wants_console, interactive, console))?;
        let pid = process.pid();
        self.run = Some(Run::new(process).map_err(system_error)?);
        give_memory_back();
        self.note(SupervisorState::Running, None);
        for client in &mut self.clients.0 {
            client.tell(&Packet::Started(pid));
        }
        Ok(())
    }

    /// Attends to the run until its process has ended and all it wrote was read.
    fn attend(&mut self) -> Result<(hoist_compute::ExitStatus, Duration)> {
        while self.run.as_ref().is_some_and(|run| !run.is_over()) {
            self.turn(None)?;
        }
        // They have ended with the container: they are reaped, and their ends told.
        let until = Instant::now() + FAREWELL;
        while !self.execs.are_over() && Instant::now() < until {
            self.turn(Some(until))?;
        }
        self.log.end();
        let Some(run) = self.run.take() else {
            return Err(system_error(io::ErrorKind::NotFound.into()));
        };
        Ok((run.process.wait(None)?, run.started.elapsed()))
    }

    /// Waits until something can be done, at most until `until`, and does it.
    fn turn(&mut self, until: Option<Instant>) -> Result<()> {
        let Ready {
            signals,
            listener,
            ended,
            started,
            sources,
            clients,
        } = Waiting::of(self).wait(self, until)?;
        if started {
            self.execs_started();
        }
        if signals {
            self.take_signals()?;
        }
        for which in ended {
            match which {
                Which::Container => {
                    if let Some(run) = &mut self.run {
                        run.begin_drain();
                    }
                }
                Which::Exec(index) => self.execs.has_ended(index),
            }
        }
        self.read_sources(&sources);
        if let Some(run) = &mut self.run {
            run.input.flush();
        }
        self.execs.flush();
        self.execs_over();
        if self
            .log
            .waits_until()
            .is_some_and(|at| at <= Instant::now())
        {
            self.log.retry();
        }
        for index in clients {
            self.attend_to(index);
        }
        self.clients.0.iter_mut().for_each(Client::flush);
        self.clients.forget_gone();
        while listener
            && let Some(socket) =
                socket::accept(std::os::fd::AsFd::as_fd(&self.listener)).map_err(system_error)?
        {
            self.clients.add(socket);
        }
        Ok(())
    }

    fn read_sources(&mut self, sources: &[(Which, usize)]) {
        let mut ended = Vec::new();
        for &(which, index) in sources {
            let (run, about) = match which {
                Which::Container => (self.run.as_mut(), None),
                Which::Exec(number) => self.execs.run_and_id(number),
            };
            let Some(run) = run else { continue };
            let buffer = &mut self.buffer[..MOST_DATA];
            match run.read(index, buffer) {
                (stream, Read::Bytes(count)) => {
                    if about.is_none() {
                        self.log.append(stream, &buffer[..count]);
                    }
                    self.clients.give(about.as_ref(), stream, &buffer[..count]);
                }
                (_, Read::Nothing) => {}
                (_, Read::End) => ended.push((which, index)),
            }
        }
        let of = |which| {
            let ended = ended.iter().filter(move |(of, _)| *of == which);
            ended.map(|(_, index)| *index).collect::<Vec<usize>>()
        };
        if let Some(run) = &mut self.run {
            run.close(&of(Which::Container));
        }
        self.execs
            .for_each_run(|number, run| run.close(&of(Which::Exec(number))));
    }

    /// Takes what a client has sent.
    fn attend_to(&mut self, index: usize) {
        let Some(client) = self.clients.0.get_mut(index) else {
            return;
        };
        let Some(packet) = client.receive(&mut self.buffer) else {
            return;
        };
        let about = client.about.clone();
        let run = match &about {
            None => self.run.as_mut(),
            Some(exec) => self.execs.run_of(exec),
        };
        match packet {
            Packet::About(exec) => client.about = Some(exec),
            Packet::StartExec(request) => {
                if let Some(exec) = about {
                    self.begin_exec(index, &exec, request);
                }
            }
            Packet::Attach(attach) => match run {
                Some(run) if !run.has_ended() => {
                    client.attached = Some(attach);
                    client.tell(&Packet::Attached(run.has_console));
                }
                _ => client.tell(&Packet::Failed(
                    not_running(&self.container, about.as_ref()).to_json(),
                )),
            },
            Packet::Watch if about.is_none() => match (run, &self.last) {
                (None, Some(last)) => client.tell(&Packet::Exited(last.clone())),
                _ => client.watches = true,
            },
            Packet::Hold => {
                self.held = true;
                client.tell(&Packet::Held);
            }
            Packet::Policy(policy) if about.is_none() => {
                let mut options = self.options.clone();
                options.restart = policy;
                match self.folder.make(&options) {
                    Ok(()) => {
                        self.options = options;
                        self.restarts.change(policy);
                        client.tell(&Packet::Changed);
                    }
                    Err(error) => client.tell(&Packet::Failed(error.to_json())),
                }
            }
            Packet::Input(bytes) if client.sends_input() => {
                if let Some(run) = run {
                    run.input.put(bytes);
                }
            }
            Packet::EndInput if client.sends_input() => {
                if let Some(run) = run {
                    run.input.end();
                }
            }
            Packet::Resize(size) => {
                if let Some(run) = run {
                    // Without a console, or after its end, there is nothing to be resized.
                    let _ = run.process.resize_console(size);
                }
            }
            _ => {}
        }
    }

    /// A signal that asks the supervisor to end asks the container to.
    fn take_signals(&mut self) -> Result<()> {
        while let Some(caught) = self.signals.next()? {
            if caught.signal.number() == CHILD {
                self.reap();
                continue;
            }
            self.held = true;
            // It may have ended by itself.
            let _ = match &self.owns {
                Some(exec) => {
                    let run = self.execs.run_of(exec);
                    run.map_or(Ok(()), |run| run.process.signal(Signal::TERM))
                }
                None => self.container.system().shutdown(),
            };
        }
        Ok(())
    }

    /// Reaps what the container has left behind. Not while an exec is being started: what that is made of belongs to its thread,
    /// and nobody here knows it.
    pub(super) fn reap(&self) {
        if self.execs.is_starting() {
            return;
        }
        let container = self.run.iter().map(|run| &run.process);
        let execs = self.execs.runs().map(|(_, _, run)| &run.process);
        let owned: Vec<_> = container.chain(execs).collect();
        // One that was waited for is owned no more: an orphan may have its number.
        let mut waited = Vec::new();
        loop {
            let owns =
                |pid| !waited.contains(&pid) && owned.iter().any(|process| process.pid() == pid);
            let Some(pid) = reap_orphans(&owns) else {
                return;
            };
            let process = owned.iter().find(|process| process.pid() == pid);
            // One that is still being ended with what it has started is waited for later.
            let now = Some(Duration::ZERO);
            if process.is_none_or(|process| process.wait(now).is_err()) {
                return;
            }
            waited.push(pid);
        }
    }

    /// Gives clients what they are still owed.
    fn farewell(&mut self) {
        let until = Instant::now() + FAREWELL;
        loop {
            self.clients.forget_gone();
            let in_time = Instant::now() < until;
            let owed = self.clients.is_owed(!in_time);
            if !owed || self.turn(in_time.then_some(until)).is_err() {
                return;
            }
        }
    }

    /// Writes down what it is doing. A disk that is full does not end the container.
    fn note(&self, state: SupervisorState, error: Option<String>) {
        let _ = self.folder.write_status(&SupervisorStatus {
            state,
            pid: std::process::id(),
            since: Timestamp::now(),
            restarts: self.restarts.count(),
            log_bytes_lost: self.log.lost(),
            error,
        });
    }
}

/// Makes the caller the one who starts and owns it, for as long as the result lives.
fn own(folder: &SupervisorFolder, request: &LaunchRequest) -> Result<File> {
    folder.lock()?.ok_or_else(|| {
        let Some(exec) = &request.exec else {
            return is_being_started(&request.id);
        };
        let operation = format!("start exec {exec}: it runs already");
        Error::new(ErrorKind::InvalidState, Phase::Start, operation).about(exec.as_str())
    })
}

/// What is said where two start a container at once.
pub(crate) fn is_being_started(id: &ContainerId) -> Error {
    let operation = format!("start container {id}: it is being started");
    Error::new(ErrorKind::InProgress, Phase::Start, operation).about(id.as_str())
}

fn not_running(container: &Container, exec: Option<&ExecId>) -> Error {
    if let Some(exec) = exec {
        let operation = format!("attach to exec {exec}: it does not run in the background");
        return Error::new(ErrorKind::InvalidState, Phase::Operate, operation).about(exec.as_str());
    }
    Error::new(
        ErrorKind::InvalidState,
        Phase::Operate,
        format!("attach to container {}: it is not running", container.id()),
    )
    .about(container.id().as_str())
}

pub(super) fn system_error(error: io::Error) -> Error {
    system("attend to the container", error)
}

fn system(operation: &str, error: io::Error) -> Error {
    let made = Error::new(ErrorKind::System, Phase::Operate, operation);
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_that_start_a_container_the_second_is_told_that_the_first_is_about_to() {
        let state = tempfile::tempdir().unwrap();
        let mut request = LaunchRequest {
            state_root: state.path().to_owned(),
            data_root: state.path().to_owned(),
            id: "web".parse().unwrap(),
            console: None,
            attach: None,
            exec: None,
        };
        let folder = SupervisorFolder::of(state.path(), state.path(), &request.id);
        folder.make(&SuperviseOptions::default()).unwrap();
        let first = own(&folder, &request).unwrap();
        let second = own(&folder, &request).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::InProgress);
        assert_eq!(second.subject(), Some("web"));
        request.exec = Some("job".parse().unwrap());
        let of_exec = own(&folder, &request).unwrap_err();
        assert_eq!(of_exec.kind(), ErrorKind::InvalidState);
        drop(first);
        own(&folder, &request).unwrap();
    }
}
