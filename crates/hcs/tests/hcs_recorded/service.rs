//! The scripted service: both sets of exports, answering as was recorded.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use hoist_hcs::{
    Guid, Hresult,
    calls::{
        CallbackHandle, CreatedProcess, FlatExports, HcsExports, Issued, Notification,
        NotificationSink, ProcessHandle, SystemHandle,
    },
    lower::Pipes,
};
use serde_json::{Map, Value, json};

use crate::{
    probe::{Probe, file},
    recording::Call,
    script::{Kind, Script, call_line, notify_line},
};

/// The service of one scenario.
pub(crate) struct Service {
    script: Arc<Script>,
    shared: Arc<Shared>,
    director: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    sinks: Mutex<HashMap<String, Arc<dyn NotificationSink>>>,
    probes: Mutex<HashMap<u64, JoinHandle<()>>>,
    over: AtomicBool,
}

/// What a call that nobody expects is answered with.
const UNEXPECTED: Hresult = Hresult(0x8000_FFFF);

impl Service {
    pub(crate) fn new(script: &Arc<Script>) -> Arc<Self> {
        let shared = Arc::new(Shared::default());
        let (for_director, director_script) = (Arc::clone(&shared), Arc::clone(script));
        let director = thread::spawn(move || direct(&director_script, &for_director));
        Arc::new(Self {
            script: Arc::clone(script),
            shared,
            director: Mutex::new(Some(director)),
        })
    }

    /// The scenario is over.
    pub(crate) fn end(&self) {
        self.shared.over.store(true, Ordering::Release);
        if let Some(director) = self.director.lock().unwrap().take() {
            director.join().unwrap();
        }
    }

    /// A call: what was recorded of it, after the moment at which it returned then.
    fn call(&self, function: &str, arguments: Value) -> Result<Call, Hresult> {
        self.call_with(function, arguments, None)
    }

    /// The same; `sink` hears the callbacks of the handle that it returns, from its return on.
    fn call_with(
        &self,
        function: &str,
        arguments: Value,
        sink: Option<Arc<dyn NotificationSink>>,
    ) -> Result<Call, Hresult> {
        let arguments = arguments.as_object().unwrap().clone();
        let (key, line) = call_line(function, &arguments);
        let recorded = match self.script.happened(&key, line) {
            Some(Kind::Begin(place)) => {
                let call = self.script.recording.calls[place].clone();
                if function == "WaitForProcessInComputeSystem" {
                    self.script.wait_before(Kind::Return(place));
                    if let Some(pid) = arguments["pid"].as_u64() {
                        join(&self.shared, pid);
                    }
                }
                Some(call)
            }
            _ => None,
        };
        let hresult = recorded.as_ref().map_or(UNEXPECTED.0, Call::hresult);
        let callback = recorded
            .as_ref()
            .and_then(|call| call.returned.get("callbackHandle")?.as_str());
        if let (Some(sink), Some(callback)) = (sink, callback) {
            let mut sinks = self.shared.sinks.lock().unwrap();
            sinks.insert(callback.to_owned(), sink);
        }
        self.script.happened(
            &format!("return from {key}"),
            format!("return from {function} 0x{hresult:08X}"),
        );
        recorded.ok_or(UNEXPECTED)
    }

    fn simple(&self, function: &str, arguments: Value) -> Hresult {
        match self.call(function, arguments) {
            Ok(call) => Hresult(call.hresult()),
            Err(hresult) => hresult,
        }
    }

    fn answered(&self, function: &str, arguments: Value) -> Result<Call, Hresult> {
        let call = self.call(function, arguments)?;
        if call.failed() {
            return Err(Hresult(call.hresult()));
        }
        Ok(call)
    }

    fn guid(&self, name: &str) -> Result<Guid, Hresult> {
        let call = self.answered("NameToGuid", json!({ "name": name }))?;
        let guid: Guid = call.returned["guid"].as_str().unwrap().parse().unwrap();
        if call.returned.get("origin") == Some(&"known".into()) {
            assert_eq!(guid, Guid::of_layer_name(name), "the true id of {name}");
        }
        Ok(guid)
    }

    /// Starts the probe of a process.
    fn start<P>(
        &self,
        call: &Call,
        handle: P,
        parameters: &str,
        pipes: Pipes,
    ) -> CreatedProcess<P> {
        let pid = call.returned["pid"].as_u64().unwrap();
        let pair = |wanted: bool| {
            wanted.then(|| {
                let (reader, writer) = std::io::pipe().unwrap();
                (file(reader), file(writer))
            })
        };
        let (stdin, to_stdin) = pair(pipes.stdin).unzip();
        let (from_stdout, stdout) = pair(pipes.stdout).unzip();
        let (from_stderr, stderr) = pair(pipes.stderr).unzip();
        let killed = self.script.recording.is_killed(pid);
        let probe = Probe::of(parameters);
        let running = thread::spawn(move || probe.run(stdin, stdout, stderr, killed));
        self.shared.probes.lock().unwrap().insert(pid, running);
        CreatedProcess {
            handle,
            pid: u32::try_from(pid).unwrap(),
            stdin: to_stdin,
            stdout: from_stdout,
            stderr: from_stderr,
        }
    }
}

/// Waits until a probe has printed everything; one that is killed may read for ever.
fn join(shared: &Shared, pid: u64) {
    let probe = shared.probes.lock().unwrap().remove(&pid);
    if let Some(probe) = probe {
        for _ in 0..100 {
            if probe.is_finished() {
                return;
            }
            thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Makes the callbacks, each when it is due.
fn direct(script: &Script, shared: &Shared) {
    while let Some(place) = script.next_notification(&|| shared.over.load(Ordering::Acquire)) {
        let note = &script.recording.notifications[place];
        if note.kind == "ProcessExited" {
            let pid = script.recording.calls.iter().find_map(|call| {
                let made = call.returned.get("process").and_then(Value::as_str) == Some(&note.of);
                made.then(|| call.returned.get("pid").and_then(Value::as_u64))?
            });
            if let Some(pid) = pid {
                join(shared, pid);
            }
        }
        let line = notify_line(note);
        script.happened(&line, line.clone());
        let sink = shared.sinks.lock().unwrap().get(&note.callback).cloned();
        let number = match note.kind.as_str() {
            "SystemExited" => 0x1,
            "SystemCreateCompleted" => 0x2,
            "SystemStartCompleted" => 0x3,
            "SystemPauseCompleted" => 0x4,
            "SystemResumeCompleted" => 0x5,
            "ProcessExited" => 0x1_0000,
            "ServiceDisconnect" => 0x100_0000,
            other => panic!("unknown notification {other}"),
        };
        if let Some(sink) = sink {
            sink.notify(Notification::from(number), Hresult(note.status));
        }
    }
}

fn handle(prefix: &str, number: usize) -> String {
    format!("{prefix}-{number}")
}

fn handle_number(name: &Value) -> usize {
    let name = name.as_str().unwrap_or_default();
    name.rsplit('-').next().unwrap().parse().unwrap_or(0)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The service as the driver gets it.
pub(crate) struct Exports(pub(crate) Arc<Service>);

impl FlatExports for Exports {
    fn name_to_guid(&self, name: &str) -> Result<Guid, Hresult> {
        self.0.guid(name)
    }

    fn create_compute_system(&self, id: &str, configuration: &str) -> Hresult {
        self.0.simple(
            "CreateComputeSystem",
            json!({"id": id, "configuration": parsed(configuration), "configuration_text": configuration}),
        )
    }

    fn start_compute_system(&self, id: &str) -> Hresult {
        self.0.simple("StartComputeSystem", json!({ "id": id }))
    }

    fn create_process_with_std_handles(
        &self,
        id: &str,
        parameters: &str,
        pipes: Pipes,
    ) -> Result<CreatedProcess<()>, Hresult> {
        let call = self.0.answered(
            "CreateProcessWithStdHandlesInComputeSystem",
            json!({
                "id": id, "params": parsed(parameters), "params_text": parameters,
                "stdin": pipes.stdin, "stdout": pipes.stdout, "stderr": pipes.stderr,
            }),
        )?;
        Ok(self.0.start(&call, (), parameters, pipes))
    }

    fn wait_for_process(&self, id: &str, pid: u32, timeout: u32) -> Result<i32, Hresult> {
        let call = self.0.answered(
            "WaitForProcessInComputeSystem",
            json!({"id": id, "pid": pid, "timeout": timeout}),
        )?;
        Ok(i32::try_from(call.returned["exitCode"].as_i64().unwrap()).unwrap())
    }

    fn shutdown_compute_system(&self, id: &str, timeout: u32) -> Hresult {
        self.0.simple(
            "ShutdownComputeSystem",
            json!({"id": id, "timeout": timeout}),
        )
    }

    fn terminate_compute_system(&self, id: &str, timeout: u32) -> Hresult {
        self.0.simple(
            "TerminateComputeSystem",
            json!({"id": id, "timeout": timeout}),
        )
    }

    fn terminate_process(&self, id: &str, pid: u32) -> Hresult {
        self.0.simple(
            "TerminateProcessInComputeSystem",
            json!({"id": id, "pid": pid}),
        )
    }

    fn resize_console(&self, id: &str, pid: u32, height: u16, width: u16) -> Hresult {
        self.0.simple(
            "ResizeConsoleInComputeSystem",
            json!({"id": id, "pid": pid, "height": height, "width": width, "flags": 0}),
        )
    }
}

impl Exports {
    fn of_system(&self, function: &str, system: SystemHandle, more: Value) -> Result<Call, Issued> {
        let mut arguments = Map::new();
        arguments.insert(
            "computeSystem".to_owned(),
            handle("system", system.0).into(),
        );
        arguments.extend(more.as_object().unwrap().clone());
        self.0
            .answered(function, Value::Object(arguments))
            .map_err(Issued::from)
    }

    fn of_process(
        &self,
        function: &str,
        process: ProcessHandle,
        more: Value,
    ) -> Result<Call, Issued> {
        let mut arguments = Map::new();
        arguments.insert("process".to_owned(), handle("process", process.0).into());
        arguments.extend(more.as_object().unwrap().clone());
        self.0
            .answered(function, Value::Object(arguments))
            .map_err(Issued::from)
    }

    fn register(
        &self,
        function: &str,
        arguments: Value,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        let call = self.0.call_with(function, arguments, Some(sink))?;
        if call.failed() {
            return Err(Hresult(call.hresult()));
        }
        Ok(CallbackHandle(handle_number(
            &call.returned["callbackHandle"],
        )))
    }

    fn unregister(&self, function: &str, callback: CallbackHandle) -> Hresult {
        let name = handle("callback", callback.0);
        self.0.shared.sinks.lock().unwrap().remove(&name);
        self.0.simple(function, json!({ "callbackHandle": name }))
    }
}

fn outcome(call: Result<Call, Issued>) -> Issued {
    match call {
        Ok(call) => Hresult(call.hresult()).into(),
        Err(issued) => issued,
    }
}

impl HcsExports for Exports {
    fn name_to_guid(&self, name: &str) -> Result<Guid, Hresult> {
        self.0.guid(name)
    }

    fn enumerate(&self, query: &str) -> Result<String, Issued> {
        let arguments = json!({"query": parsed(query), "query_text": query});
        let call = self.0.answered("HcsEnumerateComputeSystems", arguments)?;
        Ok(call.returned["computeSystems_text"]
            .as_str()
            .unwrap()
            .to_owned())
    }

    fn create_compute_system(
        &self,
        id: &str,
        configuration: &str,
    ) -> Result<(Hresult, SystemHandle), Issued> {
        let call = self.0.answered(
            "HcsCreateComputeSystem",
            json!({
                "id": id, "configuration": parsed(configuration), "configuration_text": configuration,
                "identity": false,
            }),
        )?;
        let handle = handle_number(&call.returned["computeSystem"]);
        Ok((Hresult(call.hresult()), SystemHandle(handle)))
    }

    fn open_compute_system(&self, id: &str) -> Result<SystemHandle, Issued> {
        let call = self
            .0
            .answered("HcsOpenComputeSystem", json!({ "id": id }))?;
        Ok(SystemHandle(handle_number(&call.returned["computeSystem"])))
    }

    fn close_compute_system(&self, system: SystemHandle) -> Hresult {
        outcome(self.of_system("HcsCloseComputeSystem", system, json!({}))).hresult
    }

    fn register_system_callback(
        &self,
        system: SystemHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        let arguments = json!({ "computeSystem": handle("system", system.0) });
        self.register("HcsRegisterComputeSystemCallback", arguments, sink)
    }

    fn unregister_system_callback(&self, callback: CallbackHandle) -> Hresult {
        self.unregister("HcsUnregisterComputeSystemCallback", callback)
    }

    fn start_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        outcome(self.of_system(
            "HcsStartComputeSystem",
            system,
            json!({ "options": options }),
        ))
    }

    fn shutdown_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        outcome(self.of_system(
            "HcsShutdownComputeSystem",
            system,
            json!({ "options": options }),
        ))
    }

    fn terminate_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        outcome(self.of_system(
            "HcsTerminateComputeSystem",
            system,
            json!({ "options": options }),
        ))
    }

    fn pause_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        outcome(self.of_system(
            "HcsPauseComputeSystem",
            system,
            json!({ "options": options }),
        ))
    }

    fn resume_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        outcome(self.of_system(
            "HcsResumeComputeSystem",
            system,
            json!({ "options": options }),
        ))
    }

    fn system_properties(&self, system: SystemHandle, query: &str) -> Result<String, Issued> {
        let call = self.of_system(
            "HcsGetComputeSystemProperties",
            system,
            json!({"propertyQuery": parsed(query), "propertyQuery_text": query}),
        )?;
        Ok(call.returned["properties_text"]
            .as_str()
            .unwrap()
            .to_owned())
    }

    fn modify_compute_system(&self, system: SystemHandle, request: &str) -> Issued {
        outcome(self.of_system(
            "HcsModifyComputeSystem",
            system,
            json!({"configuration": parsed(request), "configuration_text": request}),
        ))
    }

    fn create_process(
        &self,
        system: SystemHandle,
        parameters: &str,
    ) -> Result<CreatedProcess<ProcessHandle>, Issued> {
        let call = self.of_system(
            "HcsCreateProcess",
            system,
            json!({"processParameters": parsed(parameters), "processParameters_text": parameters}),
        )?;
        let made = |name| call.returned.get(name) == Some(&Value::Bool(true));
        let pipes = Pipes {
            stdin: made("stdin"),
            stdout: made("stdout"),
            stderr: made("stderr"),
        };
        let handle = ProcessHandle(handle_number(&call.returned["process"]));
        Ok(self.0.start(&call, handle, parameters, pipes))
    }

    fn open_process(&self, system: SystemHandle, pid: u32) -> Result<ProcessHandle, Issued> {
        let call = self.of_system("HcsOpenProcess", system, json!({ "pid": pid }))?;
        Ok(ProcessHandle(handle_number(&call.returned["process"])))
    }

    fn close_process(&self, process: ProcessHandle) -> Hresult {
        outcome(self.of_process("HcsCloseProcess", process, json!({}))).hresult
    }

    fn terminate_process(&self, process: ProcessHandle) -> Issued {
        outcome(self.of_process("HcsTerminateProcess", process, json!({})))
    }

    fn signal_process(&self, process: ProcessHandle, options: &str) -> Issued {
        outcome(self.of_process(
            "HcsSignalProcess",
            process,
            json!({"options": parsed(options), "options_text": options}),
        ))
    }

    fn process_properties(&self, process: ProcessHandle) -> Result<String, Issued> {
        let call = self.of_process("HcsGetProcessProperties", process, json!({}))?;
        Ok(call.returned["processProperties_text"]
            .as_str()
            .unwrap()
            .to_owned())
    }

    fn modify_process(&self, process: ProcessHandle, request: &str) -> Issued {
        outcome(self.of_process(
            "HcsModifyProcess",
            process,
            json!({"settings": parsed(request), "settings_text": request}),
        ))
    }

    fn register_process_callback(
        &self,
        process: ProcessHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        let arguments = json!({ "process": handle("process", process.0) });
        self.register("HcsRegisterProcessCallback", arguments, sink)
    }

    fn unregister_process_callback(&self, callback: CallbackHandle) -> Hresult {
        self.unregister("HcsUnregisterProcessCallback", callback)
    }

    fn terminate_process_by_id(&self, id: &str, pid: u32) -> Hresult {
        self.0.simple(
            "TerminateProcessInComputeSystem",
            json!({"id": id, "pid": pid}),
        )
    }

    fn hns_call(&self, method: &str, path: &str, object: &str) -> Result<String, Hresult> {
        let arguments = json!({"method": method, "path": path, "object": object});
        let call = self.0.answered("HNSCall", arguments)?;
        Ok(call.returned["response"].as_str().unwrap().to_owned())
    }
}
