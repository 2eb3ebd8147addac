//! A container whose record is damaged: its end and its removal, by what of the record can still be read.

use hoist_compute::Result;
use hoist_spec::ContainerId;

use super::record::entries;
use super::run::{end_keeper, of_exec};
use super::service::Shared;

/// Removes what there is; the result says what was found, and what was not.
pub(crate) fn remove(shared: &Shared, id: &ContainerId) -> Result<Vec<String>> {
    let folder = shared.folder(id);
    let Some(_lock) = folder.lock()? else {
        return Ok(Vec::new());
    };
    let mut told = Vec::new();
    for place in ["runs", "execs", "further"] {
        for path in entries(&folder.0.join(place))? {
            let run = of_exec(&path);
            if run.is_damaged() {
                told.push(format!(
                    "not the processes of {}, which cannot be read",
                    path.display()
                ));
            }
            if let Ok(Some(keeper)) = run.keeper() {
                end_keeper(keeper)?;
                told.push(format!("the processes below process {}", keeper.pid));
            }
        }
    }
    folder.remove()?;
    told.push(format!("its record {}", folder.0.display()));
    Ok(told)
}
