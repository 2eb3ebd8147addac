//! What is on disk of a container, as another version of Hoist, a crash or somebody else has left it.

use std::fs;

use hoist_compute::{ComputeService, Query};
use hoist_linux::LinuxService;

use super::linux::folder;

/// The files of a record, in this order, with a 0 byte between them.
const FILES: [&str; 5] = [
    "config.json",
    "state.json",
    "process.json",
    "exit.json",
    "mounts.json",
];

/// Looks at such a container, and changes nothing: what it names is the machine's.
pub(super) fn record(bytes: &[u8]) {
    let Some(root) = folder() else { return };
    let container = root.path().join("containers/c1");
    if fs::create_dir_all(&container).is_err() {
        return;
    }
    for (name, content) in FILES.iter().zip(bytes.split(|byte| *byte == 0)) {
        if !content.is_empty() && fs::write(container.join(name), content).is_err() {
            return;
        }
    }
    let Ok(service) = LinuxService::new(root.path().to_owned()) else {
        return;
    };
    let _ = service.enumerate();
    let Ok(id) = "c1".parse() else { return };
    let query = Query {
        statistics: true,
        processes: true,
    };
    match service.open(&id) {
        Ok(system) => {
            let _ = (system.state(), system.properties(query), system.execs());
            let _ = system.added_mounts();
        }
        Err(error) => drop(error.to_string()),
    }
    if let Ok(container) = service.open_for_runtime(&id) {
        let _ = container.oci_state();
    }
}
