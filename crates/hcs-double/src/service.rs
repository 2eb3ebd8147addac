//! The service behind the exports, call by call.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    documents,
    faults::Faults,
    processes::{self, Job, Started},
    protocol::{Notice, Reply, Request},
    state::{Callback, Object, Phase, Process, State, System, Tell},
};

pub(crate) const OK: i32 = 0;
const PENDING: i32 = 0xC037_0103_u32.cast_signed();
const INVALID_STATE: i32 = 0xC037_0105_u32.cast_signed();
const INVALID_JSON: i32 = 0xC037_010D_u32.cast_signed();
const NOT_FOUND: i32 = 0xC037_010E_u32.cast_signed();
const EXISTS: i32 = 0xC037_010F_u32.cast_signed();
const STOPPED: i32 = 0xC037_0110_u32.cast_signed();
const PROCESS_STOPPED: i32 = 0xC037_011F_u32.cast_signed();
const GONE: i32 = 0x8007_0490_u32.cast_signed();
const NOT_SUPPORTED: i32 = 0x8007_0032_u32.cast_signed();
const NO_FUNCTION: i32 = 0x8007_007F_u32.cast_signed();

const SYSTEM_EXITED: u32 = 0x1;
const CREATE_COMPLETED: u32 = 0x2;
const START_COMPLETED: u32 = 0x3;
const PAUSE_COMPLETED: u32 = 0x4;
const RESUME_COMPLETED: u32 = 0x5;
const PROCESS_EXITED: u32 = 0x1_0000;

/// The variable of a process that leaves updates.
const LEAVES_UPDATES: &str = "HOIST_HCS_DOUBLE_LEAVES_UPDATES";
/// The variable by which a process learns that it is in a servicing container.
const IS_SERVICING: &str = "HOIST_HCS_DOUBLE_IS_SERVICING";

/// The service.
pub(crate) struct Service {
    state: Mutex<State>,
    faults: Mutex<Faults>,
}

fn explain(code: i32, words: &str) -> Reply {
    Reply {
        hresult: code,
        document: Some(json!({"Error": code, "ErrorMessage": words}).to_string()),
        ..Reply::default()
    }
}

fn code(hresult: i32) -> Reply {
    Reply {
        hresult,
        ..Reply::default()
    }
}

fn answer(text: String) -> Reply {
    Reply {
        answer: Some(text),
        ..Reply::default()
    }
}

/// Why a system takes no process; none where it does.
fn refused(system: &System) -> Option<Reply> {
    match system.phase {
        Phase::Running => None,
        Phase::Stopped => Some(explain(STOPPED, "the system does not run")),
        Phase::Created | Phase::Paused => Some(explain(INVALID_STATE, "the system does not run")),
    }
}

impl Service {
    pub(crate) fn new(faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            faults: Mutex::new(faults),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A client is there.
    pub(crate) fn attach(&self, client: u32, tell: Tell) {
        self.state().clients.insert(client, tell);
    }

    /// A client has gone: what it had open is closed.
    pub(crate) fn detach(&self, client: u32) {
        let mut state = self.state();
        state.clients.remove(&client);
        state.callbacks.retain(|callback| callback.client != client);
        let handles: Vec<usize> = state
            .handles
            .iter()
            .filter_map(|(handle, open)| (open.client == client).then_some(*handle))
            .collect();
        for handle in handles {
            state.close(handle);
        }
    }

    fn notify(&self, listeners: Vec<(Tell, usize)>, kind: u32) {
        for (tell, callback) in listeners {
            let fault = self.faults().at_notification(kind);
            if fault.drop {
                continue;
            }
            let notice = Notice {
                callback,
                kind,
                status: fault.fail.unwrap_or(OK),
            };
            if fault.wait == 0 {
                tell(notice);
            } else {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(fault.wait));
                    tell(notice);
                });
            }
        }
    }

    /// Does what is asked for.
    pub(crate) fn call(self: &Arc<Self>, request: &Request) -> Reply {
        let fault = self.faults().at_call(&request.function);
        if fault.wait > 0 {
            thread::sleep(Duration::from_millis(fault.wait));
        }
        if fault.die {
            std::process::exit(3);
        }
        if let Some(hresult) = fault.fail {
            return explain(hresult, "a fault was asked for");
        }
        let text = |index: usize| request.texts.get(index).map_or("", String::as_str);
        match request.function.as_str() {
            "HcsCreateComputeSystem" => self.create_system(request, text(0), text(1)),
            "HcsOpenComputeSystem" => self.open_system(request, text(0)),
            "HcsCloseComputeSystem" | "HcsCloseProcess" => {
                code(if self.state().close(request.handle) {
                    OK
                } else {
                    GONE
                })
            }
            "HcsRegisterComputeSystemCallback" | "HcsRegisterProcessCallback" => {
                self.register(request)
            }
            "HcsUnregisterComputeSystemCallback" | "HcsUnregisterProcessCallback" => {
                self.state().callbacks.retain(|callback| {
                    callback.number != request.handle || callback.client != request.client
                });
                code(OK)
            }
            "HcsStartComputeSystem" => {
                self.move_system(request, Phase::Created, Phase::Running, START_COMPLETED)
            }
            "HcsPauseComputeSystem" => {
                self.move_system(request, Phase::Running, Phase::Paused, PAUSE_COMPLETED)
            }
            "HcsResumeComputeSystem" => {
                self.move_system(request, Phase::Paused, Phase::Running, RESUME_COMPLETED)
            }
            "HcsShutdownComputeSystem" => self.end(request, true),
            "HcsTerminateComputeSystem" => self.end(request, false),
            "HcsGetComputeSystemProperties" => self.system_properties(request, text(0)),
            "HcsEnumerateComputeSystems" => self.enumerate(text(0)),
            "HcsModifyComputeSystem" => self.modify_system(request, text(0)),
            "HcsCreateProcess" => self.create_process(request, text(0)),
            "HcsOpenProcess" => self.open_process(request),
            "HcsTerminateProcess" => self.end_process(request),
            "HcsSignalProcess" => self.signal_process(request, text(0)),
            "HcsGetProcessProperties" => self.process_properties(request),
            "HcsModifyProcess" => self.modify_process(request, text(0)),
            "HoistDoubleReport" => self.report(),
            _ => code(NO_FUNCTION),
        }
    }

    fn create_system(&self, request: &Request, id: &str, configuration: &str) -> Reply {
        let document = match documents::Container::read(configuration) {
            Ok(document) => document,
            Err(words) => return explain(INVALID_JSON, &words),
        };
        if document.name != id {
            return explain(INVALID_JSON, "Name is not the id");
        }
        let job = match Job::new().map(Arc::new) {
            Ok(job) => job,
            Err(error) => return explain(0x8007_05AA_u32.cast_signed(), &error.to_string()),
        };
        let mut state = self.state();
        if state
            .systems
            .values()
            .any(|system| system.phase != Phase::Stopped && system.id == id)
        {
            return explain(EXISTS, "the id is in use");
        }
        let key = state.number();
        let system = System {
            id: id.to_owned(),
            owner: document.owner,
            phase: Phase::Created,
            servicing: document.servicing,
            updates_pending: false,
            told: false,
            job,
        };
        state.systems.insert(key, system);
        Reply {
            hresult: PENDING,
            handle: state.open(Object::System(key), request.client, true),
            ..Reply::default()
        }
    }

    fn open_system(&self, request: &Request, id: &str) -> Reply {
        let mut state = self.state();
        let found = state
            .systems
            .iter()
            .find(|(_, system)| system.phase != Phase::Stopped && system.id == id)
            .map(|(key, _)| *key);
        match found {
            Some(key) => Reply {
                handle: state.open(Object::System(key), request.client, false),
                ..Reply::default()
            },
            None => explain(NOT_FOUND, "no such system"),
        }
    }

    fn register(&self, request: &Request) -> Reply {
        let mut state = self.state();
        let Some(open) = state.handles.get_mut(&request.handle) else {
            return code(GONE);
        };
        let creating = std::mem::take(&mut open.creating);
        let object = open.object;
        state.callbacks.push(Callback {
            client: request.client,
            handle: request.handle,
            number: request.number,
        });
        let due = match object {
            Object::System(_) if creating => Some(CREATE_COMPLETED),
            Object::System(key) => state
                .systems
                .get(&key)
                .is_some_and(|system| system.told)
                .then_some(SYSTEM_EXITED),
            Object::Process(key) => state
                .processes
                .get(&key)
                .is_some_and(|process| process.code.is_some())
                .then_some(PROCESS_EXITED),
        };
        let tell = state.clients.get(&request.client).cloned();
        drop(state);
        if let (Some(kind), Some(tell)) = (due, tell) {
            self.notify(vec![(tell, request.number)], kind);
        }
        Reply {
            handle: request.number,
            ..Reply::default()
        }
    }

    fn move_system(&self, request: &Request, from: Phase, to: Phase, done: u32) -> Reply {
        let mut state = self.state();
        let Some((key, system)) = state.system(request.handle) else {
            return explain(GONE, "no such handle");
        };
        if system.phase == Phase::Stopped {
            return explain(STOPPED, "the system does not run");
        }
        if system.phase != from {
            return explain(INVALID_STATE, "the system is in another state");
        }
        system.phase = to;
        if from == Phase::Paused || to == Phase::Paused {
            let processes = state.processes.values();
            for process in
                processes.filter(|process| process.system == key && process.code.is_none())
            {
                processes::freeze(&process.handle, to == Phase::Paused);
            }
        }
        let listeners = state.listeners(Object::System(key));
        drop(state);
        self.notify(listeners, done);
        code(PENDING)
    }

    fn end(self: &Arc<Self>, request: &Request, politely: bool) -> Reply {
        let mut state = self.state();
        let Some((key, system)) = state.system(request.handle) else {
            return explain(GONE, "no such handle");
        };
        match system.phase {
            Phase::Stopped => return explain(STOPPED, "the system does not run"),
            Phase::Created if politely => {
                return explain(INVALID_STATE, "the system was not started");
            }
            Phase::Paused if politely => {
                return explain(INVALID_STATE, "the system is paused");
            }
            _ => {}
        }
        system.phase = Phase::Stopped;
        system.job.end();
        drop(state);
        let service = Arc::clone(self);
        thread::spawn(move || service.ended(key));
        code(PENDING)
    }

    /// A system has ended when its processes have, and these are told first.
    fn ended(&self, key: usize) {
        let runs = || {
            let state = self.state();
            let mut processes = state.processes.values();
            processes.any(|process| process.system == key && process.code.is_none())
        };
        while runs() {
            thread::sleep(Duration::from_millis(1));
        }
        let mut state = self.state();
        let listeners = state.listeners(Object::System(key));
        let is_open = state
            .handles
            .values()
            .any(|open| matches!(open.object, Object::System(other) if other == key));
        if is_open {
            if let Some(system) = state.systems.get_mut(&key) {
                system.told = true;
            }
        } else {
            state.systems.remove(&key);
        }
        drop(state);
        self.notify(listeners, SYSTEM_EXITED);
    }

    fn system_properties(&self, request: &Request, query: &str) -> Reply {
        let query = match documents::PropertyQuery::read(query) {
            Ok(query) => query,
            Err(words) => return explain(INVALID_JSON, &words),
        };
        let mut state = self.state();
        let Some((key, system)) = state.system(request.handle) else {
            return explain(GONE, "no such handle");
        };
        if system.phase == Phase::Stopped {
            return explain(STOPPED, "the system does not run");
        }
        let updates_pending = system.updates_pending;
        let mut document = json!({
            "Id": system.id, "Owner": system.owner, "State": system.phase.word(), "SystemType": "Container",
        });
        let running = |process: &&Process| process.system == key && process.code.is_none();
        let list: Vec<_> = state
            .processes
            .values()
            .filter(running)
            .map(|process| {
                json!({
                    "ProcessId": process.pid, "ImageName": "process",
                    "CreateTimestamp": processes::created(&process.handle),
                })
            })
            .collect();
        for wanted in &query.property_types {
            match wanted.as_str() {
                "ProcessList" => document["ProcessList"] = list.clone().into(),
                "PendingUpdates" => document["AreUpdatesPending"] = updates_pending.into(),
                "Statistics" => document["Statistics"] = json!({"Uptime100ns": 1}),
                _ => {}
            }
        }
        answer(document.to_string())
    }

    fn enumerate(&self, query: &str) -> Reply {
        let query = match documents::SystemQuery::read(query) {
            Ok(query) => query,
            Err(words) => return explain(INVALID_JSON, &words),
        };
        let matches =
            |wanted: &[String], found: &String| wanted.is_empty() || wanted.contains(found);
        let state = self.state();
        let list: Vec<_> = state
            .systems
            .values()
            .filter(|system| {
                system.phase != Phase::Stopped
                    && matches(&query.owners, &system.owner)
                    && matches(&query.ids, &system.id)
            })
            .map(|system| {
                json!({"Id": system.id, "Owner": system.owner, "State": system.phase.word()})
            })
            .collect();
        answer(json!(list).to_string())
    }

    fn modify_system(&self, request: &Request, settings: &str) -> Reply {
        if let Err(words) = documents::ModifySystem::read(settings) {
            return explain(INVALID_JSON, &words);
        }
        match self.state().system(request.handle) {
            Some((_, system)) if system.phase != Phase::Stopped => code(OK),
            Some(_) => explain(STOPPED, "the system does not run"),
            None => explain(GONE, "no such handle"),
        }
    }

    fn create_process(self: &Arc<Self>, request: &Request, parameters: &str) -> Reply {
        let mut document = match documents::Process::read(parameters) {
            Ok(document) => document,
            Err(words) => return explain(INVALID_JSON, &words),
        };
        if !document.user.is_empty() {
            return explain(NOT_SUPPORTED, "the double knows no users");
        }
        let mut state = self.state();
        let Some((key, system)) = state.system(request.handle) else {
            return explain(GONE, "no such handle");
        };
        if let Some(refused) = refused(system) {
            return refused;
        }
        if system.servicing {
            let wants = [
                document.create_std_in_pipe,
                document.create_std_out_pipe,
                document.create_std_err_pipe,
            ];
            if wants.contains(&true) {
                return explain(INVALID_STATE, "a servicing run has no streams");
            }
            let told = (IS_SERVICING.to_owned(), "1".to_owned());
            document.environment.extend([told]);
        } else if document.environment.contains_key(LEAVES_UPDATES) {
            system.updates_pending = true;
        }
        let job = Arc::clone(&system.job);
        // Others are answered meanwhile: it takes long to start a process.
        drop(state);
        let Started {
            mut child,
            handle,
            streams,
            console,
        } = match job.start(&document) {
            Ok(started) => started,
            Err(error) => {
                let number = error.raw_os_error().unwrap_or(2) & 0xFFFF;
                return explain(number | 0x8007_0000_u32.cast_signed(), &error.to_string());
            }
        };
        let pid = child.id();
        let mut state = self.state();
        // By now it may be another's, paused, or gone, and none of its processes was started after that.
        let refused = match state.systems.get(&key) {
            Some(system) => refused(system),
            None => Some(explain(GONE, "no such system")),
        };
        if let Some(refused) = refused {
            processes::end(&handle);
            // Its end is waited for, and told to nobody.
            thread::spawn(move || child.wait());
            return refused;
        }
        let streams = streams.map(|end| processes::hand_over(end, request.client));
        let process = state.number();
        state.processes.insert(
            process,
            Process {
                system: key,
                pid,
                handle,
                console,
                code: None,
            },
        );
        let handle = state.open(Object::Process(process), request.client, false);
        drop(state);
        let service = Arc::clone(self);
        thread::spawn(move || {
            let code = child.wait().ok().and_then(|status| status.code());
            service.process_ended(process, code.unwrap_or(-1).cast_unsigned());
        });
        Reply {
            handle,
            pid,
            streams,
            ..Reply::default()
        }
    }

    fn process_ended(&self, process: usize, code: u32) {
        let mut state = self.state();
        let Some(known) = state.processes.get_mut(&process) else {
            return;
        };
        known.code = Some(code);
        let object = Object::Process(process);
        let listeners = state.listeners(object);
        let is_open = state
            .handles
            .values()
            .any(|open| matches!(open.object, Object::Process(other) if other == process));
        // Under the lock: the end of its system, which waits for this one, is told after it.
        self.notify(listeners, PROCESS_EXITED);
        if !is_open {
            state.processes.remove(&process);
        }
    }

    fn open_process(&self, request: &Request) -> Reply {
        let mut state = self.state();
        let Some((key, _)) = state.system(request.handle) else {
            return explain(GONE, "no such handle");
        };
        let found = state
            .processes
            .iter()
            .find(|(_, process)| process.system == key && process.pid as usize == request.number)
            .map(|(process, _)| *process);
        match found {
            Some(process) => Reply {
                handle: state.open(Object::Process(process), request.client, false),
                ..Reply::default()
            },
            None => explain(GONE, "no such process"),
        }
    }

    fn end_process(&self, request: &Request) -> Reply {
        match self.state().process(request.handle) {
            Some(process) if process.code.is_none() => {
                processes::end(&process.handle);
                code(OK)
            }
            Some(_) => explain(PROCESS_STOPPED, "the process has ended"),
            None => explain(GONE, "no such process"),
        }
    }

    /// Without a console there are no console events; what asks to end ends.
    fn signal_process(&self, request: &Request, options: &str) -> Reply {
        if let Err(words) = documents::Signal::read(options) {
            return explain(INVALID_JSON, &words);
        }
        self.end_process(request)
    }

    fn process_properties(&self, request: &Request) -> Reply {
        match self.state().process(request.handle) {
            Some(process) => answer(
                json!({
                    "ProcessId": process.pid,
                    "Exited": process.code.is_some(),
                    "ExitCode": process.code.unwrap_or(0),
                    "LastWaitResult": 0,
                })
                .to_string(),
            ),
            None => explain(GONE, "no such process"),
        }
    }

    fn modify_process(&self, request: &Request, settings: &str) -> Reply {
        let settings = match documents::Modify::read(settings) {
            Ok(settings) => settings,
            Err(words) => return explain(INVALID_JSON, &words),
        };
        match self.state().process(request.handle) {
            Some(process) if process.code.is_none() => {
                match (&process.console, settings.console_size) {
                    (_, None) => code(OK),
                    (None, Some(_)) => explain(INVALID_STATE, "the process has no console"),
                    (Some(console), Some(size)) => {
                        match console.resize([size.height, size.width]) {
                            Ok(()) => code(OK),
                            Err(error) => explain(
                                0x8007_05AA_u32.cast_signed(),
                                &format!("the console cannot be resized: {error}"),
                            ),
                        }
                    }
                }
            }
            Some(_) => explain(PROCESS_STOPPED, "the process has ended"),
            None => explain(GONE, "no such process"),
        }
    }

    /// For tests: what is open and alive.
    fn report(&self) -> Reply {
        let state = self.state();
        let alive = |system: &&System| system.phase != Phase::Stopped;
        answer(
            json!({
                "handles": state.handles.len(),
                "callbacks": state.callbacks.len(),
                "systems": state.systems.values().filter(alive).count(),
                "processes": state.processes.values().filter(|process| process.code.is_none()).count(),
            })
            .to_string(),
        )
    }
}
