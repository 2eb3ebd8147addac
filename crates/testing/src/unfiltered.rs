//! Container specs that ask for no more than their OCI spec, on every platform.

use hoist_spec::{ContainerSpec, RootSource, SeccompPolicy, StopPolicy};
use serde_json::Value;

/// A container of the OCI spec `oci` on `root`, without a seccomp filter or an init process.
///
/// # Panics
/// `oci` is no OCI spec.
pub fn unfiltered(oci: Value, root: RootSource) -> ContainerSpec {
    ContainerSpec {
        oci: serde_json::from_value(oci).unwrap(),
        root,
        user: None,
        groups: Vec::new(),
        seccomp: SeccompPolicy::Unconfined,
        init: false,
        stop: StopPolicy::default(),
        joined: Vec::new(),
    }
}
