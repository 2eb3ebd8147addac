//! `hoist diff`.

use hoist::Engine;
use hoist_compute::ChangeKind;

use crate::args::{Diff, Format};
use crate::failure::Failure;
use crate::output;
use crate::table::printable;

/// Lists what a container has changed in its root, as docker does: `A` for added, `C` for changed, `D` for deleted.
pub(crate) fn run(diff: &Diff, engine: &Engine) -> Result<u8, Failure> {
    let id = engine.resolve(&diff.container)?;
    let changes = engine.container(&id)?.system().changes()?;
    if diff.format == Format::Json {
        output::print_json(&changes, true)?;
        return Ok(0);
    }
    let lines: String = changes
        .iter()
        .map(|change| {
            let mark = match change.kind {
                ChangeKind::Added => 'A',
                ChangeKind::Changed => 'C',
                ChangeKind::Deleted => 'D',
            };
            // A container chooses its names: one must not look like another line.
            format!("{mark} {}\n", printable(&change.path.to_string_lossy()))
        })
        .collect();
    output::print(&lines)?;
    Ok(0)
}
