//! The mode in which this program is started to be a container's supervisor; no command of anybody's.

use hoist::supervise::{Launcher, serve};

/// The first argument of a supervisor.
pub(crate) const MODE: &str = "supervise";

/// This program as the supervisor of containers.
pub(crate) fn launcher() -> Launcher {
    Launcher {
        program: "/proc/self/exe".into(),
        arguments: vec![MODE.into()],
    }
}

/// Is a supervisor until its container has ended for good. It has nobody to talk to but who launched it, and is told
/// apart by its status alone.
pub(crate) fn main() -> u8 {
    match serve() {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
