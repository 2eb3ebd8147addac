//! What to run in a container, as plain values.
//!
//! Here live container ids, the driver's [`Command`], the resolved [`ContainerSpec`] that every
//! backend takes, signals, and the validation that collects every fault before anything is made.
//! Nothing here calls the operating system: each function is pure and works on every platform.

mod container;
mod id;
mod signal;

pub use container::{
    ConsoleSize, ContainerSpec, ProcessSpec, RootSource, SeccompPolicy, StopPolicy, WritableLayer,
};
pub use id::{ContainerId, InvalidId};
pub use oci_spec::runtime as oci;
pub use signal::{Signal, UnknownSignal};
