//! The document that makes a system.

use super::{check::check, network};
use crate::{
    Dialect, Guid, Settings,
    documents::{container as schema1, schema2, to_text},
    path,
    request::{ContainerRequest, Device, Mount, Refusal},
};

/// What stands before the name of a pipe.
const PIPE: &str = r"\\.\pipe\";

/// Bytes in a mebibyte.
const MEBIBYTE: u64 = 1 << 20;

/// The document for a system with layers of these ids and endpoints of these.
///
/// `layers` has one id for each of the request's layer paths. `endpoints` are those that were made for the request's
/// network device; those that it names itself come first.
///
/// # Errors
/// What [`check`](super::check()) refuses.
pub fn configuration(
    request: &ContainerRequest,
    layers: &[Guid],
    endpoints: &[String],
    settings: &Settings,
) -> Result<String, Refusal> {
    check(request, settings)?;
    let text = match settings.dialect {
        Dialect::Docker19 => to_text(&docker19(request, layers, settings)?),
        Dialect::Docker110 => to_text(&docker110(request, layers, settings)?),
        Dialect::Docker112 => to_text(&docker112(request, layers, settings)),
        Dialect::Schema1 => to_text(&current(request, layers, endpoints, settings)),
        Dialect::Schema2 => to_text(&second(request, layers, settings)),
    };
    text.map_err(|_| Refusal::NotExpressible {
        what: "the container".to_owned(),
        why: "it has no form in JSON",
    })
}

fn docker19(
    request: &ContainerRequest,
    layers: &[Guid],
    settings: &Settings,
) -> Result<schema1::Docker19, Refusal> {
    Ok(schema1::Docker19 {
        system_type: schema1::SYSTEM_TYPE,
        name: request.id.clone(),
        owner: settings.owner.clone(),
        is_dummy: settings.dummy,
        volume_path: request.volume_path.clone(),
        devices: devices(request, settings)?,
        ignore_flushes_during_boot: request.first_start,
        layer_folder_path: request.layer_folder.clone(),
        layers: layers_of(request, layers),
        processor_weight: request.resources.cpu_weight,
        host_name: request.hostname.clone(),
    })
}

/// With Hyper-V this document names volume and layer folder beside the sandbox: the one service that took it was a preview, and
/// what else it would have taken is not known.
fn docker110(
    request: &ContainerRequest,
    layers: &[Guid],
    settings: &Settings,
) -> Result<schema1::Docker110, Refusal> {
    Ok(schema1::Docker110 {
        system_type: schema1::SYSTEM_TYPE,
        name: request.id.clone(),
        owner: settings.owner.clone(),
        is_dummy: settings.dummy,
        volume_path: request.volume_path.clone(),
        devices: devices(request, settings)?,
        ignore_flushes_during_boot: request.first_start,
        layer_folder_path: request.layer_folder.clone(),
        layers: layers_of(request, layers),
        processor_weight: request.resources.cpu_weight,
        host_name: request.hostname.clone(),
        mapped_directories: request.mounts.iter().map(directory).collect(),
        sandbox_path: sandbox(request),
        hv_partition: request.hyperv.is_some(),
    })
}

fn docker112(
    request: &ContainerRequest,
    layers: &[Guid],
    settings: &Settings,
) -> schema1::Docker112 {
    let endpoints = &request.endpoints.ids;
    schema1::Docker112 {
        system_type: schema1::SYSTEM_TYPE,
        name: request.id.clone(),
        owner: settings.owner.clone(),
        is_dummy: settings.dummy,
        volume_path: volume(request).to_owned(),
        ignore_flushes_during_boot: request.first_start,
        layer_folder_path: request.layer_folder.clone(),
        layers: layers_of(request, layers),
        credentials: request.credentials.clone(),
        processor_weight: request.resources.cpu_weight.max(0).cast_unsigned(),
        processor_maximum: request.resources.cpu_maximum,
        storage_iops_maximum: request.resources.storage_iops,
        storage_bandwidth_maximum: request.resources.storage_bandwidth,
        storage_sandbox_size: request.resources.storage_size,
        memory_maximum_in_mb: mebibytes(request),
        host_name: request.hostname.clone(),
        mapped_directories: request.mounts.iter().map(directory).collect(),
        sandbox_path: sandbox(request),
        hv_partition: request.hyperv.is_some(),
        endpoint_list: (!endpoints.is_empty()).then(|| endpoints.clone()),
        hv_runtime: runtime(request),
        servicing: request.servicing,
    }
}

fn current(
    request: &ContainerRequest,
    layers: &[Guid],
    endpoints: &[String],
    settings: &Settings,
) -> schema1::Current {
    let (pipes, directories): (Vec<&Mount>, Vec<&Mount>) =
        request.mounts.iter().partition(|mount| is_pipe(mount));
    schema1::Current {
        system_type: schema1::SYSTEM_TYPE,
        name: request.id.clone(),
        owner: settings.owner.clone(),
        volume_path: volume(request).trim_end_matches('\\').to_owned(),
        ignore_flushes_during_boot: request.first_start,
        layer_folder_path: request.layer_folder.clone(),
        layers: layers_of(request, layers),
        credentials: request.credentials.clone(),
        processor_count: request.resources.cpu_count,
        processor_weight: request.resources.cpu_weight.max(0).cast_unsigned(),
        processor_maximum: request.resources.cpu_maximum,
        storage_iops_maximum: request.resources.storage_iops,
        storage_bandwidth_maximum: request.resources.storage_bandwidth,
        storage_sandbox_size: request.resources.storage_size,
        memory_maximum_in_mb: mebibytes(request),
        host_name: request.hostname.clone(),
        mapped_directories: directories
            .into_iter()
            .map(|mount| schema1::LimitedMappedDirectory {
                directory: directory(mount),
                bandwidth_maximum: 0,
                iops_maximum: 0,
                create_in_utility_vm: false,
            })
            .collect(),
        mapped_pipes: pipes
            .into_iter()
            .map(|mount| schema1::MappedPipe {
                host_path: mount.source.clone(),
                container_pipe_name: pipe_name(mount),
            })
            .collect(),
        hv_partition: request.hyperv.is_some(),
        network_shared_container_name: request.endpoints.shared_container.clone(),
        endpoint_list: [request.endpoints.ids.as_slice(), endpoints].concat(),
        hv_runtime: runtime(request),
        servicing: request.servicing,
        allow_unqualified_dns_query: request.endpoints.allow_unqualified_dns_query,
        dns_search_list: request.endpoints.dns_search.join(","),
        assigned_devices: request
            .devices
            .iter()
            .filter_map(|device| match device {
                Device::Class(guid) => Some(schema1::AssignedDevice {
                    interface_class_guid: guid.clone(),
                }),
                Device::Location(_) => None,
            })
            .collect(),
    }
}

fn second(
    request: &ContainerRequest,
    layers: &[Guid],
    settings: &Settings,
) -> schema2::ComputeSystem {
    let (pipes, directories): (Vec<&Mount>, Vec<&Mount>) =
        request.mounts.iter().partition(|mount| is_pipe(mount));
    let resources = &request.resources;
    let narrow = |value: i64| u32::try_from(value).unwrap_or(0);
    let container = schema2::Container {
        guest_os: (!request.hostname.is_empty()).then(|| schema2::GuestOs {
            host_name: request.hostname.clone(),
        }),
        storage: schema2::Storage {
            layers: layers
                .iter()
                .zip(&request.layer_paths)
                .map(|(id, path)| schema2::Layer {
                    id: *id,
                    path: path.clone(),
                })
                .collect(),
            path: with_backslash(&request.volume_path),
            qos: schema2::StorageQos {
                iops_maximum: resources.storage_iops,
                bandwidth_maximum: resources.storage_bandwidth,
            },
        },
        mapped_directories: directories
            .into_iter()
            .map(|mount| schema2::MappedDirectory {
                host_path: mount.source.clone(),
                container_path: mount.destination.clone(),
                read_only: !mount.writable,
            })
            .collect(),
        mapped_pipes: pipes
            .into_iter()
            .map(|mount| schema2::MappedPipe {
                container_pipe_name: pipe_name(mount),
                host_path: mount.source.clone(),
            })
            .collect(),
        memory: (resources.memory >= MEBIBYTE).then_some(schema2::Memory {
            size_in_mb: resources.memory / MEBIBYTE,
        }),
        processor: schema2::Processor {
            count: resources.cpu_count,
            maximum: narrow(resources.cpu_maximum),
            weight: narrow(resources.cpu_weight),
        },
        networking: schema2::Networking {
            allow_unqualified_dns_query: request.endpoints.allow_unqualified_dns_query,
            dns_search_list: request.endpoints.dns_search.join(","),
            network_shared_container_name: request.endpoints.shared_container.clone(),
            namespace: request.endpoints.namespace.clone(),
        },
        registry_changes: schema2::RegistryChanges::patient_shutdown(),
        assigned_devices: request
            .devices
            .iter()
            .map(|device| match device {
                Device::Class(guid) => schema2::AssignedDevice {
                    kind: "",
                    interface_class_guid: guid.clone(),
                    location_path: String::new(),
                },
                Device::Location(path) => schema2::AssignedDevice {
                    kind: "DeviceInstance",
                    interface_class_guid: String::new(),
                    location_path: path.clone(),
                },
            })
            .collect(),
    };
    schema2::ComputeSystem {
        owner: settings.owner.clone(),
        schema_version: schema2::SCHEMA_2_1,
        hosting_system_id: String::new(),
        hosted_system: None,
        container: Some(container),
        virtual_machine: None,
        should_terminate_on_last_handle_closed: true,
    }
}

fn devices(
    request: &ContainerRequest,
    settings: &Settings,
) -> Result<Option<Vec<schema1::Device>>, Refusal> {
    match &request.network {
        Some(device) => Ok(Some(vec![network::device(device, &settings.nat_name)?])),
        None => Ok(None),
    }
}

fn layers_of(request: &ContainerRequest, ids: &[Guid]) -> Option<Vec<schema1::Layer>> {
    let layers = ids.iter().zip(&request.layer_paths);
    (!request.layer_paths.is_empty()).then(|| {
        layers
            .map(|(id, path)| schema1::Layer {
                id: *id,
                path: path.clone(),
            })
            .collect()
    })
}

/// A Hyper-V container is not mounted on the host: it has no volume there.
fn volume(request: &ContainerRequest) -> &str {
    match request.hyperv {
        Some(_) => "",
        None => &request.volume_path,
    }
}

fn sandbox(request: &ContainerRequest) -> String {
    match request.hyperv {
        Some(_) => path::parent(&request.layer_folder),
        None => String::new(),
    }
}

fn runtime(request: &ContainerRequest) -> Option<schema1::HvRuntime> {
    request.hyperv.as_ref().map(|hyperv| schema1::HvRuntime {
        image_path: hyperv.image_path.clone(),
    })
}

fn directory(mount: &Mount) -> schema1::MappedDirectory {
    schema1::MappedDirectory {
        host_path: mount.source.clone(),
        container_path: mount.destination.clone(),
        read_only: !mount.writable,
    }
}

fn is_pipe(mount: &Mount) -> bool {
    mount.destination.starts_with(PIPE)
}

fn pipe_name(mount: &Mount) -> String {
    mount
        .destination
        .strip_prefix(PIPE)
        .unwrap_or_default()
        .to_owned()
}

fn mebibytes(request: &ContainerRequest) -> i64 {
    i64::try_from(request.resources.memory / MEBIBYTE).unwrap_or(i64::MAX)
}

fn with_backslash(volume: &str) -> String {
    if volume.is_empty() || volume.ends_with('\\') {
        return volume.to_owned();
    }
    format!("{volume}\\")
}
