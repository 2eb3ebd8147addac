//! The driver over a service that fails, delays, reorders and loses what it can, at random: every operation ends, with the right result
//! or an error, and no system, process or handle is left.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use hoist_hcs::{
    Dialect, Guid, Hresult, Plan, Settings,
    calls::{
        CallbackHandle, CreatedProcess, HcsCalls, HcsExports, Issued, Limits, Notification,
        NotificationSink, ProcessHandle, SystemHandle,
    },
    driver::{BoxError, Driver, DriverError, Event, Exit, Patience, Receiver, Streams},
    request::{ContainerRequest, ProcessRequest},
};

/// What every process of the fake ends with by itself.
const CODE: i32 = 7;
const REFUSED: Hresult = Hresult(0x8007_05AA);
const GONE: Hresult = Hresult(0xC037_0110);

/// A small xorshift: the same seed gives the same faults.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct System {
    id: String,
    open: bool,
    alive: bool,
    sink: Option<(usize, Arc<dyn NotificationSink>)>,
}

struct Process {
    system: usize,
    open: bool,
    code: Option<u32>,
    sink: Option<(usize, Arc<dyn NotificationSink>)>,
}

#[derive(Default)]
struct State {
    systems: HashMap<usize, System>,
    processes: HashMap<usize, Process>,
    next: usize,
    calls: u64,
}

/// What the fake does wrong.
#[derive(Clone, Copy)]
struct Faults {
    /// One call in so many fails; 0: none.
    failing: u64,
    /// One notification in so many is lost; 0: none.
    losing: u64,
    /// Shutdowns are accepted and never done.
    deaf: bool,
}

struct Fake {
    state: Arc<Mutex<State>>,
    dice: Mutex<Dice>,
    faults: Faults,
    clerk: Mutex<Sender<Box<dyn FnOnce() + Send>>>,
}

#[derive(Clone)]
struct Service(Arc<Fake>);

impl Service {
    fn new(seed: u64, faults: Faults) -> Self {
        let (sender, work) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        thread::spawn(move || {
            for job in work {
                job();
            }
        });
        Self(Arc::new(Fake {
            state: Arc::default(),
            dice: Mutex::new(Dice(seed | 1)),
            faults,
            clerk: Mutex::new(sender),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn one_in(&self, sides: u64) -> bool {
        sides != 0 && self.0.dice.lock().unwrap().roll(sides) == 0
    }

    /// Counts a call, and fails it where it is its turn.
    fn call(&self) -> Result<(), Hresult> {
        self.state().calls += 1;
        if self.one_in(self.0.faults.failing) {
            return Err(REFUSED);
        }
        Ok(())
    }

    /// Makes a callback on the service's own thread, after this call has returned or before.
    fn notify(&self, sink: Option<Arc<dyn NotificationSink>>, notification: Notification) {
        if self.one_in(self.0.faults.losing) {
            return;
        }
        let job = move || {
            if let Some(sink) = sink {
                sink.notify(notification, Hresult::OK);
            }
        };
        self.0.clerk.lock().unwrap().send(Box::new(job)).unwrap();
    }

    /// Ends a system with its processes.
    fn end(&self, system: usize, code: u32) {
        let mut state = self.state();
        let mut told = Vec::new();
        for process in state.processes.values_mut() {
            if process.system == system && process.code.is_none() {
                process.code = Some(code);
                told.push((process.sink.clone(), Notification::ProcessExited));
            }
        }
        if let Some(system) = state.systems.get_mut(&system) {
            system.alive = false;
            told.push((system.sink.clone(), Notification::SystemExited));
        }
        drop(state);
        for (sink, notification) in told {
            self.notify(sink.map(|(_, sink)| sink), notification);
        }
    }

    fn exit(&self, process: usize, code: u32) {
        let mut state = self.state();
        let Some(known) = state.processes.get_mut(&process) else {
            return;
        };
        if known.code.is_some() {
            return;
        }
        known.code = Some(code);
        let sink = known.sink.clone();
        drop(state);
        self.notify(sink.map(|(_, sink)| sink), Notification::ProcessExited);
    }

    fn pending(&self, system: SystemHandle, completion: Notification) -> Issued {
        if let Err(hresult) = self.call() {
            return hresult.into();
        }
        let sink = match self.state().systems.get(&system.0) {
            Some(system) if system.alive => system.sink.clone(),
            _ => return GONE.into(),
        };
        if self.one_in(2) {
            return Hresult::OK.into();
        }
        self.notify(sink.map(|(_, sink)| sink), completion);
        Hresult::PENDING.into()
    }

    fn left(&self) -> (usize, usize, usize) {
        let state = self.state();
        let alive = state
            .systems
            .values()
            .filter(|system| system.alive && system.open)
            .count();
        let handles = state.systems.values().filter(|system| system.open).count()
            + state
                .processes
                .values()
                .filter(|process| process.open)
                .count();
        let callbacks = state
            .systems
            .values()
            .filter(|system| system.sink.is_some())
            .count()
            + state
                .processes
                .values()
                .filter(|process| process.sink.is_some())
                .count();
        (alive, handles, callbacks)
    }
}

impl HcsExports for Service {
    fn name_to_guid(&self, name: &str) -> Result<Guid, Hresult> {
        self.call()?;
        Ok(Guid::of_layer_name(name))
    }

    fn enumerate(&self, _query: &str) -> Result<String, Issued> {
        let state = self.state();
        let alive = state.systems.values().filter(|system| system.alive);
        let list: Vec<String> = alive
            .map(|system| format!(r#"{{"Id":"{}","Owner":"hoist"}}"#, system.id))
            .collect();
        Ok(format!(
            r#"[{}{}{{"Id":"theirs","Owner":"another"}}]"#,
            list.join(","),
            if list.is_empty() { "" } else { "," }
        ))
    }

    fn create_compute_system(
        &self,
        id: &str,
        _configuration: &str,
    ) -> Result<(Hresult, SystemHandle), Issued> {
        self.call()?;
        let mut state = self.state();
        state.next += 1;
        let handle = state.next;
        let system = System {
            id: id.to_owned(),
            open: true,
            alive: true,
            sink: None,
        };
        state.systems.insert(handle, system);
        drop(state);
        if self.one_in(2) {
            return Ok((Hresult::OK, SystemHandle(handle)));
        }
        Ok((Hresult::PENDING, SystemHandle(handle)))
    }

    fn open_compute_system(&self, id: &str) -> Result<SystemHandle, Issued> {
        let mut state = self.state();
        let mut systems = state.systems.iter_mut();
        match systems.find(|(_, system)| system.alive && system.id == id) {
            Some((handle, system)) => {
                system.open = true;
                Ok(SystemHandle(*handle))
            }
            None => Err(GONE.into()),
        }
    }

    fn close_compute_system(&self, system: SystemHandle) -> Hresult {
        let mut state = self.state();
        let known = state.systems.get_mut(&system.0).unwrap();
        assert!(known.open, "a handle is closed once");
        assert!(known.sink.is_none(), "the callback is unregistered before");
        known.open = false;
        Hresult::OK
    }

    fn register_system_callback(
        &self,
        system: SystemHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        self.call()?;
        let mut state = self.state();
        state.next += 1;
        let callback = state.next;
        state.systems.get_mut(&system.0).unwrap().sink = Some((callback, Arc::clone(&sink)));
        drop(state);
        // A creation that was pending is done now.
        self.notify(Some(sink), Notification::SystemCreateCompleted);
        Ok(CallbackHandle(callback))
    }

    fn unregister_system_callback(&self, callback: CallbackHandle) -> Hresult {
        for system in self.state().systems.values_mut() {
            if system
                .sink
                .as_ref()
                .is_some_and(|(known, _)| *known == callback.0)
            {
                system.sink = None;
            }
        }
        Hresult::OK
    }

    fn start_compute_system(&self, system: SystemHandle, _options: Option<&str>) -> Issued {
        self.pending(system, Notification::SystemStartCompleted)
    }

    fn shutdown_compute_system(&self, system: SystemHandle, _options: Option<&str>) -> Issued {
        if let Err(hresult) = self.call() {
            return hresult.into();
        }
        if !self.state().systems[&system.0].alive {
            return GONE.into();
        }
        if !self.0.faults.deaf {
            self.end(system.0, 0x4001_0004);
        }
        Hresult::PENDING.into()
    }

    fn terminate_compute_system(&self, system: SystemHandle, _options: Option<&str>) -> Issued {
        // What ends by force is not made to fail: then the driver could only report.
        self.state().calls += 1;
        if !self.state().systems[&system.0].alive {
            return GONE.into();
        }
        self.end(system.0, 1067);
        Hresult::PENDING.into()
    }

    fn pause_compute_system(&self, system: SystemHandle, _options: Option<&str>) -> Issued {
        self.pending(system, Notification::SystemPauseCompleted)
    }

    fn resume_compute_system(&self, system: SystemHandle, _options: Option<&str>) -> Issued {
        self.pending(system, Notification::SystemResumeCompleted)
    }

    fn system_properties(&self, _system: SystemHandle, _query: &str) -> Result<String, Issued> {
        self.call()?;
        Ok("{}".to_owned())
    }

    fn modify_compute_system(&self, _system: SystemHandle, _request: &str) -> Issued {
        Hresult::OK.into()
    }

    fn create_process(
        &self,
        system: SystemHandle,
        parameters: &str,
    ) -> Result<CreatedProcess<ProcessHandle>, Issued> {
        self.call()?;
        let mut state = self.state();
        if !state.systems[&system.0].alive {
            return Err(GONE.into());
        }
        state.next += 1;
        let handle = state.next;
        let process = Process {
            system: system.0,
            open: true,
            code: None,
            sink: None,
        };
        state.processes.insert(handle, process);
        drop(state);
        if !parameters.contains("stays") {
            let service = self.clone();
            let job = move || service.exit(handle, CODE.cast_unsigned());
            // Now and then before anything could be registered.
            if self.one_in(3) {
                job();
            } else {
                self.0.clerk.lock().unwrap().send(Box::new(job)).unwrap();
            }
        }
        Ok(CreatedProcess {
            handle: ProcessHandle(handle),
            pid: u32::try_from(handle).unwrap(),
            stdin: None,
            stdout: None,
            stderr: None,
        })
    }

    fn open_process(&self, _system: SystemHandle, _pid: u32) -> Result<ProcessHandle, Issued> {
        Err(GONE.into())
    }

    fn close_process(&self, process: ProcessHandle) -> Hresult {
        let mut state = self.state();
        let known = state.processes.get_mut(&process.0).unwrap();
        assert!(known.open, "a handle is closed once");
        assert!(known.sink.is_none(), "the callback is unregistered before");
        known.open = false;
        Hresult::OK
    }

    fn terminate_process(&self, process: ProcessHandle) -> Issued {
        self.state().calls += 1;
        self.exit(process.0, 1067);
        Hresult::OK.into()
    }

    fn signal_process(&self, _process: ProcessHandle, _options: &str) -> Issued {
        Hresult::OK.into()
    }

    fn process_properties(&self, process: ProcessHandle) -> Result<String, Issued> {
        self.call()?;
        Ok(match self.state().processes[&process.0].code {
            Some(code) => format!(r#"{{"Exited":true,"ExitCode":{code}}}"#),
            None => r#"{"Exited":false}"#.to_owned(),
        })
    }

    fn modify_process(&self, _process: ProcessHandle, _request: &str) -> Issued {
        Hresult::OK.into()
    }

    fn register_process_callback(
        &self,
        process: ProcessHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        self.call()?;
        let mut state = self.state();
        state.next += 1;
        let callback = state.next;
        let known = state.processes.get_mut(&process.0).unwrap();
        known.sink = Some((callback, Arc::clone(&sink)));
        let ended = known.code.is_some();
        drop(state);
        // A process that has ended before is told of as well.
        if ended {
            self.notify(Some(sink), Notification::ProcessExited);
        }
        Ok(CallbackHandle(callback))
    }

    fn unregister_process_callback(&self, callback: CallbackHandle) -> Hresult {
        for process in self.state().processes.values_mut() {
            if process
                .sink
                .as_ref()
                .is_some_and(|(known, _)| *known == callback.0)
            {
                process.sink = None;
            }
        }
        Hresult::OK
    }

    fn terminate_process_by_id(&self, _id: &str, pid: u32) -> Hresult {
        self.exit(pid as usize, 1067);
        Hresult::OK
    }

    fn hns_call(&self, _method: &str, _path: &str, _object: &str) -> Result<String, Hresult> {
        Err(REFUSED)
    }
}

#[derive(Default)]
struct Quiet(Arc<AtomicUsize>);

impl Receiver for Quiet {
    fn event(&self, _event: &Event) -> Result<(), BoxError> {
        Ok(())
    }

    fn warning(&self, _words: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Subject<E = Service> = Driver<HcsCalls<E>>;

/// Generous: the machine may be slow, and nothing waits for so long but what hangs.
const LONG: Duration = Duration::from_secs(60);
/// After so long a notification of a system counts as lost. One that is only late makes a run fail as a lost one does, which is right, too.
const UNTIL_LOST: Duration = Duration::from_millis(200);

fn driver(service: &Service, limit: Duration) -> Subject {
    driver_over(service.clone(), &Arc::default(), limit)
}

/// With so long for a system to come as far as it is asked to: to be made, to start, and to end.
fn driver_over<E: HcsExports>(
    exports: E,
    warnings: &Arc<AtomicUsize>,
    limit: Duration,
) -> Subject<E> {
    let limits = Limits {
        operation: limit,
        poll: Duration::from_millis(20),
    };
    Driver::with_patience(
        HcsCalls::new(exports, Dialect::Schema1, limits),
        Settings::hoist(),
        Box::new(Quiet(Arc::clone(warnings))),
        Patience {
            ending: limit,
            output: LONG,
        },
    )
}

fn streams() -> Streams {
    Streams {
        stdin: None,
        stdout: Box::new(io::sink()),
        stderr: Box::new(io::sink()),
    }
}

fn plan(id: &str, program: &str) -> Plan {
    let request = ContainerRequest {
        id: id.to_owned(),
        layer_paths: vec![r"C:\layers\4".to_owned()],
        process: process(program),
        ..ContainerRequest::default()
    };
    Plan::new(request, false, &Settings::hoist()).unwrap()
}

fn process(program: &str) -> ProcessRequest {
    ProcessRequest {
        arguments: vec![program.to_owned()],
        ..ProcessRequest::default()
    }
}

/// The right code, an error that names a call, or, where faults were made, an end that is not known.
fn assert_right(result: &Result<Exit, DriverError>) {
    match result {
        Ok(Exit::Code(CODE)) => {}
        Ok(other) => panic!("ended with {other:?}"),
        Err(error) => assert!(error.function().is_some(), "{error}"),
    }
}

const RUNS: usize = 2_000;

#[test]
fn two_thousand_runs_with_faults_end_right_and_leave_nothing() {
    let faults = Faults {
        failing: 12,
        losing: 40,
        deaf: false,
    };
    let service = Service::new(0x5EED, faults);
    let driver = driver(&service, UNTIL_LOST);
    let mut failed = 0;
    for number in 0..RUNS {
        let result = driver.run(plan(&format!("c{number}"), "probe"), streams(), None);
        assert_right(&result);
        failed += usize::from(result.is_err());
        assert_eq!(service.left(), (0, 0, 0), "after run {number}: {result:?}");
    }
    assert!(
        failed > RUNS / 10 && failed < RUNS,
        "{failed} runs failed: the faults were made"
    );
}

#[test]
fn two_thousand_execs_with_faults_end_right_and_leave_nothing() {
    let faults = Faults {
        failing: 0,
        losing: 40,
        deaf: false,
    };
    let service = Service::new(0xFEED, faults);
    let driver = Arc::new(driver(&service, LONG));
    let runner = Arc::clone(&driver);
    let running = thread::spawn(move || runner.run(plan("c", "stays"), streams(), None));
    while !driver.is_running("c") {
        thread::sleep(Duration::from_millis(1));
    }
    let (_, handles, callbacks) = service.left();
    for number in 0..RUNS {
        let result = driver.exec("c", &process("probe"), streams(), None);
        assert!(
            matches!(result, Ok(Exit::Code(CODE))),
            "exec {number}: {result:?}"
        );
        assert_eq!(
            service.left(),
            (1, handles, callbacks),
            "after exec {number}"
        );
    }
    driver.signal("c", 9).unwrap();
    let exit = running.join().unwrap();
    assert!(
        matches!(exit, Ok(Exit::Code(1067) | Exit::Terminated)),
        "{exit:?}"
    );
    assert_eq!(service.left(), (0, 0, 0));
}

#[test]
fn a_shutdown_that_is_never_done_becomes_a_terminate() {
    let faults = Faults {
        failing: 0,
        losing: 0,
        deaf: true,
    };
    let service = Service::new(1, faults);
    let warnings = Arc::new(AtomicUsize::new(0));
    // What is waited for here never comes; what is ended by force then ends at once.
    let driver = driver_over(service.clone(), &warnings, Duration::from_secs(3));
    let result = driver.run(plan("c", "probe"), streams(), None);
    assert!(matches!(result, Ok(Exit::Code(CODE))), "{result:?}");
    assert_eq!(service.left(), (0, 0, 0));
    assert_eq!(warnings.load(Ordering::Relaxed), 1);
}

/// The service never connects to a pipe that a document names.
#[cfg(windows)]
#[test]
fn a_process_whose_named_pipe_nobody_connects_to_is_ended_and_the_call_fails_in_time() {
    use hoist_hcs::sys::NamedPipes;
    use hoist_windows::pipe_names::PipeSpace;
    /// `HRESULT_FROM_WIN32(ERROR_TIMEOUT)`.
    const TIMEOUT: Hresult = Hresult(0x8007_05B4);
    let faults = Faults {
        failing: 0,
        losing: 0,
        deaf: false,
    };
    let service = Service::new(1, faults);
    let pipes = |service: &Service| {
        let limit = Duration::from_millis(300);
        NamedPipes::new(service.clone(), PipeSpace::Machine, limit)
    };
    let unconnected = driver_over(pipes(&service), &Arc::default(), LONG);
    // Twice: the names are free again.
    for round in 1..=2 {
        let id = format!("unconnected-{}", std::process::id());
        let begun = std::time::Instant::now();
        let error = unconnected
            .run(plan(&id, "stays"), streams(), None)
            .unwrap_err();
        assert_eq!(error.hresult(), Some(TIMEOUT), "{error}");
        assert!(error.to_string().contains(r"\\.\pipe\"), "{error}");
        // Generous: the machine may be slow.
        assert!(begun.elapsed() < Duration::from_secs(60));
        let codes: Vec<_> = {
            let state = service.state();
            state.processes.values().map(|one| one.code).collect()
        };
        assert_eq!(codes, vec![Some(1067); round], "they were ended by force");
        assert_eq!(service.left(), (0, 0, 0));
    }
}

#[test]
fn no_single_lost_notification_makes_a_run_hang() {
    // With every notification lost, whatever hangs on one hangs.
    let faults = Faults {
        failing: 0,
        losing: 1,
        deaf: false,
    };
    for seed in 1..20 {
        let service = Service::new(seed, faults);
        let driver = driver(&service, UNTIL_LOST);
        let result = driver.run(plan("c", "probe"), streams(), None);
        assert_right(&result);
        assert_eq!(service.left(), (0, 0, 0), "{result:?}");
    }
}

#[test]
fn what_a_killed_driver_has_left_is_found_by_its_owner_and_ended() {
    let faults = Faults {
        failing: 0,
        losing: 0,
        deaf: false,
    };
    let service = Service::new(1, faults);
    // Left by a process that was killed: the service has them, and nobody holds a handle.
    for id in ["left-1", "left-2"] {
        let (_, handle) = service.create_compute_system(id, "{}").unwrap();
        service.state().systems.get_mut(&handle.0).unwrap().open = false;
    }
    let driver = driver(&service, LONG);
    let mut ended = driver.end_leftovers().unwrap();
    ended.sort();
    assert_eq!(ended, ["left-1", "left-2"]);
    assert_eq!(service.left(), (0, 0, 0));
    assert!(driver.end_leftovers().unwrap().is_empty());
}
