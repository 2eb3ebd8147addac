//! Which of the containers `hoist ps` shows, as docker's filters say: those of one key are alternatives, but labels; those of several must
//! all hold.

use hoist::{Engine, Listed};
use hoist_compute::{State, Timestamp};
use hoist_spec::{Fault, Faults};

use crate::args::Ps;
use crate::failure::Failure;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Selection {
    ids: Vec<String>,
    names: Vec<String>,
    states: Vec<String>,
    codes: Vec<i32>,
    labels: Vec<(String, Option<String>)>,
    /// Made after each of these moments, and before each of those.
    since: Vec<Timestamp>,
    before: Vec<Timestamp>,
    last: Option<usize>,
    all: bool,
}

/// The states by docker's names.
const STATES: &[&str] = &["created", "restarting", "running", "paused", "exited"];

impl Selection {
    pub(super) fn of(ps: &Ps, engine: &Engine) -> Result<Self, Failure> {
        let made = |reference: &str| -> Result<Timestamp, Failure> {
            Ok(engine.summary(&engine.resolve(reference)?)?.created_at)
        };
        let mut selection = Self::default();
        let mut faults = Faults::default();
        for filter in &ps.filter {
            let (key, value) = filter.split_once('=').unwrap_or((filter, ""));
            match (key, value.parse()) {
                ("label", _) if !value.is_empty() => {
                    let (name, value) = match value.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (value, None),
                    };
                    selection.labels.push((name.to_owned(), value));
                }
                ("since", _) => selection.since.push(made(value)?),
                ("before", _) => selection.before.push(made(value)?),
                ("id", _) => selection.ids.push(value.to_owned()),
                ("name", _) => selection.names.push(value.to_owned()),
                ("status", _) if STATES.contains(&value) => selection.states.push(value.to_owned()),
                ("exited", Ok(code)) => selection.codes.push(code),
                _ => {
                    let reason = "is no filter: use id=TEXT, name=TEXT, label=KEY[=VALUE], exited=CODE, since=CONTAINER, before=CONTAINER, or status= and created, restarting, running, paused or exited";
                    faults.push(Fault::of_value("--filter", filter, reason));
                }
            }
        }
        selection.last = match &ps.last {
            Some(text) => match text.parse() {
                Ok(number) => Some(number),
                Err(_) => {
                    faults.push(Fault::of_value(
                        "--last",
                        text,
                        "is no number of containers",
                    ));
                    None
                }
            },
            None => ps.latest.then_some(1),
        };
        selection.all = ps.all || selection.last.is_some() || !selection.states.is_empty();
        Ok(faults.into_result(selection)?)
    }

    /// Whether containers that do not run are looked at, too.
    pub(super) fn is_of_all(&self) -> bool {
        self.all
    }

    /// Those of `listed`, the newest of which are first, that are asked for.
    pub(super) fn apply(
        &self,
        mut listed: Vec<Listed>,
        engine: &Engine,
    ) -> Result<Vec<Listed>, Failure> {
        listed.truncate(self.last.unwrap_or(usize::MAX));
        listed.retain(|container| self.takes(container));
        if self.labels.is_empty() {
            return Ok(listed);
        }
        let mut taken = Vec::new();
        for container in listed {
            let labels = engine.labels(&container.summary.id)?;
            let holds = |(name, wanted): &(String, Option<String>)| {
                labels
                    .get(name)
                    .is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
            };
            // Unlike other filters, docker's labels must all be there.
            if self.labels.iter().all(holds) {
                taken.push(container);
            }
        }
        Ok(taken)
    }

    fn takes(&self, container: &Listed) -> bool {
        let summary = &container.summary;
        let name = container.name.as_deref().unwrap_or_default();
        let code = summary.exit.as_ref().map(|exit| exit.shell_code());
        any(&self.ids, |id| summary.id.as_str().contains(id.as_str()))
            && any(&self.names, |pattern| is_named(name, pattern))
            && any(&self.states, |state| state == state_of(container))
            && self.since.iter().all(|at| summary.created_at > *at)
            && self.before.iter().all(|at| summary.created_at < *at)
            && any(&self.codes, |wanted| {
                summary.state == State::Stopped && code == Some(*wanted)
            })
    }
}

/// Whether the name has that part; `^` stands for its begin and `$` for its end.
fn is_named(name: &str, pattern: &str) -> bool {
    let (begins, pattern) = match pattern.strip_prefix('^') {
        // Docker's own names begin with a slash, and its users' patterns know it.
        Some(rest) => (true, rest.strip_prefix('/').unwrap_or(rest)),
        None => (false, pattern),
    };
    let (ends, part) = match pattern.strip_suffix('$') {
        Some(part) => (true, part),
        None => (false, pattern),
    };
    match (begins, ends) {
        (true, true) => name == part,
        (true, false) => name.starts_with(part),
        (false, true) => name.ends_with(part),
        (false, false) => name.contains(part),
    }
}

fn any<T>(alternatives: &[T], holds: impl Fn(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(holds)
}

fn state_of(container: &Listed) -> &'static str {
    match container.summary.state {
        _ if container.restarting => "restarting",
        State::Created => "created",
        State::Running => "running",
        State::Paused => "paused",
        State::Stopped => "exited",
    }
}
