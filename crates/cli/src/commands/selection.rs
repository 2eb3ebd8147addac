//! Which of the containers `hoist ps` shows, as docker's filters say: those of one key are alternatives, those of several must all
//! hold.

use hoist::Listed;
use hoist_compute::State;
use hoist_spec::{Fault, Faults};

use crate::args::Ps;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Selection {
    ids: Vec<String>,
    names: Vec<String>,
    states: Vec<String>,
    codes: Vec<i32>,
    last: Option<usize>,
    all: bool,
}

/// The states by docker's names.
const STATES: &[&str] = &["created", "restarting", "running", "paused", "exited"];

impl Selection {
    pub(super) fn of(ps: &Ps) -> Result<Self, Faults> {
        let mut selection = Self::default();
        let mut faults = Faults::default();
        for filter in &ps.filter {
            let (key, value) = filter.split_once('=').unwrap_or((filter, ""));
            match (key, value.parse()) {
                ("id", _) => selection.ids.push(value.to_owned()),
                ("name", _) => selection.names.push(value.to_owned()),
                ("status", _) if STATES.contains(&value) => selection.states.push(value.to_owned()),
                ("exited", Ok(code)) => selection.codes.push(code),
                _ => {
                    let reason = "is no filter: use id=TEXT, name=TEXT, exited=CODE, or status= and created, restarting, running, paused or exited";
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
        faults.into_result(selection)
    }

    /// Whether containers that do not run are looked at, too.
    pub(super) fn is_of_all(&self) -> bool {
        self.all
    }

    /// Those of `listed`, the newest of which are first, that are asked for.
    pub(super) fn apply(&self, mut listed: Vec<Listed>) -> Vec<Listed> {
        listed.truncate(self.last.unwrap_or(usize::MAX));
        listed.retain(|container| self.takes(container));
        listed
    }

    fn takes(&self, container: &Listed) -> bool {
        let summary = &container.summary;
        let name = container.name.as_deref().unwrap_or_default();
        let code = summary.exit.as_ref().map(|exit| exit.shell_code());
        any(&self.ids, |id| summary.id.as_str().contains(id.as_str()))
            && any(&self.names, |part| name.contains(part.as_str()))
            && any(&self.states, |state| state == state_of(container))
            && any(&self.codes, |wanted| {
                summary.state == State::Stopped && code == Some(*wanted)
            })
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
