//! A recorded scenario, and what is expected of its replay.

use serde_json::{Map, Value};

/// A scenario. The rules change what is expected in it; its input stays.
pub(crate) struct Recording {
    pub(crate) source: String,
    pub(crate) input: Value,
    pub(crate) calls: Vec<Call>,
    pub(crate) notifications: Vec<Notified>,
    pub(crate) steps: Vec<Step>,
    pub(crate) events: Vec<Event>,
    pub(crate) streams: Vec<Streams>,
    /// Words of its warnings.
    pub(crate) warnings: Vec<String>,
    /// Lists in documents that may be in any order.
    pub(crate) unordered: Vec<Vec<String>>,
    pub(crate) order_varies: bool,
}

/// A call to the service.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: String,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) returned: Map<String, Value>,
    pub(crate) begin: f64,
    pub(crate) end: f64,
}

/// A callback that the service made.
#[derive(Clone, Debug)]
pub(crate) struct Notified {
    pub(crate) callback: String,
    pub(crate) of: String,
    pub(crate) kind: String,
    pub(crate) status: u32,
    pub(crate) order: f64,
}

/// An operation, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) operation: String,
    pub(crate) begin: f64,
    pub(crate) end: f64,
    /// As it was given; with the arguments that were recorded.
    pub(crate) input: Value,
    pub(crate) error: Failure,
    /// Where it has one: the exit status; what the recording says.
    pub(crate) exit: Option<Exit>,
    pub(crate) hook: Option<Hook>,
    pub(crate) pid: Option<u64>,
    pub(crate) terminal: Option<String>,
    pub(crate) stdout: Option<String>,
    pub(crate) stderr: Option<String>,
    /// Other results: `value`, `pids`, `summary`.
    pub(crate) result: Option<String>,
}

/// Whether and how an operation failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// It did not.
    None,
    /// It did; how is told in words only.
    Some,
    /// With a code, of a call.
    Code(String, u32),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exit {
    Code(i64),
    Terminated,
    Unknown,
    /// An error was returned in its place.
    None,
}

/// What the start hook was given.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) entrypoint: String,
    pub(crate) tty: bool,
    pub(crate) pid: u64,
    pub(crate) order: f64,
}

/// What the receiver of events was told.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) container: String,
    pub(crate) state: String,
    pub(crate) process: String,
    pub(crate) pid: u64,
    pub(crate) exit: Option<Exit>,
    pub(crate) update_pending: bool,
    pub(crate) order: f64,
}

/// The streams of one process.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) process: String,
    pub(crate) has: [bool; 3],
    pub(crate) terminal: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) order: f64,
}

impl Recording {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let result = &document["result"];
        let steps = list(&result["steps"])
            .enumerate()
            .map(|(place, step)| read_step(place, step, &document["input"]))
            .collect();
        Ok(Self {
            source: string(&document["source"]),
            input: document["input"].clone(),
            calls: list(&document["calls"]).map(read_call).collect(),
            notifications: list(&document["notifications"])
                .map(|note| Notified {
                    callback: string(&note["callback"]),
                    of: string(&note["of"]),
                    kind: string(&note["type"]),
                    status: code(&note["status"]),
                    order: number(&note["order"]),
                })
                .collect(),
            steps,
            events: list(&result["events"]).map(read_event).collect(),
            streams: list(&result["streams"])
                .map(|streams| Streams {
                    process: string(&streams["process"]),
                    has: ["has_stdin", "has_stdout", "has_stderr"]
                        .map(|name| streams[name] == true),
                    terminal: streams["terminal"] == true,
                    stdout: string(&streams["stdout"]),
                    stderr: string(&streams["stderr"]),
                    order: number(&streams["order"]),
                })
                .collect(),
            warnings: list(&result["log"])
                .filter(|line| line["level"] == "warning")
                .map(|line| string(&line["message"]))
                .collect(),
            unordered: list(&document["unordered"])
                .map(|pointer| {
                    let pointer = string(pointer);
                    pointer.split('/').skip(1).map(str::to_owned).collect()
                })
                .collect(),
            order_varies: document["order_varies"] == true,
        })
    }

    pub(crate) fn is_libcontainerd(&self) -> bool {
        self.source.contains("libcontainerd")
    }

    pub(crate) fn is_docker19(&self) -> bool {
        self.source.contains("v1.9")
    }

    /// The calls that began within a step.
    pub(crate) fn calls_in(&self, step: &Step) -> Vec<usize> {
        (0..self.calls.len())
            .filter(|call| (step.begin..step.end).contains(&self.calls[*call].begin))
            .collect()
    }

    /// Whether the process of this id is ended by a call.
    pub(crate) fn is_killed(&self, pid: u64) -> bool {
        let made = self
            .calls
            .iter()
            .find(|call| call.returned.get("pid").and_then(Value::as_u64) == Some(pid));
        let Some(made) = made else { return false };
        let handle = made.returned.get("process");
        let system = made.arguments.get("computeSystem");
        let exit = self.exit_order(pid, handle);
        self.calls.iter().any(|call| {
            if call.begin < made.begin || call.begin > exit || !is_ok_or_pending(call.hresult()) {
                return false;
            }
            match call.function.as_str() {
                "HcsTerminateProcess" => call.arguments.get("process") == handle,
                "TerminateProcessInComputeSystem" => {
                    call.arguments.get("pid").and_then(Value::as_u64) == Some(pid)
                }
                "HcsTerminateComputeSystem" | "HcsShutdownComputeSystem" => {
                    call.arguments.get("computeSystem") == system
                }
                "TerminateComputeSystem" | "ShutdownComputeSystem" => true,
                _ => false,
            }
        })
    }

    /// When the process of this id ends, as far as the driver is told.
    fn exit_order(&self, pid: u64, handle: Option<&Value>) -> f64 {
        let waited = self.calls.iter().find(|call| {
            call.function == "WaitForProcessInComputeSystem"
                && call.arguments.get("pid").and_then(Value::as_u64) == Some(pid)
        });
        let told = self.notifications.iter().find(|note| {
            note.kind == "ProcessExited" && handle.and_then(Value::as_str) == Some(&note.of)
        });
        waited
            .map(|call| call.end)
            .or(told.map(|note| note.order))
            .unwrap_or(f64::MAX)
    }
}

pub(crate) fn is_ok_or_pending(hresult: u32) -> bool {
    hresult & 0x8000_0000 == 0 || hresult == 0xC037_0103
}

impl Call {
    pub(crate) fn hresult(&self) -> u32 {
        self.returned.get("hresult").map_or(0, code)
    }

    pub(crate) fn failed(&self) -> bool {
        !is_ok_or_pending(self.hresult())
    }

    /// The process parameters and the name of the argument that holds their text.
    pub(crate) fn parameters(&self) -> Option<(&'static str, String)> {
        ["params_text", "processParameters_text"]
            .into_iter()
            .find_map(|name| Some((name, self.arguments.get(name)?.as_str()?.to_owned())))
    }

    /// A call that was not recorded, which succeeds.
    pub(crate) fn new(function: &str, arguments: Value, begin: f64) -> Self {
        Self {
            function: function.to_owned(),
            arguments: arguments.as_object().unwrap().clone(),
            returned: serde_json::json!({"hresult": "0x00000000"})
                .as_object()
                .unwrap()
                .clone(),
            begin,
            end: begin + 0.001,
        }
    }

    pub(crate) fn returning(mut self, hresult: &str) -> Self {
        self.returned.insert("hresult".to_owned(), hresult.into());
        self
    }
}

fn read_call(call: &Value) -> Call {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let mut returned = object(&call["returned"]);
    let end = returned
        .remove("order")
        .map_or(f64::MAX, |order| number(&order));
    Call {
        function: string(&call["function"]),
        arguments: object(&call["arguments"]),
        returned,
        begin: number(&call["order"]),
        end,
    }
}

fn read_step(place: usize, step: &Value, input: &Value) -> Step {
    let operation = string(&step["operation"]);
    let exit_code = step
        .pointer("/exit_status/exit_code")
        .or_else(|| step.get("exit_code"));
    let hook = step.get("start_hook").filter(|hook| !hook.is_null());
    let given = input["steps"].get(place).cloned();
    let results = ["value", "pids", "summary"]
        .into_iter()
        .find_map(|name| step.get(name))
        .map(ToString::to_string);
    let text = |name: &str| step.get(name).and_then(Value::as_str).map(str::to_owned);
    Step {
        begin: number(&step["order"][0]),
        end: number(&step["order"][1]),
        input: given.unwrap_or_else(|| step.get("arguments").cloned().unwrap_or_default()),
        error: read_error(&step["error"]),
        exit: exit_code.map(|code| Exit::Code(code.as_i64().unwrap())),
        hook: hook.map(|hook| Hook {
            entrypoint: string(&hook["entrypoint"]),
            tty: hook["tty"] == true,
            pid: hook["pid"].as_u64().unwrap(),
            order: number(&hook["order"]),
        }),
        pid: step.get("container_pid").and_then(Value::as_u64),
        terminal: step
            .get("terminal")
            .map(|terminal| terminal.as_str().unwrap_or("none").to_owned()),
        stdout: text("stdout"),
        stderr: text("stderr"),
        result: results,
        operation,
    }
}

/// The code in an error's words, and the call that they name.
fn read_error(error: &Value) -> Failure {
    let Some(words) = error.as_str() else {
        return Failure::None;
    };
    let code = words
        .split_once("{message:0x")
        .and_then(|(_, rest)| u32::from_str_radix(&rest[..8], 16).ok());
    let Some(code) = code else {
        return Failure::Some;
    };
    let function = [
        (
            "CreateProcessInComputeSystem",
            "CreateProcessWithStdHandlesInComputeSystem",
        ),
        ("during CreateContainer", "HcsCreateComputeSystem"),
        ("during Start", "HcsStartComputeSystem"),
        ("during CreateProcess", "HcsCreateProcess"),
        ("during Shutdown", "HcsShutdownComputeSystem"),
        ("during Terminate", "HcsTerminateComputeSystem"),
        ("hcsshim::NameToGuid", "NameToGuid"),
    ]
    .into_iter()
    .find(|(words_of, _)| words.contains(words_of))
    .map(|(_, function)| function.to_owned())
    .or_else(|| {
        let (_, rest) = words.split_once("HCSShim::")?;
        rest.split([' ', ':']).next().map(str::to_owned)
    });
    match function {
        Some(function) => Failure::Code(function, canonical(code)),
        None => Failure::Some,
    }
}

/// A code in the one form in which codes are compared.
pub(crate) fn canonical(code: u32) -> u32 {
    hoist_hcs::Hresult(code).canonical().0
}

fn read_event(event: &Value) -> Event {
    let state = string(&event["state"]);
    Event {
        container: string(&event["container_id"]),
        process: string(&event["process_id"]),
        pid: event["pid"].as_u64().unwrap_or(0),
        exit: (state != "start-container")
            .then(|| Exit::Code(event["exit_code"].as_i64().unwrap_or(0))),
        update_pending: event["update_pending"] == true,
        order: number(&event["order"]),
        state,
    }
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(crate) fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// `0x80070005`.
pub(crate) fn code(value: &Value) -> u32 {
    let text = value.as_str().unwrap_or("0x0").trim_start_matches("0x");
    u32::from_str_radix(text, 16).unwrap()
}
