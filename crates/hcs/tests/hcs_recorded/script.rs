//! The order in which everything is expected to happen, and what has happened.
//!
//! What the service decides (when a wait returns, when it notifies) and when the caller's next operation begins happens
//! when all that was recorded before it has happened. So a replay takes no time, and every run of it is the same. What does not
//! come is waited for only so long: then the replay goes on, and the comparison shows what was different.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use crate::recording::{Call, Event, Exit, Failure, Hook, Notified, Recording, Step, Streams};

/// How long nothing may happen before what is missing is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// By which it is found again.
    pub(crate) key: String,
    /// All of it, to be compared.
    pub(crate) line: String,
    pub(crate) kind: Kind,
    pub(crate) order: f64,
}

/// What sort of thing it is, and which one of the recording's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Begin(usize),
    Return(usize),
    Notify(usize),
    StepBegin(usize),
    StepEnd(usize),
    Other,
}

pub(crate) struct Script {
    pub(crate) recording: Arc<Recording>,
    pub(crate) expected: Vec<Item>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    seen: Vec<bool>,
    log: Vec<String>,
    warnings: Vec<String>,
    last_change: Instant,
}

impl Script {
    pub(crate) fn new(recording: Arc<Recording>) -> Arc<Self> {
        let expected = expected(&recording);
        Arc::new(Self {
            state: Mutex::new(State {
                seen: vec![false; expected.len()],
                log: Vec::new(),
                warnings: Vec::new(),
                last_change: Instant::now(),
            }),
            recording,
            expected,
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Something has happened; which of the expected items it was.
    pub(crate) fn happened(&self, key: &str, line: String) -> Option<Kind> {
        let mut state = self.lock();
        let place = self
            .expected
            .iter()
            .enumerate()
            .find(|(place, item)| !state.seen[*place] && item.key == key)
            .map(|(place, _)| place);
        if let Some(place) = place {
            state.seen[place] = true;
        }
        state.log.push(line);
        state.last_change = Instant::now();
        drop(state);
        self.changed.notify_all();
        place.map(|place| self.expected[place].kind)
    }

    pub(crate) fn warned(&self, words: &str) {
        self.lock().warnings.push(words.to_owned());
    }

    /// Waits until all that is expected before this has happened.
    pub(crate) fn wait_before(&self, kind: Kind) {
        let Some(place) = self.expected.iter().position(|item| item.kind == kind) else {
            return;
        };
        self.wait(|state| state.seen[..place].iter().all(|seen| *seen));
    }

    /// The next notification that is due; `None` where none comes any more. `over` says that the scenario is.
    pub(crate) fn next_notification(&self, over: &dyn Fn() -> bool) -> Option<usize> {
        let mut state = self.lock();
        loop {
            let next = self
                .expected
                .iter()
                .enumerate()
                .find_map(|(place, item)| match item.kind {
                    Kind::Notify(note) if !state.seen[place] => Some((place, note)),
                    _ => None,
                });
            let (place, note) = next?;
            if state.seen[..place].iter().all(|seen| *seen)
                || state.last_change.elapsed() > PATIENCE / 2
            {
                return Some(note);
            }
            if over() {
                return None;
            }
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(200))
                .unwrap()
                .0;
        }
    }

    /// Waits until everything expected has happened.
    pub(crate) fn wait_all(&self) {
        self.wait(|state| state.seen.iter().all(|seen| *seen));
    }

    fn wait(&self, ready: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        while !ready(&state) && state.last_change.elapsed() < PATIENCE {
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(200))
                .unwrap()
                .0;
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.lock().warnings.clone()
    }
}

fn expected(recording: &Recording) -> Vec<Item> {
    let mut items = Vec::new();
    for (place, call) in recording.calls.iter().enumerate() {
        let (key, line) = call_line(&call.function, &call.arguments);
        items.push(Item {
            key,
            line,
            kind: Kind::Begin(place),
            order: call.begin,
        });
        let (key, line) = return_line(call);
        items.push(Item {
            key,
            line,
            kind: Kind::Return(place),
            order: call.end,
        });
    }
    for (place, note) in recording.notifications.iter().enumerate() {
        let line = notify_line(note);
        items.push(Item {
            key: line.clone(),
            line,
            kind: Kind::Notify(place),
            order: note.order,
        });
    }
    for (place, step) in recording.steps.iter().enumerate() {
        if step.begin == 0.0 {
            continue;
        }
        let line = begin_line(place, &step.operation);
        items.push(Item {
            key: line.clone(),
            line,
            kind: Kind::StepBegin(place),
            order: step.begin,
        });
        items.push(Item {
            key: end_key(place),
            line: end_line(place, step),
            kind: Kind::StepEnd(place),
            order: step.end,
        });
        if let Some(hook) = &step.hook {
            let line = hook_line(hook);
            items.push(Item {
                key: line.clone(),
                line,
                kind: Kind::Other,
                order: hook.order,
            });
        }
    }
    for event in &recording.events {
        items.push(Item {
            key: event_key(event),
            line: event_line(event),
            kind: Kind::Other,
            order: event.order,
        });
    }
    for streams in &recording.streams {
        let line = attach_line(streams);
        items.push(Item {
            key: line.clone(),
            line,
            kind: Kind::Other,
            order: streams.order,
        });
    }
    items.sort_by(|one, other| one.order.total_cmp(&other.order));
    items
}

/// A call: by its function and what it is about; its documents as exact texts.
pub(crate) fn call_line(
    function: &str,
    arguments: &serde_json::Map<String, serde_json::Value>,
) -> (String, String) {
    let mut key = format!("call {function}");
    let mut documents = String::new();
    for (name, value) in arguments {
        if let Some(name) = name.strip_suffix("_text") {
            documents.push_str(&format!(
                "\n    {name} {}",
                value.as_str().unwrap_or_default()
            ));
        } else if !arguments.contains_key(&format!("{name}_text")) {
            key.push_str(&format!(" {name}={value}"));
        }
    }
    let line = format!("{key}{documents}");
    (key, line)
}

pub(crate) fn return_line(call: &Call) -> (String, String) {
    let (key, _) = call_line(&call.function, &call.arguments);
    let key = format!("return from {key}");
    let line = format!("return from {} 0x{:08X}", call.function, call.hresult());
    (key, line)
}

pub(crate) fn notify_line(note: &Notified) -> String {
    format!(
        "notify {} of {} {} 0x{:08X}",
        note.callback, note.of, note.kind, note.status
    )
}

pub(crate) fn begin_line(place: usize, operation: &str) -> String {
    format!("begin {place} {operation}")
}

pub(crate) fn end_key(place: usize) -> String {
    format!("end {place}")
}

pub(crate) fn end_line(place: usize, step: &Step) -> String {
    let mut line = format!("end {place} {}", step.operation);
    line.push_str(&match &step.error {
        Failure::None => " error=none".to_owned(),
        Failure::Some => " error".to_owned(),
        Failure::Code(function, code) => format!(" error={function}:0x{code:08X}"),
    });
    if let Some(exit) = step.exit {
        line.push_str(&format!(" exit={}", exit_text(exit)));
    }
    if let Some(pid) = step.pid {
        line.push_str(&format!(" pid={pid}"));
    }
    for (name, value) in [
        ("terminal", &step.terminal),
        ("stdout", &step.stdout),
        ("stderr", &step.stderr),
        ("result", &step.result),
    ] {
        if let Some(value) = value {
            line.push_str(&format!(" {name}={value:?}"));
        }
    }
    line
}

fn exit_text(exit: Exit) -> String {
    match exit {
        // Signed and unsigned are two ways to write one code.
        Exit::Code(code) => format!("0x{:08X}", code as u32),
        Exit::Terminated => "terminated".to_owned(),
        Exit::Unknown => "unknown".to_owned(),
        Exit::None => "none".to_owned(),
    }
}

pub(crate) fn hook_line(hook: &Hook) -> String {
    format!(
        "hook entrypoint={:?} tty={} pid={}",
        hook.entrypoint, hook.tty, hook.pid
    )
}

pub(crate) fn event_key(event: &Event) -> String {
    format!(
        "event {} {} {}",
        event.state, event.container, event.process
    )
}

pub(crate) fn event_line(event: &Event) -> String {
    let exit = event.exit.map_or_else(String::new, |exit| {
        format!(
            " exit={}",
            exit_text(match exit {
                Exit::Terminated => Exit::Unknown,
                exit => exit,
            })
        )
    });
    format!(
        "{} pid={}{exit} update={}",
        event_key(event),
        event.pid,
        event.update_pending
    )
}

pub(crate) fn attach_line(streams: &Streams) -> String {
    let [stdin, stdout, stderr] = streams.has;
    format!(
        "attach {} stdin={stdin} stdout={stdout} stderr={stderr} terminal={}",
        streams.process, streams.terminal
    )
}
