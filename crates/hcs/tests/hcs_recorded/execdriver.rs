//! The caller of the execution driver, as the daemon of that time was.

use std::{
    io::{self, Cursor, Read, Write},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use hoist_hcs::{
    Dialect, Plan, Settings,
    calls::FlatCalls,
    driver::{
        BoxError, Driver, DriverError, Event, Exit as DriverExit, Patience, Receiver,
        StartedProcess, Streams, parse_options,
    },
    request::{ContainerRequest, ProcessRequest},
};
use hoist_spec::{Command, ProcessConfig};
use serde_json::Value;

use crate::{
    recording::{Exit, Failure, Hook, Recording, Step, canonical, list, string},
    script::{Kind, Script, begin_line, end_key, end_line, hook_line},
    service::{Exports, Service},
};

type Subject = Driver<FlatCalls<Exports>>;

/// What there is of Hoist in a replay.
struct Replay {
    script: Arc<Script>,
    driver: Subject,
    settings: Settings,
    command: Value,
}

struct Warnings(Arc<Script>);

impl Receiver for Warnings {
    fn event(&self, _event: &Event) -> Result<(), BoxError> {
        Ok(())
    }

    fn warning(&self, words: &str) {
        self.0.warned(words);
    }
}

/// Does what the scenario's caller did.
pub(crate) fn drive(recording: &Recording, script: &Arc<Script>) {
    let input = &recording.input;
    let dialect = if recording.is_docker19() {
        Dialect::Docker19
    } else {
        Dialect::Docker110
    };
    let nat = input["environment"]["DOCKER_CONTAINER_NAT"].as_str();
    let mut settings = Settings::docker(dialect).nat_from(nat.map(str::to_owned));
    let options = list(&input["driver_options"]).filter_map(Value::as_str);
    match parse_options(&mut settings, options) {
        Ok(warnings) => warnings.iter().for_each(|words| script.warned(words)),
        Err(_) => {
            // A step of its own, outside the order of the rest.
            let place = recording
                .steps
                .iter()
                .position(|step| step.operation == "NewDriver")
                .expect("the options are refused");
            assert_ne!(recording.steps[place].error, Failure::None);
            return;
        }
    }
    let refused = recording
        .steps
        .iter()
        .any(|step| step.operation == "NewDriver" && step.error != Failure::None);
    assert!(!refused, "the options are taken");

    let service = Service::new(script);
    let replay = Arc::new(Replay {
        script: Arc::clone(script),
        driver: Driver::with_patience(
            FlatCalls::new(Exports(Arc::clone(&service))),
            settings.clone(),
            Box::new(Warnings(Arc::clone(script))),
            Patience {
                output: Duration::from_secs(20),
                ..Patience::default()
            },
        ),
        settings,
        command: input["command"].clone(),
    });
    let mut steps = 0..recording.steps.len();
    let runs = match input["runs"].as_u64() {
        Some(runs) => runs,
        None => u64::from(input.get("stdin").is_some()),
    };
    for run in 0..runs {
        let place = steps.next().expect("a step for each run");
        let mut meanwhile = Vec::new();
        if run == 0 {
            for operation in list(&input["during"]) {
                meanwhile.push((steps.next().expect("a step"), operation.clone()));
            }
        }
        // The operations of which the next does not wait for the end, and those in between.
        let other = {
            let replay = Arc::clone(&replay);
            thread::spawn(move || {
                let mut asynchronous = Vec::new();
                for (place, operation) in meanwhile {
                    replay.script.wait_before(Kind::StepBegin(place));
                    if operation["async"] == true {
                        let replay = Arc::clone(&replay);
                        asynchronous.push(thread::spawn(move || replay.operate(place, &operation)));
                    } else {
                        replay.operate(place, &operation);
                    }
                }
                for thread in asynchronous {
                    thread.join().unwrap();
                }
            })
        };
        replay.run(place, &input["stdin"]);
        other.join().unwrap();
    }
    for operation in list(&input["after"]) {
        let place = steps.next().expect("a step");
        script.wait_before(Kind::StepBegin(place));
        replay.operate(place, operation);
    }
    script.wait_all();
    service.end();
}

/// A place into which output is copied.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Replay {
    fn step(&self, place: usize, operation: &str) -> Step {
        let line = begin_line(place, operation);
        self.script.happened(&line, line.clone());
        Step {
            operation: operation.to_owned(),
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
        }
    }

    fn end(&self, place: usize, step: &Step) {
        self.script.happened(&end_key(place), end_line(place, step));
    }

    /// Runs a process by `go`, with streams, and notes what came of it.
    fn ran(
        &self,
        step: &mut Step,
        stdin: &Value,
        console: bool,
        go: impl FnOnce(
            Streams,
            &mut dyn FnMut(&StartedProcess) -> Result<(), BoxError>,
        ) -> Result<DriverExit, DriverError>,
    ) {
        let (stdout, stderr) = (Sink::default(), Sink::default());
        let streams = Streams {
            stdin: stdin
                .as_str()
                .map(|text| Box::new(Cursor::new(text.to_owned())) as Box<dyn Read + Send>),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr.clone()),
        };
        let mut pid = None;
        let result = go(streams, &mut |started: &StartedProcess| {
            pid = Some(u64::from(started.pid));
            let line = hook_line(&Hook {
                entrypoint: started.request.program().to_owned(),
                tty: started.request.console,
                pid: u64::from(started.pid),
                order: 0.0,
            });
            self.script.happened(&line, line.clone());
            Ok(())
        });
        step.pid = Some(pid.unwrap_or(0));
        step.terminal = Some(
            match (pid, console) {
                (None, _) => "none",
                (_, true) => "TtyConsole",
                (_, false) => "StdConsole",
            }
            .to_owned(),
        );
        step.stdout = Some(stdout.text());
        step.stderr = Some(stderr.text());
        match result {
            Ok(exit) => {
                step.exit = Some(match exit {
                    DriverExit::Code(code) => Exit::Code(code.into()),
                    DriverExit::Terminated => Exit::Terminated,
                    DriverExit::Unknown => Exit::Unknown,
                });
            }
            Err(error) => {
                step.exit = Some(Exit::None);
                step.error = failure(&error);
            }
        }
    }

    fn run(&self, place: usize, stdin: &Value) {
        let mut step = self.step(place, "Run");
        let command = Command::from_json(&self.command.to_string()).unwrap();
        let request = ContainerRequest::from_command(&command, &self.settings);
        let console = request.process.console;
        self.ran(&mut step, stdin, console, |streams, hook| {
            let plan = Plan::new(request, streams.stdin.is_some(), &self.settings)?;
            self.driver.run(plan, streams, Some(hook))
        });
        self.end(place, &step);
    }

    fn operate(&self, place: usize, operation: &Value) {
        let name = string(&operation["operation"]);
        let id = operation["id"]
            .as_str()
            .or_else(|| self.command["id"].as_str())
            .unwrap_or_default();
        let mut step = self.step(place, &name);
        let number = |name: &str| {
            let number = operation[name].as_i64().unwrap_or(0);
            i32::try_from(number).unwrap()
        };
        let result = match name.as_str() {
            "Kill" => self.driver.signal(id, number("sig")),
            "Terminate" => self.driver.signal(id, 15),
            "Resize" => {
                step.terminal = Some(
                    if self.command["process_config"]["tty"] == true {
                        "TtyConsole"
                    } else {
                        "StdConsole"
                    }
                    .to_owned(),
                );
                let side = |name| operation[name].as_u64().unwrap() as u32;
                self.driver
                    .resize(id, "init", side("height"), side("width"))
            }
            "Exec" => {
                let config: ProcessConfig =
                    serde_json::from_value(operation["process_config"].clone()).unwrap();
                let request = ProcessRequest::from(&config);
                self.ran(
                    &mut step,
                    &operation["stdin"],
                    config.tty,
                    |streams, hook| self.driver.exec(id, &request, streams, Some(hook)),
                );
                step.pid = None;
                self.end(place, &step);
                return;
            }
            "Pause" | "Unpause" => self.driver.pause(id),
            "Stats" => self.driver.properties(id).map(|_| ()),
            "Update" => self.driver.update(id),
            "GetPidsForContainer" => {
                let pids = self.driver.pids(id);
                step.result = Some(match &pids {
                    Ok(pids) => format!("{pids:?}"),
                    Err(_) => "null".to_owned(),
                });
                pids.map(|_| ())
            }
            "Clean" => Ok(()),
            "Info.IsRunning" => {
                step.result = Some(self.driver.is_running(id).to_string());
                Ok(())
            }
            "SupportsHooks" => {
                step.result = Some("true".to_owned());
                Ok(())
            }
            "Name" => {
                step.result = Some(format!("{:?}", self.settings.owner));
                Ok(())
            }
            other => panic!("the replay does not know the operation {other}"),
        };
        if let Err(error) = result {
            step.error = failure(&error);
        }
        self.end(place, &step);
    }
}

/// An error as far as it is compared.
pub(crate) fn failure(error: &DriverError) -> Failure {
    match (error.function(), error.hresult()) {
        (Some(function), Some(hresult)) => Failure::Code(function.to_owned(), canonical(hresult.0)),
        _ => Failure::Some,
    }
}
