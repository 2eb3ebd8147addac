//! Ports and hardware addresses.

use crate::{
    documents::container::{Device, Nat, NatPortBinding, NetworkConnection, NetworkSettings},
    request::{NetworkDevice, Refusal},
};

/// Checks a network device.
pub(super) fn check(device: &NetworkDevice) -> Result<(), Refusal> {
    mac(&device.mac)?;
    bindings(device).map(|_| ())
}

/// The device of the execution drivers' documents.
pub(super) fn device(device: &NetworkDevice, nat_name: &str) -> Result<Device, Refusal> {
    let bindings = bindings(device)?;
    Ok(Device {
        device_type: "Network",
        connection: NetworkConnection {
            network_name: device.switch.clone(),
            enable_nat: false,
            nat: Nat {
                name: nat_name.to_owned(),
                port_bindings: (!bindings.is_empty()).then_some(bindings),
            },
        },
        settings: mac(&device.mac)?.map(|mac_address| NetworkSettings { mac_address }),
    })
}

/// A hardware address in the form of Windows, with dashes; its letters stay as they are.
pub(super) fn mac(address: &str) -> Result<Option<String>, Refusal> {
    if address.is_empty() {
        return Ok(None);
    }
    let groups = |separator| -> bool {
        let groups: Vec<&str> = address.split(separator).collect();
        groups.len() == 6
            && groups
                .iter()
                .all(|group| group.len() == 2 && group.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if groups(':') || groups('-') {
        return Ok(Some(address.replace(':', "-")));
    }
    Err(Refusal::Mac(address.to_owned()))
}

/// The ports that are bound, by their names in order. A port without a binding is only exposed: it adds nothing.
pub(super) fn bindings(device: &NetworkDevice) -> Result<Vec<NatPortBinding>, Refusal> {
    let mut all = Vec::new();
    for (port, bindings) in &device.ports {
        let (number, protocol) = number_and_protocol(port);
        let upper = protocol.to_uppercase();
        if upper != "TCP" && upper != "UDP" {
            return Err(Refusal::Protocol {
                port: port.clone(),
                protocol: protocol.to_owned(),
            });
        }
        if bindings.len() > 1 {
            return Err(Refusal::SeveralHostPorts(port.clone()));
        }
        for binding in bindings {
            if !binding.host_ip.is_empty() {
                return Err(Refusal::HostAddress {
                    port: port.clone(),
                    address: binding.host_ip.clone(),
                });
            }
            all.push(NatPortBinding {
                protocol: upper.clone(),
                external_port: port_number(port, "host", &binding.host_port)?,
                internal_port: port_number(port, "container", number)?,
            });
        }
    }
    Ok(all)
}

/// `80/tcp`; without a protocol it is tcp.
fn number_and_protocol(port: &str) -> (&str, &str) {
    match port.split_once('/') {
        None | Some((_, "")) => (port.trim_end_matches('/'), "tcp"),
        Some((number, protocol)) => (number, protocol),
    }
}

fn port_number(port: &str, side: &'static str, number: &str) -> Result<u16, Refusal> {
    number.parse().map_err(|_| Refusal::PortNumber {
        port: port.to_owned(),
        side,
        number: number.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use hoist_spec::PortBinding;

    use super::*;

    fn bind(port: &str, hosts: &[(&str, &str)]) -> Result<Vec<NatPortBinding>, Refusal> {
        bindings(&NetworkDevice {
            ports: [(
                port.to_owned(),
                hosts
                    .iter()
                    .map(|(ip, host_port)| PortBinding {
                        host_ip: (*ip).to_owned(),
                        host_port: (*host_port).to_owned(),
                    })
                    .collect(),
            )]
            .into(),
            ..NetworkDevice::default()
        })
    }

    #[test]
    fn a_port_is_bound_in_either_case_of_its_protocol() {
        let bound = bind("53/UdP", &[("", "5353")]).unwrap();
        assert_eq!(
            (
                bound[0].protocol.as_str(),
                bound[0].internal_port,
                bound[0].external_port
            ),
            ("UDP", 53, 5353)
        );
        assert_eq!(bind("80", &[("", "0")]).unwrap()[0].protocol, "TCP");
        assert!(bind("80/tcp", &[]).unwrap().is_empty());
    }

    #[test]
    fn what_windows_cannot_bind_is_refused() {
        assert!(matches!(
            bind("80/sctp", &[]),
            Err(Refusal::Protocol { .. })
        ));
        assert!(matches!(
            bind("80/tcp", &[("", "1"), ("", "2")]),
            Err(Refusal::SeveralHostPorts(_))
        ));
        assert!(matches!(
            bind("80/tcp", &[("10.0.0.5", "1")]),
            Err(Refusal::HostAddress { .. })
        ));
        for number in ["70000", "-1", "x", "", "80-90"] {
            assert!(matches!(
                bind("80/tcp", &[("", number)]),
                Err(Refusal::PortNumber { side: "host", .. })
            ));
            assert!(matches!(
                bind(&format!("{number}/tcp"), &[("", "1")]),
                Err(Refusal::PortNumber {
                    side: "container",
                    ..
                })
            ));
        }
    }

    #[test]
    fn a_hardware_address_gets_dashes_and_keeps_its_letters() {
        assert_eq!(
            mac("02:42:Ac:11:00:0a"),
            Ok(Some("02-42-Ac-11-00-0a".to_owned()))
        );
        assert_eq!(
            mac("02-42-AC-11-00-02"),
            Ok(Some("02-42-AC-11-00-02".to_owned()))
        );
        assert_eq!(mac(""), Ok(None));
        for broken in [
            "02:42:ac:11:00",
            "02:42:ac:11:00:0",
            "02:42-ac:11:00:02",
            "0242ac110002",
            "02:42:ac:11:00:0g",
            "x",
        ] {
            assert!(mac(broken).is_err(), "{broken}");
        }
    }
}
