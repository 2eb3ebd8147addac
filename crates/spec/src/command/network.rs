//! The network of a command.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is_default, null_is_default};

/// A container's network: an interface of its own, another container's, this machine's, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// An interface on a bridge of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<NetworkInterface>,
    /// The id of the container whose network to join.
    #[serde(skip_serializing_if = "is_default")]
    pub container_id: String,
    /// This machine's network, or none at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<NetworkMode>,
}

/// A network that needs no interface of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// A network of its own with nothing but the loopback interface.
    None,
    /// This machine's network, as it is.
    Host,
}

/// An interface on a bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkInterface {
    /// The hardware address, six bytes in hexadecimal with colons.
    #[serde(skip_serializing_if = "is_default")]
    pub mac: String,
    /// The bridge (Windows: the virtual switch) by name.
    #[serde(skip_serializing_if = "is_default")]
    pub bridge: String,
    /// The IP address.
    #[serde(skip_serializing_if = "is_default")]
    pub ip: String,
    /// For each port of the container, such as `80/tcp`, where it is reached from outside.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
}

/// Where a port of a container is reached from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub struct PortBinding {
    /// The address of this machine; empty: all of them.
    pub host_ip: String,
    /// The port of this machine.
    pub host_port: String,
}

impl Network {
    /// A network of its own with nothing but the loopback interface.
    pub fn none() -> Self {
        Self {
            mode: Some(NetworkMode::None),
            ..Self::default()
        }
    }

    /// This machine's network.
    pub fn host() -> Self {
        Self {
            mode: Some(NetworkMode::Host),
            ..Self::default()
        }
    }

    /// The network of another container.
    pub fn of_container(id: impl Into<String>) -> Self {
        Self {
            container_id: id.into(),
            ..Self::default()
        }
    }
}
