//! What to run in a container, as plain values.
//!
//! Here live container ids, the driver's [`Command`], the resolved [`ContainerSpec`] that every
//! backend takes, signals, and the validation that collects every fault before anything is made.
//! Nothing here calls the operating system: each function is pure and works on every platform.

pub mod accounts;
mod bundle;
mod capability;
mod check;
mod command;
mod container;
mod convert;
mod document;
mod fault;
mod id;
mod joined;
mod json;
pub mod options;
mod platform;
pub mod program;
pub mod seccomp;
mod signal;
mod unknown_fields;
pub mod user;

pub use bundle::Bundle;
pub use capability::{
    CapabilitySet, UnknownCapability, capability_name, capability_number, parse_capability,
};
pub use check::clean_path;
pub use command::{
    Command, Device, Isolation, Mount, Network, NetworkInterface, NetworkMode, PortBinding,
    ProcessConfig, Resources, SharedNamespaces,
};
pub use container::{
    ConsoleSize, ContainerSpec, JoinedNamespace, ProcessSpec, RootSource, SeccompPolicy,
    StopPolicy, WritableLayer,
};
pub use convert::native_architecture;
pub use document::resources_from_json;
pub use fault::{Fault, Faults};
pub use id::{ContainerId, ExecId, InvalidId};
pub use oci_spec::runtime as oci;
pub use platform::Platform;
pub use signal::{Signal, UnknownSignal};
