//! The same on Windows: the probe, the behaviours' fixture, and the double of `vmcompute.dll` as a service of several processes.

mod conformance;
mod double;
mod probe;

pub use conformance::{Backend, handles, main};
pub use double::Double;
pub use probe::main_if_asked as probe_if_asked;
