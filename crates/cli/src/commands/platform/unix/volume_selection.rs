//! Which of the volumes `hoist volume ls` shows, as docker's filters say: those of one key are alternatives, but labels; those of several
//! must all hold.

use hoist::{Engine, Volume};
use hoist_spec::{Fault, Faults};

use crate::failure::Failure;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct VolumeSelection {
    names: Vec<String>,
    drivers: Vec<String>,
    labels: Vec<(String, Option<String>)>,
    /// Used by no container, or by one.
    dangling: Vec<bool>,
}

impl VolumeSelection {
    pub(super) fn of(filters: &[String]) -> Result<Self, Faults> {
        let mut selection = Self::default();
        let mut faults = Faults::default();
        for filter in filters {
            let (key, value) = filter.split_once('=').unwrap_or((filter, ""));
            match (key, value) {
                ("name", _) => selection.names.push(value.to_owned()),
                ("driver", _) => selection.drivers.push(value.to_owned()),
                ("label", value) if !value.is_empty() => {
                    let (name, value) = match value.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (value, None),
                    };
                    selection.labels.push((name.to_owned(), value));
                }
                ("dangling", "true" | "1") => selection.dangling.push(true),
                ("dangling", "false" | "0") => selection.dangling.push(false),
                _ => faults.push(Fault::of_value(
                    "--filter",
                    filter,
                    "is no filter: use name=TEXT, label=KEY[=VALUE], driver=local or dangling=true|false",
                )),
            }
        }
        faults.into_result(selection)
    }

    /// Those of `volumes` that are asked for.
    pub(super) fn apply(
        &self,
        mut volumes: Vec<Volume>,
        engine: &Engine,
    ) -> Result<Vec<Volume>, Failure> {
        volumes.retain(|volume| self.takes(volume));
        if self.dangling.is_empty() {
            return Ok(volumes);
        }
        let mut taken = Vec::new();
        for volume in volumes {
            let is_dangling = engine.users_of_volume(&volume.name)?.is_empty();
            if self.dangling.contains(&is_dangling) {
                taken.push(volume);
            }
        }
        Ok(taken)
    }

    fn takes(&self, volume: &Volume) -> bool {
        let any = |alternatives: &[String], holds: &dyn Fn(&String) -> bool| {
            alternatives.is_empty() || alternatives.iter().any(holds)
        };
        any(&self.names, &|part| volume.name.contains(part.as_str()))
            && any(&self.drivers, &|driver| driver == "local")
            && self.labels.iter().all(|(name, wanted)| {
                let found = volume.labels.get(name);
                found.is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
            })
    }
}
