//! Checkpoint and restore of containers by criu(8), which is driven by its command line.
//!
//! A checkpoint is what criu makes of it: processes of this machine, restored by root. So nothing is taken from one that
//! somebody else could have written (`images`), what criu mounts and inherits is told from the spec and not from the image
//! (`mounts`, `streams`), and the processes are compared with the spec while criu still holds them (`restored`): they never run
//! where they would not be isolated as that says.

mod arguments;
mod console;
mod criu;
mod dump;
mod hook;
mod images;
mod mount_points;
mod mounts;
mod network;
mod private;
mod restore;
mod restored;
mod streams;

use hoist_compute::{Error, ErrorKind, Phase};

pub use self::arguments::{
    CheckpointOptions, CriuOptions, ManageCgroups, PageServer, RestoreOptions,
};
pub use self::criu::Criu;
pub use self::hook::main_if_called_by_criu;

pub(crate) use self::mounts::parse as parse_mounts;

fn unsupported(what: &str, reason: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        Phase::Operate,
        format!("{what}: {reason}"),
    )
}
