//! The document that makes a compute system, schema 1, in the four forms that it has had.
//!
//! Go's `null` for a list that was never filled is kept: those fields are `Option`s.

use serde::Serialize;

use super::is_default;
use crate::Guid;

/// `SystemType` of every document here.
pub const SYSTEM_TYPE: &str = "Container";

/// A read-only layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// The id under which the layer was imported: `NameToGuid` of its folder's name.
    #[serde(rename = "ID")]
    pub id: Guid,
    /// Its folder.
    #[serde(rename = "Path")]
    pub path: String,
}

/// A device; networks are the only ones that were ever sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    /// `Network`.
    pub device_type: &'static str,
    /// What it is connected to.
    pub connection: NetworkConnection,
    /// `None` where nothing is set.
    pub settings: Option<NetworkSettings>,
}

/// What a network device is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkConnection {
    /// The virtual switch.
    pub network_name: String,
    /// Always false: the drivers waited for a mend of the service.
    pub enable_nat: bool,
    /// The network address translation.
    pub nat: Nat,
}

/// Network address translation of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Nat {
    /// The name of the translation on this machine.
    pub name: String,
    /// `None` where there are none.
    pub port_bindings: Option<Vec<NatPortBinding>>,
}

/// One port that is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NatPortBinding {
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// The container's port.
    pub internal_port: u16,
    /// This machine's port.
    pub external_port: u16,
}

/// Settings of a network device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// Six bytes in hexadecimal with dashes.
    pub mac_address: String,
}

/// A directory of this machine that the container sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MappedDirectory {
    /// Here.
    pub host_path: String,
    /// There.
    pub container_path: String,
    /// Whether the container may only read.
    pub read_only: bool,
}

/// The same, as the service has taken it since: with limits, which Hoist does not set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitedMappedDirectory {
    /// The directory.
    #[serde(flatten)]
    pub directory: MappedDirectory,
    /// Bytes per second; 0: no limit.
    #[serde(rename = "BandwidthMaximum")]
    pub bandwidth_maximum: u64,
    /// Operations per second; 0: no limit.
    #[serde(rename = "IOPSMaximum")]
    pub iops_maximum: u64,
    /// For Linux containers on Windows.
    #[serde(rename = "CreateInUtilityVM")]
    pub create_in_utility_vm: bool,
}

/// A named pipe of this machine that the container sees. Needs build 16299.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MappedPipe {
    /// Here, in full.
    pub host_path: String,
    /// There, without `\\.\pipe\`.
    pub container_pipe_name: String,
}

/// The virtual machine of a Hyper-V container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HvRuntime {
    /// The folder of the utility VM's image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_path: String,
}

/// A device given to the container. Needs build 17763.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssignedDevice {
    /// Every device of this interface class.
    pub interface_class_guid: String,
}

/// As Docker 1.9 sent it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Docker19 {
    /// `Container`.
    pub system_type: &'static str,
    /// The id.
    pub name: String,
    /// The management stack.
    pub owner: String,
    /// A fake container, for development.
    pub is_dummy: bool,
    /// The volume of the writable layer.
    pub volume_path: String,
    /// The network device, if any.
    pub devices: Option<Vec<Device>>,
    /// Never started before.
    pub ignore_flushes_during_boot: bool,
    /// The folder of the writable layer.
    pub layer_folder_path: String,
    /// The read-only layers, top-most first.
    pub layers: Option<Vec<Layer>>,
    /// Also when 0.
    pub processor_weight: i64,
    /// The host name.
    pub host_name: String,
}

/// As Docker 1.10 sent it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Docker110 {
    /// `Container`.
    pub system_type: &'static str,
    /// The id.
    pub name: String,
    /// The management stack.
    pub owner: String,
    /// A fake container, for development.
    pub is_dummy: bool,
    /// The volume of the writable layer.
    pub volume_path: String,
    /// The network device, if any.
    pub devices: Option<Vec<Device>>,
    /// Never started before.
    pub ignore_flushes_during_boot: bool,
    /// The folder of the writable layer.
    pub layer_folder_path: String,
    /// The read-only layers, top-most first.
    pub layers: Option<Vec<Layer>>,
    /// Weight of processor time.
    #[serde(skip_serializing_if = "is_default")]
    pub processor_weight: i64,
    /// The host name.
    pub host_name: String,
    /// An empty list where there are none.
    pub mapped_directories: Vec<MappedDirectory>,
    /// Hyper-V: the folder above the writable layer's.
    pub sandbox_path: String,
    /// Hyper-V isolation.
    pub hv_partition: bool,
}

/// As Docker 1.12 sent it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Docker112 {
    /// `Container`.
    pub system_type: &'static str,
    /// The id.
    pub name: String,
    /// The management stack.
    pub owner: String,
    /// A fake container, for development.
    pub is_dummy: bool,
    /// The volume of the writable layer; empty with Hyper-V.
    pub volume_path: String,
    /// Never started before.
    pub ignore_flushes_during_boot: bool,
    /// The folder of the writable layer.
    pub layer_folder_path: String,
    /// The read-only layers, top-most first.
    pub layers: Option<Vec<Layer>>,
    /// The text of a credential specification.
    #[serde(skip_serializing_if = "is_default")]
    pub credentials: String,
    /// Weight of processor time, 1 to 10000.
    #[serde(skip_serializing_if = "is_default")]
    pub processor_weight: u64,
    /// Share of processor time in hundredths of a percent.
    #[serde(skip_serializing_if = "is_default")]
    pub processor_maximum: i64,
    /// Storage operations per second.
    #[serde(rename = "StorageIOPSMaximum", skip_serializing_if = "is_default")]
    pub storage_iops_maximum: u64,
    /// Storage bytes per second.
    #[serde(skip_serializing_if = "is_default")]
    pub storage_bandwidth_maximum: u64,
    /// The size to which the system drive grows, in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub storage_sandbox_size: u64,
    /// Memory in whole mebibytes.
    #[serde(rename = "MemoryMaximumInMB", skip_serializing_if = "is_default")]
    pub memory_maximum_in_mb: i64,
    /// The host name.
    pub host_name: String,
    /// An empty list where there are none.
    pub mapped_directories: Vec<MappedDirectory>,
    /// Hyper-V: the folder above the writable layer's.
    pub sandbox_path: String,
    /// Hyper-V isolation.
    pub hv_partition: bool,
    /// Endpoints of the host's networks.
    pub endpoint_list: Option<Vec<String>>,
    /// Hyper-V: the utility VM.
    pub hv_runtime: Option<HvRuntime>,
    /// A run that installs updates.
    pub servicing: bool,
}

/// As the service's clients send it now: what is empty is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Current {
    /// `Container`.
    pub system_type: &'static str,
    /// The id.
    pub name: String,
    /// The management stack.
    #[serde(skip_serializing_if = "is_default")]
    pub owner: String,
    /// The volume of the writable layer without a backslash at its end; not with Hyper-V.
    #[serde(skip_serializing_if = "is_default")]
    pub volume_path: String,
    /// Never started before.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_flushes_during_boot: bool,
    /// The folder of the writable layer.
    #[serde(skip_serializing_if = "is_default")]
    pub layer_folder_path: String,
    /// The read-only layers, top-most first.
    pub layers: Option<Vec<Layer>>,
    /// The text of a credential specification.
    #[serde(skip_serializing_if = "is_default")]
    pub credentials: String,
    /// Number of processors.
    #[serde(skip_serializing_if = "is_default")]
    pub processor_count: u32,
    /// Weight of processor time, 1 to 10000.
    #[serde(skip_serializing_if = "is_default")]
    pub processor_weight: u64,
    /// Share of processor time in hundredths of a percent, 1 to 10000.
    #[serde(skip_serializing_if = "is_default")]
    pub processor_maximum: i64,
    /// Storage operations per second.
    #[serde(rename = "StorageIOPSMaximum", skip_serializing_if = "is_default")]
    pub storage_iops_maximum: u64,
    /// Storage bytes per second.
    #[serde(skip_serializing_if = "is_default")]
    pub storage_bandwidth_maximum: u64,
    /// The size to which the system drive grows, in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub storage_sandbox_size: u64,
    /// Memory in whole mebibytes.
    #[serde(rename = "MemoryMaximumInMB", skip_serializing_if = "is_default")]
    pub memory_maximum_in_mb: i64,
    /// The host name.
    #[serde(skip_serializing_if = "is_default")]
    pub host_name: String,
    /// Directories of this machine.
    #[serde(skip_serializing_if = "is_default")]
    pub mapped_directories: Vec<LimitedMappedDirectory>,
    /// Named pipes of this machine.
    #[serde(skip_serializing_if = "is_default")]
    pub mapped_pipes: Vec<MappedPipe>,
    /// Hyper-V isolation.
    pub hv_partition: bool,
    /// The container whose network is shared.
    #[serde(skip_serializing_if = "is_default")]
    pub network_shared_container_name: String,
    /// Endpoints of the host's networks.
    #[serde(skip_serializing_if = "is_default")]
    pub endpoint_list: Vec<String>,
    /// Hyper-V: the utility VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hv_runtime: Option<HvRuntime>,
    /// A run that installs updates.
    #[serde(skip_serializing_if = "is_default")]
    pub servicing: bool,
    /// Ask DNS also for names without a dot.
    #[serde(
        rename = "AllowUnqualifiedDNSQuery",
        skip_serializing_if = "is_default"
    )]
    pub allow_unqualified_dns_query: bool,
    /// Domains to search, with commas between.
    #[serde(rename = "DNSSearchList", skip_serializing_if = "is_default")]
    pub dns_search_list: String,
    /// Devices of this machine.
    #[serde(skip_serializing_if = "is_default")]
    pub assigned_devices: Vec<AssignedDevice>,
}
