//! `hoist ps`.

use std::collections::BTreeMap;

use hoist::{Engine, Listed};
use hoist_compute::{ErrorKind, ExitStatus, State, Summary};
use hoist_spec::RootSource;

use serde_json::Value;

use super::selection::Selection;
use crate::age::{age, words};
use crate::args::Ps;
use crate::failure::{Failure, warn_of_all};
use crate::format::{LABEL, ListFormat};
use crate::{output, table};

/// How much of an id and of a command is shown.
pub(crate) const SHORT_ID: usize = 12;
pub(crate) const SHORT_COMMAND: usize = 20;

/// Lists the containers.
pub(crate) fn run(ps: &Ps, engine: &Engine) -> Result<u8, Failure> {
    let selection = Selection::of(ps, engine)?;
    let listing = engine.survey(selection.is_of_all())?;
    warn_of_all(listing.unreadable);
    let listed = selection.apply(listing.containers, engine)?;
    if ps.quiet {
        let ids: String = listed
            .iter()
            .map(|container| format!("{}\n", id(container, ps)))
            .collect();
        output::print(&ids)?;
        return Ok(0);
    }
    let asks_for_labels = match &ps.list.format {
        ListFormat::Template(template) | ListFormat::TableTemplate(template) => {
            template.asks_for_labels()
        }
        ListFormat::Table | ListFormat::Json => false,
    };
    let containers: Vec<Value> = listed
        .iter()
        .map(|container| {
            // The usual table has nothing of it, and it is in another file than all else.
            let known = match &ps.list.format {
                ListFormat::Table => Known::default(),
                _ => Known::of(engine, container)?,
            };
            let mut fields = fields(container, &known, ps);
            if asks_for_labels && let Some(fields) = fields.as_object_mut() {
                fields.insert(LABEL.to_owned(), serde_json::to_value(&known.labels)?);
            }
            Ok(fields)
        })
        .collect::<Result<_, Failure>>()?;
    output::print(&ps.list.write(&containers)?)?;
    Ok(0)
}

fn id(container: &Listed, ps: &Ps) -> String {
    let id = container.summary.id.as_str();
    if ps.no_trunc {
        id.to_owned()
    } else {
        id.chars().take(SHORT_ID).collect()
    }
}

fn command(container: &Listed, ps: &Ps) -> String {
    let command = table::printable(&container.summary.command.join(" "));
    if ps.no_trunc {
        format!("\"{command}\"")
    } else {
        format!("\"{}\"", table::shorten(&command, SHORT_COMMAND))
    }
}

fn fields(container: &Listed, known: &Known, ps: &Ps) -> Value {
    let created_at = container.summary.created_at;
    serde_json::json!({
        "ID": id(container, ps),
        "Command": command(container, ps),
        "CreatedAt": hoist::rfc3339(created_at),
        "RunningFor": format!("{} ago", words(age(created_at))),
        "State": state(container),
        "Status": status(container),
        "Names": container.name.clone().unwrap_or_default(),
        "Labels": known.labels_text(),
        "Image": known.image,
        // No port of this machine leads into a container: there are no networks to publish from.
        "Ports": "",
    })
}

/// What the container's spec tells; nothing of one that is gone meanwhile.
#[derive(Default)]
struct Known {
    labels: BTreeMap<String, String>,
    /// What its root is made of.
    image: String,
}

impl Known {
    fn of(engine: &Engine, container: &Listed) -> Result<Self, Failure> {
        let spec = match engine.spec(&container.summary.id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            spec => spec?,
        };
        let labels = spec.oci.annotations().clone().unwrap_or_default();
        Ok(Self {
            labels: labels.into_iter().collect(),
            image: image(&spec.root),
        })
    }

    /// As docker writes them.
    fn labels_text(&self) -> String {
        let labels = self.labels.iter();
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        labels.join(",")
    }
}

/// What stands where docker has the name of an image: the directory, or the layers, the base first.
fn image(root: &RootSource) -> String {
    match root {
        RootSource::Directory(directory) => directory.display().to_string(),
        RootSource::Layers { layers, .. } => {
            let layers: Vec<String> = layers
                .iter()
                .rev()
                .map(|layer| layer.display().to_string())
                .collect();
            layers.join(",")
        }
        RootSource::Host | RootSource::Unisolated => String::new(),
    }
}

fn state(container: &Listed) -> Value {
    match container.restarting {
        true => "restarting".into(),
        false => serde_json::json!(container.summary.state),
    }
}

fn status(container: &Listed) -> String {
    let summary = &container.summary;
    if container.restarting {
        let exit = summary.exit.as_ref();
        let code = exit.map_or_else(|| "unknown".to_owned(), code);
        let since = exit.map_or(summary.created_at, |exit| exit.finished_at);
        return format!("Restarting ({code}) {} ago", words(age(since)));
    }
    match &container.unkillable {
        Some(channel) => format!("{} (Unkillable, waits in {channel})", status_of(summary)),
        None => status_of(summary),
    }
}

/// What is said of the state of a container, or of a further process of one.
pub(crate) fn status_of(summary: &Summary) -> String {
    let up = || words(summary.started_at.map(age).unwrap_or_default());
    match summary.state {
        State::Created => "Created".to_owned(),
        State::Running => format!("Up {}", up()),
        State::Paused => format!("Up {} (Paused)", up()),
        State::Stopped => match &summary.exit {
            Some(exit) => format!(
                "Exited ({}) {} ago",
                code(exit),
                words(age(exit.finished_at))
            ),
            None => "Exited (unknown)".to_owned(),
        },
    }
}

fn code(exit: &ExitStatus) -> String {
    match &exit.unknown {
        Some(reason) => format!("unknown: {reason}"),
        None => exit.shell_code().to_string(),
    }
}
