//! A backend for tests: containers are entries of a table, their processes are real children without isolation.
#![allow(
    unsafe_code,
    reason = "a child gets its session and console between fork and exec"
)]

use std::{
    collections::HashMap,
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use hoist_compute::{
    ComputeService, ComputeSystem, Error, ErrorKind, ExitStatus, Features, MemoryStatistics, Phase,
    Process, ProcessEntry, Properties, Query, Result, State, Statistics, Stdio, Stream, Streams,
    Summary, Timestamp,
};
use hoist_spec::{
    ConsoleSize, ContainerId, ContainerSpec, ProcessSpec, RootSource, SeccompPolicy, Signal,
    StopPolicy,
    oci::{self, LinuxResources},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, kill_process_group, pidfd_open, pidfd_send_signal},
    pty::{OpenptFlags, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// A container spec that runs `arguments` on this machine.
pub(crate) fn spec(arguments: &[&str]) -> ContainerSpec {
    let mut container = oci::Spec::default();
    container.set_process(Some(process(arguments).oci));
    ContainerSpec {
        oci: container,
        root: RootSource::Host,
        user: None,
        groups: Vec::new(),
        seccomp: SeccompPolicy::Default,
        init: false,
        stop: StopPolicy::default(),
        joined: Vec::new(),
    }
}

/// A process that runs `arguments`.
pub(crate) fn process(arguments: &[&str]) -> ProcessSpec {
    let mut process = oci::Process::default();
    process.set_args(Some(arguments.iter().map(|&one| one.to_owned()).collect()));
    ProcessSpec {
        oci: process,
        user: None,
    }
}

/// What is to go wrong, and what is to be reported.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) start_fails: AtomicBool,
    pub(crate) terminate_hangs: AtomicBool,
    pub(crate) updates_fail: AtomicBool,
    pub(crate) create_is_slow: AtomicBool,
    pub(crate) oom_kills: AtomicU64,
}

#[derive(Default)]
pub(crate) struct FakeService {
    containers: Arc<Mutex<HashMap<ContainerId, Arc<Container>>>>,
    pub(crate) faults: Arc<Faults>,
}

struct Container {
    id: ContainerId,
    spec: ContainerSpec,
    created_at: Timestamp,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    first: Option<Arc<Running>>,
    further: Vec<Arc<Running>>,
    paused: bool,
}

#[derive(Clone)]
struct FakeSystem {
    container: Arc<Container>,
    containers: Arc<Mutex<HashMap<ContainerId, Arc<Container>>>>,
    faults: Arc<Faults>,
}

fn refused(kind: ErrorKind, operation: &str) -> Error {
    Error::new(kind, Phase::Operate, operation)
}

impl FakeService {
    fn system(&self, container: &Arc<Container>) -> Box<dyn ComputeSystem> {
        Box::new(FakeSystem {
            container: Arc::clone(container),
            containers: Arc::clone(&self.containers),
            faults: Arc::clone(&self.faults),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.containers.lock().unwrap().is_empty()
    }
}

impl ComputeService for FakeService {
    fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Box<dyn ComputeSystem>> {
        if self.faults.create_is_slow.load(SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        let mut containers = self.containers.lock().unwrap();
        if containers.contains_key(id) {
            return Err(refused(ErrorKind::AlreadyExists, "create"));
        }
        let container = Arc::new(Container {
            id: id.clone(),
            spec: spec.clone(),
            created_at: Timestamp::now(),
            life: Mutex::default(),
        });
        containers.insert(id.clone(), Arc::clone(&container));
        Ok(self.system(&container))
    }

    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>> {
        match self.containers.lock().unwrap().get(id) {
            Some(container) => Ok(self.system(container)),
            None => Err(refused(ErrorKind::NotFound, "open")),
        }
    }

    fn enumerate(&self) -> Result<Vec<Summary>> {
        let containers: Vec<_> = self.containers.lock().unwrap().values().cloned().collect();
        Ok(containers
            .iter()
            .map(|container| container.summary())
            .collect())
    }

    fn features(&self) -> Features {
        Features::default()
    }
}

impl Container {
    fn first(&self) -> Result<Arc<Running>> {
        let life = self.life.lock().unwrap();
        life.first
            .clone()
            .ok_or_else(|| refused(ErrorKind::InvalidState, "not started"))
    }

    fn state(&self) -> State {
        let life = self.life.lock().unwrap();
        match &life.first {
            None => State::Created,
            Some(first) if first.wait(Some(Duration::ZERO)).is_ok() => State::Stopped,
            Some(_) if life.paused => State::Paused,
            Some(_) => State::Running,
        }
    }

    fn summary(&self) -> Summary {
        let state = self.state();
        let first = self.life.lock().unwrap().first.clone();
        Summary {
            id: self.id.clone(),
            state,
            pid: first
                .as_ref()
                .filter(|_| state != State::Stopped)
                .map(|first| first.pid),
            command: arguments(self.spec.oci.process().as_ref()),
            created_at: self.created_at,
            started_at: first.as_ref().map(|_| self.created_at),
            exit: first.and_then(|first| first.wait(Some(Duration::ZERO)).ok()),
        }
    }
}

fn arguments(process: Option<&oci::Process>) -> Vec<String> {
    process
        .and_then(|process| process.args().clone())
        .unwrap_or_default()
}

impl ComputeSystem for FakeSystem {
    fn id(&self) -> &ContainerId {
        &self.container.id
    }

    fn spec(&self) -> &ContainerSpec {
        &self.container.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>> {
        if self.faults.start_fails.load(SeqCst) {
            return Err(refused(ErrorKind::System, "start"));
        }
        let mut life = self.container.life.lock().unwrap();
        if life.first.is_some() {
            return Err(refused(ErrorKind::InvalidState, "start"));
        }
        let running = spawn(
            &arguments(self.container.spec.oci.process().as_ref()),
            stdio,
        )?;
        life.first = Some(Arc::clone(&running));
        Ok(Box::new(FakeProcess(running)))
    }

    fn create_process(&self, process: &ProcessSpec, stdio: Stdio) -> Result<Box<dyn Process>> {
        if self.container.state() != State::Running {
            return Err(refused(ErrorKind::InvalidState, "exec"));
        }
        let running = spawn(&arguments(Some(&process.oci)), stdio)?;
        let mut life = self.container.life.lock().unwrap();
        life.further.push(Arc::clone(&running));
        Ok(Box::new(FakeProcess(running)))
    }

    fn pause(&self) -> Result<()> {
        let first = self.container.first()?;
        kill_process_group(first.group(), rustix::process::Signal::STOP).unwrap();
        self.container.life.lock().unwrap().paused = true;
        Ok(())
    }

    fn resume(&self) -> Result<()> {
        let first = self.container.first()?;
        self.container.life.lock().unwrap().paused = false;
        kill_process_group(first.group(), rustix::process::Signal::CONT).unwrap();
        Ok(())
    }

    fn modify(&self, _resources: &LinuxResources) -> Result<()> {
        Err(refused(ErrorKind::Unsupported, "modify"))
    }

    fn state(&self) -> Result<State> {
        Ok(self.container.state())
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let summary = self.container.summary();
        let entry = |pid| ProcessEntry {
            waits_in_kernel: None,
            pid,
            parent: std::process::id(),
            uid: 0,
            cpu_milliseconds: 0,
            started_at: summary.created_at,
            command: summary.command.join(" "),
        };
        Ok(Properties {
            processes: query
                .processes
                .then(|| summary.pid.into_iter().map(entry).collect()),
            statistics: query.statistics.then(|| Statistics {
                memory: Some(MemoryStatistics {
                    oom_kills: self.faults.oom_kills.load(SeqCst),
                    ..MemoryStatistics::default()
                }),
                ..Statistics::default()
            }),
            summary,
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.container.first()?.signal(signal)
    }

    fn install_updates(&self) -> Result<()> {
        match self.faults.updates_fail.load(SeqCst) {
            true => Err(refused(ErrorKind::System, "install updates")),
            false => Ok(()),
        }
    }

    fn shutdown(&self) -> Result<()> {
        self.signal(self.container.spec.stop.signal)
    }

    fn terminate(&self) -> Result<()> {
        while self.faults.terminate_hangs.load(SeqCst) {
            thread::sleep(Duration::from_millis(10));
        }
        let processes: Vec<_> = {
            let life = self.container.life.lock().unwrap();
            life.first.iter().chain(&life.further).cloned().collect()
        };
        for process in processes {
            let _ = kill_process_group(process.group(), rustix::process::Signal::KILL);
            process.wait(None)?;
        }
        Ok(())
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.container.first()?.wait(timeout)
    }

    fn delete(&self) -> Result<()> {
        if matches!(self.container.state(), State::Running | State::Paused) {
            return Err(refused(ErrorKind::InvalidState, "delete"));
        }
        let mut containers = self.containers.lock().unwrap();
        containers.remove(&self.container.id);
        Ok(())
    }
}

struct Running {
    pid: u32,
    pidfd: OwnedFd,
    child: Mutex<(Child, Option<ExitStatus>)>,
    streams: Mutex<Streams>,
    console: Option<File>,
}

struct FakeProcess(Arc<Running>);

fn spawn(arguments: &[String], stdio: Stdio) -> Result<Arc<Running>> {
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]);
    let mut streams = Streams::default();
    let mut console = None;
    let on_console = matches!(stdio, Stdio::Console(_));
    match stdio {
        Stdio::Streams {
            stdin,
            stdout,
            stderr,
        } => {
            command
                .stdin(standard(stdin))
                .stdout(standard(stdout))
                .stderr(standard(stderr));
        }
        Stdio::Console(size) => {
            let controlling =
                openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
            unlockpt(&controlling).unwrap();
            tcsetwinsize(&controlling, winsize(size)).unwrap();
            let name = ptsname(&controlling, Vec::new()).unwrap();
            let other = File::options()
                .read(true)
                .write(true)
                .open(name.to_str().unwrap())
                .unwrap();
            command
                .stdin(other.try_clone().unwrap())
                .stdout(other.try_clone().unwrap())
                .stderr(other);
            let controlling = File::from(controlling);
            console = Some(controlling.try_clone().unwrap());
            streams.console = Some(controlling);
        }
    }
    // SAFETY: between fork and exec only two system calls are made; descriptor 0 is the child's, as set above.
    unsafe {
        command.pre_exec(move || {
            rustix::process::setsid()?;
            if on_console {
                rustix::process::ioctl_tiocsctty(BorrowedFd::borrow_raw(0))?;
            }
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(|cause| {
        Error::new(ErrorKind::NotFound, Phase::Execute, "execute").because(cause)
    })?;
    streams.stdin = child.stdin.take().map(|end| OwnedFd::from(end).into());
    streams.stdout = child.stdout.take().map(|end| OwnedFd::from(end).into());
    streams.stderr = child.stderr.take().map(|end| OwnedFd::from(end).into());
    let pid = child.id();
    let raw = Pid::from_raw(pid.cast_signed()).unwrap();
    Ok(Arc::new(Running {
        pid,
        pidfd: pidfd_open(raw, PidfdFlags::empty()).unwrap(),
        child: Mutex::new((child, None)),
        streams: Mutex::new(streams),
        console,
    }))
}

fn standard(stream: Stream) -> std::process::Stdio {
    match stream {
        Stream::Null => std::process::Stdio::null(),
        Stream::Given(file) => file.into(),
        Stream::Pipe => std::process::Stdio::piped(),
    }
}

fn winsize(size: ConsoleSize) -> Winsize {
    Winsize {
        ws_row: size.height,
        ws_col: size.width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Running {
    fn group(&self) -> Pid {
        Pid::from_raw(self.pid.cast_signed()).unwrap()
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).unwrap());
        let mut descriptors = [PollFd::new(&self.pidfd, PollFlags::IN)];
        if poll(&mut descriptors, timeout.as_ref()).unwrap() == 0 {
            return Err(refused(ErrorKind::Timeout, "wait"));
        }
        let (child, status) = &mut *self.child.lock().unwrap();
        if status.is_none() {
            let ended = child.wait().unwrap();
            *status = Some(match ended.signal().and_then(Signal::from_number) {
                Some(signal) => ExitStatus::signalled(signal),
                None => ExitStatus::exited(ended.code().unwrap()),
            });
        }
        Ok(status.clone().unwrap())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let ended = || refused(ErrorKind::InvalidState, "signal");
        // SAFETY: the number is that of a signal; it is only sent.
        let signal = unsafe { rustix::process::Signal::from_raw_unchecked(signal.number()) };
        pidfd_send_signal(&self.pidfd, signal).map_err(|_| ended())
    }
}

impl Process for FakeProcess {
    fn pid(&self) -> u32 {
        self.0.pid
    }

    fn take_streams(&self) -> Streams {
        std::mem::take(&mut self.0.streams.lock().unwrap())
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.0.wait(timeout)
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.0.pidfd.as_fd()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.0.signal(signal)
    }

    fn resize_console(&self, size: ConsoleSize) -> Result<()> {
        match &self.0.console {
            Some(console) => {
                tcsetwinsize(console, winsize(size)).unwrap();
                Ok(())
            }
            None => Err(refused(ErrorKind::InvalidState, "resize")),
        }
    }

    fn close_stdin(&self) -> Result<()> {
        self.0.streams.lock().unwrap().stdin = None;
        Ok(())
    }
}
