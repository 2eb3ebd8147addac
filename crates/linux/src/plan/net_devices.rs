//! Which network devices of the host a container gets. Pure.

use std::collections::BTreeMap;

use hoist_spec::oci::Spec;

use super::PlanError;
use super::constants::namespace;
use super::namespaces::Namespaces;

/// The longest name of a device (`IFNAMSIZ`).
const LONGEST: usize = 15;

/// A network device of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    /// Its name on the host.
    pub host: String,
    /// Its name in the container.
    pub inside: String,
}

/// The devices that a spec names, by their names on the host.
pub(super) fn of(oci: &Spec, namespaces: &Namespaces) -> Result<Vec<NetDevice>, PlanError> {
    let asked = oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.net_devices().as_ref());
    let asked: BTreeMap<_, _> = asked.into_iter().flatten().collect();
    let mut devices: Vec<NetDevice> = Vec::with_capacity(asked.len());
    for (host, device) in asked {
        let inside = device.name().as_deref().filter(|name| !name.is_empty());
        let inside = inside.unwrap_or(host);
        for name in [host.as_str(), inside] {
            if !is_name(name) {
                return Err(PlanError::invalid(
                    "network device",
                    name,
                    "no device can have that name",
                ));
            }
        }
        if !namespaces.has(namespace::NETWORK) {
            return Err(PlanError::invalid(
                "network device",
                host,
                "the container shares the host's network namespace, where it is already",
            ));
        }
        if devices.iter().any(|other| other.inside == inside) {
            return Err(PlanError::invalid(
                "network device",
                inside,
                "two devices are to have that name",
            ));
        }
        devices.push(NetDevice {
            host: host.clone(),
            inside: inside.to_owned(),
        });
    }
    Ok(devices)
}

/// What the kernel takes as a name; `%` would have it make one up.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= LONGEST
        && !name.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '%' | '\0'))
}
