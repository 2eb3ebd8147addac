//! `hoist volume`.

use std::collections::BTreeMap;

use hoist::{Engine, Volume, rfc3339};
use hoist_compute::ErrorKind;
use serde_json::{Value, json};

use super::volume_selection::VolumeSelection;
use crate::args::{VolumeAction, VolumeCommand, VolumeLs};
use crate::commands::{each_told, prune::agreed};
use crate::failure::Failure;
use crate::format::ListFormat;
use crate::output;

/// Makes, lists and removes volumes.
pub(crate) fn run(command: VolumeCommand, engine: &Engine, json: bool) -> Result<u8, Failure> {
    let volumes = engine.volumes();
    match command.action {
        VolumeAction::Create(create) => {
            let labels = create.label.iter().map(|label| {
                let (name, value) = label.split_once('=').unwrap_or((label, ""));
                (name.to_owned(), value.to_owned())
            });
            let labels: BTreeMap<String, String> = labels.collect();
            let made = volumes.create(create.name.as_deref(), labels)?;
            output::print(&format!("{}\n", made.name))?;
            Ok(0)
        }
        VolumeAction::Inspect(inspect) => {
            let mut found = Vec::new();
            let outcome = each_told(&inspect.names, json, |name| {
                found.push(known(&volumes.get(name)?));
                Ok(())
            });
            output::print_json(&found, true)?;
            outcome
        }
        VolumeAction::Ls(ls) => {
            let selection = VolumeSelection::of(&ls.filter)?;
            list(&selection.apply(volumes.list()?, engine)?, &ls)
        }
        VolumeAction::Prune(prune) => {
            if !prune.force && !agreed("Remove all volumes that no container uses?")? {
                return Ok(1);
            }
            let pruned = engine.prune_volumes()?;
            for name in pruned.removed {
                output::print(&format!("{name}\n"))?;
            }
            each_told(pruned.failures, json, |error| Err(error.into()))
        }
        VolumeAction::Rm(rm) => {
            each_told(&rm.names, json, |name| match engine.remove_volume(name) {
                Err(error) if rm.force && error.kind() == ErrorKind::NotFound => Ok(()),
                removed => {
                    removed?;
                    output::print(&format!("{name}\n"))
                }
            })
        }
    }
}

/// What docker tells of a volume.
fn known(volume: &Volume) -> Value {
    json!({
        "CreatedAt": rfc3339(volume.created_at),
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": null,
        "Scope": "local",
    })
}

fn list(volumes: &[Volume], asked: &VolumeLs) -> Result<u8, Failure> {
    if asked.quiet && !matches!(asked.list.format, ListFormat::Json) {
        let names = volumes.iter().map(|volume| format!("{}\n", volume.name));
        output::print(&names.collect::<String>())?;
        return Ok(0);
    }
    let volumes: Vec<Value> = volumes.iter().map(known).collect();
    output::print(&asked.list.write(&volumes)?)?;
    Ok(0)
}
