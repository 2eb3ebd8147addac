//! The same on Windows: the probe, the behaviours' fixture, and the double of `vmcompute.dll` as a service of several processes.

mod conformance;
mod console;
mod double;
mod inputs;
mod layers;
mod probe;
mod usage;

pub use conformance::{Backend, handles, is_wine, main, main_with};
pub use double::Double;
pub use inputs::KeptInputs;
pub use layers::Layers;
pub use probe::main_if_asked as probe_if_asked;
pub use usage::Usage;
