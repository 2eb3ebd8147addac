//! A network device as an endpoint of the host networking service, as it has been done since Windows Server 2016.

use serde::Serialize;

use super::network;
use crate::request::{ContainerRequest, Refusal};

/// What is posted to `/endpoints` to make an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Endpoint {
    /// The network, by name.
    pub virtual_network_name: String,
    /// What is done with its traffic.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<EndpointPolicy>,
    /// The hardware address with dashes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
}

/// One port that is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointPolicy {
    /// `NAT`.
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// The container's port.
    pub internal_port: u16,
    /// This machine's port; 0: any free one.
    pub external_port: u16,
    /// The port is this endpoint's alone.
    pub external_port_reserved: bool,
}

/// The endpoint for the network device of `request`, where it has one.
///
/// # Errors
/// As the device of the execution drivers.
pub fn endpoint(request: &ContainerRequest) -> Result<Option<Endpoint>, Refusal> {
    let Some(device) = &request.network else {
        return Ok(None);
    };
    let policies = network::bindings(device)?
        .into_iter()
        .map(|binding| EndpointPolicy {
            kind: "NAT",
            protocol: binding.protocol,
            internal_port: binding.internal_port,
            external_port: binding.external_port,
            external_port_reserved: true,
        })
        .collect();
    Ok(Some(Endpoint {
        virtual_network_name: device.switch.clone(),
        policies,
        mac_address: network::mac(&device.mac)?.unwrap_or_default(),
    }))
}
