//! The caller of libcontainerd, as the daemon of that time was.

use std::{
    collections::HashMap,
    io::{Read, Write},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use hoist_hcs::{
    Dialect, Plan, Settings,
    calls::{HcsCalls, Limits},
    driver::{
        Attach, Attached, BoxError, Driver, DriverError, Event as DriverEvent, EventKind,
        Exit as DriverExit, Receiver, Restart, RestartManager, Stdin,
    },
    request::{ContainerRequest, HyperV, ProcessRequest},
};
use hoist_spec::{ConsoleSize, oci};
use serde_json::{Value, json};

use crate::{
    execdriver::failure,
    recording::{Event, Exit, Failure, Recording, Step, Streams, list, string},
    script::{Kind, Script, attach_line, begin_line, end_key, end_line, event_key, event_line},
    service::{Exports, Service},
};

type Subject = Driver<HcsCalls<Exports>>;

struct Replay {
    script: Arc<Script>,
    driver: Subject,
    settings: Settings,
    streams: Arc<Readers>,
    restarts: Mutex<HashMap<String, Arc<RestartManager>>>,
}

/// What reads the streams of processes, in the order in which they were attached.
#[derive(Default)]
struct Readers {
    all: Mutex<Vec<Reader>>,
    kept: Mutex<Vec<Stdin>>,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

struct Reader {
    process: String,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// Does what the scenario's caller did.
pub(crate) fn drive(recording: &Recording, script: &Arc<Script>) {
    let service = Service::new(script);
    let settings = Settings::docker(Dialect::Docker112);
    let replay = Replay {
        script: Arc::clone(script),
        driver: Driver::new(
            HcsCalls::new(
                Exports(Arc::clone(&service)),
                Dialect::Docker112,
                Limits::default(),
            ),
            settings.clone(),
            Box::new(Daemon {
                script: Arc::clone(script),
                refusals: backend_errors(&recording.input),
            }),
        ),
        settings,
        streams: Arc::default(),
        restarts: Mutex::default(),
    };
    for (place, step) in list(&recording.input["steps"]).enumerate() {
        script.wait_before(Kind::StepBegin(place));
        replay.operate(place, step);
    }
    script.wait_all();
    service.end();
    let readers = std::mem::take(&mut *replay.streams.all.lock().unwrap());
    for writer in std::mem::take(&mut *replay.streams.writers.lock().unwrap()) {
        writer.join().unwrap();
    }
    let expected = &recording.streams;
    assert_eq!(
        readers.len(),
        expected.len(),
        "the number of processes attached to"
    );
    for (reader, expected) in readers.into_iter().zip(expected) {
        let text = |thread: Option<JoinHandle<String>>| {
            thread.map_or_else(String::new, |thread| thread.join().unwrap())
        };
        let read = (reader.process, text(reader.stdout), text(reader.stderr));
        let recorded = (
            expected.process.clone(),
            expected.stdout.clone(),
            expected.stderr.clone(),
        );
        assert_eq!(read, recorded, "the output of a process");
    }
    drop(std::mem::take(&mut *replay.streams.kept.lock().unwrap()));
}

/// States for which the receiver of events answers with an error.
fn backend_errors(input: &Value) -> Vec<String> {
    let mut states = Vec::new();
    let places = std::iter::once(input).chain(list(&input["steps"]));
    for place in places {
        match &place["backend_error"] {
            Value::Object(members) => match members.get("state") {
                Some(state) => states.push(string(state)),
                None => states.extend(members.keys().cloned()),
            },
            Value::Array(all) => states.extend(all.iter().map(|one| string(&one["state"]))),
            _ => {}
        }
    }
    states
}

struct Daemon {
    script: Arc<Script>,
    refusals: Vec<String>,
}

impl Receiver for Daemon {
    fn event(&self, event: &DriverEvent) -> Result<(), BoxError> {
        let state = match event.kind {
            EventKind::StartContainer => "start-container",
            EventKind::Exit => "exit",
            EventKind::Restart => "restart",
            EventKind::ExitProcess => "exit-process",
        };
        let event = Event {
            container: event.container.clone(),
            state: state.to_owned(),
            process: event.process.clone(),
            pid: event.pid.into(),
            exit: event.exit.map(|exit| match exit {
                DriverExit::Code(code) => Exit::Code(code.into()),
                DriverExit::Terminated => Exit::Terminated,
                DriverExit::Unknown => Exit::Unknown,
            }),
            update_pending: event.update_pending,
            order: 0.0,
        };
        self.script.happened(&event_key(&event), event_line(&event));
        if self.refusals.iter().any(|refused| refused == state) {
            return Err("the receiver refuses".into());
        }
        Ok(())
    }

    fn warning(&self, words: &str) {
        self.script.warned(words);
    }
}

/// Attaches the streams of processes as the scenario says.
struct Attacher {
    script: Arc<Script>,
    streams: Arc<Readers>,
    stdio: Value,
}

impl Attach for Attacher {
    fn attach(&self, process: &str, streams: Attached) -> Result<(), BoxError> {
        let line = attach_line(&Streams {
            process: process.to_owned(),
            has: [
                streams.stdin.is_some(),
                streams.stdout.is_some(),
                streams.stderr.is_some(),
            ],
            terminal: streams.console,
            stdout: String::new(),
            stderr: String::new(),
            order: 0.0,
        });
        self.script.happened(&line, line.clone());
        let reader = |stream: Option<std::fs::File>| {
            stream.map(|mut stream| {
                thread::spawn(move || {
                    let mut text = String::new();
                    stream.read_to_string(&mut text).unwrap();
                    text
                })
            })
        };
        self.streams.all.lock().unwrap().push(Reader {
            process: process.to_owned(),
            stdout: reader(streams.stdout),
            stderr: reader(streams.stderr),
        });
        if self.stdio.get("attach_error").is_some() {
            if let Some(stdin) = streams.stdin {
                self.streams.kept.lock().unwrap().push(stdin);
            }
            return Err("cannot attach".into());
        }
        let Some(mut stdin) = streams.stdin else {
            return Ok(());
        };
        match self.stdio["stdin"].as_str() {
            None if streams.console => self.streams.kept.lock().unwrap().push(stdin),
            None => stdin.close()?,
            Some(text) => {
                let (script, streams) = (Arc::clone(&self.script), Arc::clone(&self.streams));
                let text = text.to_owned();
                let keep = self.stdio["keep_stdin_open"] == true;
                let place = next_close(&script, process);
                let writer = thread::spawn(move || {
                    stdin.write_all(text.as_bytes()).unwrap();
                    if keep {
                        streams.kept.lock().unwrap().push(stdin);
                        return;
                    }
                    if let Some(place) = place {
                        script.wait_before(Kind::Begin(place));
                    }
                    stdin.close().unwrap();
                });
                self.streams.writers.lock().unwrap().push(writer);
            }
        }
        Ok(())
    }
}

/// The call with which the input of the process that was attached last is closed.
fn next_close(script: &Script, process: &str) -> Option<usize> {
    let attached = script
        .recording
        .streams
        .iter()
        .filter(|streams| streams.process == process)
        .map(|streams| streams.order)
        .rfind(|_| true)?;
    script.recording.calls.iter().position(|call| {
        call.begin > attached
            && call.function == "HcsModifyProcess"
            && call.arguments["settings"]["Operation"] == "CloseHandle"
    })
}

impl Replay {
    fn attacher(&self, step: &Value) -> Attacher {
        Attacher {
            script: Arc::clone(&self.script),
            streams: Arc::clone(&self.streams),
            stdio: step["stdio"].clone(),
        }
    }

    fn operate(&self, place: usize, input: &Value) {
        let operation = string(&input["operation"]);
        let line = begin_line(place, &operation);
        self.script.happened(&line, line.clone());
        let container = string(&input["container_id"]);
        let process = string(&input["process_name"]);
        let mut step = Step {
            operation: operation.clone(),
            begin: 0.0,
            end: 0.0,
            input: Value::Null,
            error: Failure::None,
            exit: None,
            hook: None,
            pid: None,
            terminal: None,
            stdout: None,
            stderr: None,
            result: None,
        };
        let signal = || i32::try_from(input["sig"].as_i64().unwrap()).unwrap();
        let result: Result<(), DriverError> = match operation.as_str() {
            "Create" => self.create(&container, input),
            "AddProcess" => {
                let request = process_request(&input["process"], &input["initial_console_size"]);
                self.driver
                    .add_process(&container, &process, &request, &self.attacher(input))
            }
            "Signal" => self.driver.signal(&container, signal()),
            "SignalProcess" => self.driver.signal_process(&container, &process),
            "Resize" => {
                let side = |name: &str| u32::try_from(input[name].as_i64().unwrap()).unwrap();
                self.driver
                    .resize(&container, &process, side("height"), side("width"))
            }
            "Pause" | "Resume" => self.driver.pause(&container),
            "Stats" => self.driver.properties(&container).map(|_| ()),
            "UpdateResources" => self.driver.update(&container),
            "Restore" => self.driver.restore(&container),
            "GetPidsForContainer" => {
                let pids = self.driver.pids(&container);
                step.result = Some(match &pids {
                    Ok(pids) => json!(pids).to_string(),
                    Err(_) => "null".to_owned(),
                });
                pids.map(|_| ())
            }
            "Summary" => {
                let summary = self.driver.summary(&container);
                let processes = summary.as_deref().unwrap_or_default();
                let processes: Vec<Value> = processes
                    .iter()
                    .map(|process| json!({"command": process.command, "pid": process.pid}))
                    .collect();
                step.result = Some(json!(processes).to_string());
                summary.map(|_| ())
            }
            // Both end when all that was recorded until then has happened.
            "WaitState" | "Sleep" => {
                self.script.wait_before(Kind::StepEnd(place));
                Ok(())
            }
            "CancelRestart" => {
                if let Some(manager) = self.restarts.lock().unwrap().get(&container) {
                    manager.cancel();
                }
                Ok(())
            }
            other => panic!("the replay does not know the operation {other}"),
        };
        if let Err(error) = result {
            step.error = failure(&error);
        }
        self.script
            .happened(&end_key(place), end_line(place, &step));
    }

    fn create(&self, container: &str, input: &Value) -> Result<(), DriverError> {
        let mut request = container_request(container, input);
        let mut restart = None;
        for option in list(&input["options"]) {
            if option["servicing"] == true {
                request.servicing = true;
            }
            if let Some(policy) = option.get("restart_policy") {
                let maximum = policy["maximum_retry_count"].as_u64().unwrap_or(0);
                let policy = match policy["name"].as_str().unwrap_or_default() {
                    "always" => Restart::Always,
                    "unless-stopped" => Restart::UnlessStopped,
                    "on-failure" => Restart::OnFailure {
                        maximum: u32::try_from(maximum).unwrap(),
                    },
                    _ => Restart::No,
                };
                let manager = Arc::new(RestartManager::new(policy));
                self.restarts
                    .lock()
                    .unwrap()
                    .insert(container.to_owned(), Arc::clone(&manager));
                restart = Some(manager);
            }
        }
        let plan = Plan::new(request, true, &self.settings)?;
        self.driver
            .create(plan, Arc::new(self.attacher(input)), restart)
    }
}

/// `windowsoci.WindowsSpec` as an OCI runtime spec with a `windows` section, and what that has no words for.
fn container_request(container: &str, input: &Value) -> ContainerRequest {
    let spec = &input["spec"];
    let windows = &spec["windows"];
    let resources = &windows["resources"];
    let mut folders: Vec<Value> = list(&windows["layer_paths"]).cloned().collect();
    folders.push(windows["layer_folder"].clone());
    let mounts: Vec<Value> = list(&spec["mounts"])
        .map(|mount| {
            json!({
                "destination": mount["destination"],
                "source": mount["source"],
                "options": if mount["readonly"] == true { vec!["ro"] } else { vec![] },
            })
        })
        .collect();
    let number = |pointer: &str| {
        resources
            .pointer(pointer)
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    let oci: oci::Spec = serde_json::from_value(json!({
        "ociVersion": "1.0.0",
        "hostname": spec["hostname"],
        "root": {
            "path": spec["root"]["path"].as_str().unwrap_or_default(),
            "readonly": spec["root"]["readonly"] == true,
        },
        "mounts": mounts,
        "windows": {
            "layerFolders": folders,
            "ignoreFlushesDuringBoot": windows["first_start"] == true,
            "network": {"endpointList": windows["networking"]["endpoints"].as_array().cloned().unwrap_or_default()},
            "resources": {
                "memory": {"limit": number("/memory/limit")},
                "storage": {
                    "iops": number("/storage/iops"),
                    "bps": number("/storage/bps"),
                    "sandboxSize": number("/storage/sandbox_size"),
                },
            },
        },
    }))
    .unwrap();
    let mut request = ContainerRequest::from_spec(container, &oci).unwrap();
    // Wider there than in OCI.
    let wide = |pointer| i64::try_from(number(pointer)).unwrap();
    request.resources.cpu_weight = wide("/cpu/shares");
    request.resources.cpu_maximum = wide("/cpu/percent") * 100;
    if let Some(runtime) = windows.get("hv_runtime").filter(|value| !value.is_null()) {
        request.hyperv = Some(HyperV {
            image_path: string(&runtime["image_path"]),
        });
    }
    let version = spec["platform"]["os.version"].as_str().unwrap_or_default();
    request.image_build = version
        .split('.')
        .nth(2)
        .and_then(|build| build.parse().ok());
    request.process = process_request(&spec["process"], &input["initial_console_size"]);
    request
}

/// Its arguments are escaped already: the daemon did that.
fn process_request(process: &Value, size: &Value) -> ProcessRequest {
    let texts = |name: &str| list(&process[name]).map(string).collect();
    let side = |place: usize| {
        let side = size[place].as_u64()?;
        u16::try_from(side).ok()
    };
    ProcessRequest {
        arguments: texts("args"),
        arguments_escaped: true,
        environment: texts("env"),
        working_directory: string(&process["cwd"]),
        user: process["user"]["user"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        console: process["terminal"] == true,
        console_size: side(0)
            .zip(side(1))
            .map(|(height, width)| ConsoleSize { height, width }),
    }
}
