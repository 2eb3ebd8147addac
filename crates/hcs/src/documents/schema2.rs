//! The documents of schema 2 (Windows build 17763 and later).

use serde::Serialize;

use super::is_default;
use crate::Guid;

/// The schema that a document keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// 2.
    pub major: u32,
    /// 1 for what every build since 17763 takes.
    pub minor: u32,
}

/// Schema 2.1.
pub const SCHEMA_2_1: Version = Version { major: 2, minor: 1 };

/// A compute system to be made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ComputeSystem {
    /// The management stack.
    #[serde(skip_serializing_if = "is_default")]
    pub owner: String,
    /// The schema of this document.
    pub schema_version: Version,
    /// The utility VM that hosts it.
    #[serde(skip_serializing_if = "is_default")]
    pub hosting_system_id: String,
    /// With a utility VM: the container in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted_system: Option<HostedSystem>,
    /// A process-isolated container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// A utility VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_machine: Option<VirtualMachine>,
    /// The system ends with its owner.
    #[serde(skip_serializing_if = "is_default")]
    pub should_terminate_on_last_handle_closed: bool,
}

/// A container in a utility VM.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostedSystem {
    /// The schema of this document.
    pub schema_version: Version,
    /// The container.
    pub container: Container,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// What it takes itself for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_os: Option<GuestOs>,
    /// Its layers.
    pub storage: Storage,
    /// Directories of this machine.
    #[serde(skip_serializing_if = "is_default")]
    pub mapped_directories: Vec<MappedDirectory>,
    /// Named pipes of this machine.
    #[serde(skip_serializing_if = "is_default")]
    pub mapped_pipes: Vec<MappedPipe>,
    /// Its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Its processors.
    #[serde(skip_serializing_if = "is_default")]
    pub processor: Processor,
    /// Its network.
    #[serde(skip_serializing_if = "is_default")]
    pub networking: Networking,
    /// Values of its registry.
    #[serde(skip_serializing_if = "is_default")]
    pub registry_changes: RegistryChanges,
    /// Devices of this machine.
    #[serde(skip_serializing_if = "is_default")]
    pub assigned_devices: Vec<AssignedDevice>,
}

/// What a container takes itself for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GuestOs {
    /// The host name.
    pub host_name: String,
}

/// The layers of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Storage {
    /// Read-only layers, the top-most first.
    #[serde(skip_serializing_if = "is_default")]
    pub layers: Vec<Layer>,
    /// The volume of the writable layer, with a backslash at its end.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// Limits.
    #[serde(rename = "QoS", skip_serializing_if = "is_default")]
    pub qos: StorageQos,
}

/// A read-only layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Layer {
    /// The id under which it was imported.
    pub id: Guid,
    /// Its folder.
    pub path: String,
}

/// Limits of storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StorageQos {
    /// Operations per second.
    #[serde(skip_serializing_if = "is_default")]
    pub iops_maximum: u64,
    /// Bytes per second.
    #[serde(skip_serializing_if = "is_default")]
    pub bandwidth_maximum: u64,
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
    #[serde(skip_serializing_if = "is_default")]
    pub read_only: bool,
}

/// A named pipe of this machine that the container sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MappedPipe {
    /// There, without `\\.\pipe\`.
    pub container_pipe_name: String,
    /// Here, in full.
    pub host_path: String,
}

/// Memory of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// In whole mebibytes.
    #[serde(rename = "SizeInMB")]
    pub size_in_mb: u64,
}

/// Processors of a container: at most one of the three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Processor {
    /// Number of processors.
    #[serde(skip_serializing_if = "is_default")]
    pub count: u32,
    /// Share of processor time in hundredths of a percent.
    #[serde(skip_serializing_if = "is_default")]
    pub maximum: u32,
    /// Weight against others, 1 to 10000.
    #[serde(skip_serializing_if = "is_default")]
    pub weight: u32,
}

/// Network of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Networking {
    /// Ask DNS also for names without a dot.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_unqualified_dns_query: bool,
    /// Domains to search, with commas between.
    #[serde(skip_serializing_if = "is_default")]
    pub dns_search_list: String,
    /// The container whose network is shared.
    #[serde(skip_serializing_if = "is_default")]
    pub network_shared_container_name: String,
    /// The host's network namespace.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
}

/// Values of a container's registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegistryChanges {
    /// To be set.
    pub add_values: Vec<RegistryValue>,
}

/// A value of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegistryValue {
    /// Where.
    pub key: RegistryKey,
    /// Its name.
    pub name: &'static str,
    /// `String` or `DWord`.
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// For `String`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub string_value: &'static str,
    /// For `DWord`.
    #[serde(rename = "DWordValue", skip_serializing_if = "is_default")]
    pub dword_value: u32,
}

/// A key of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegistryKey {
    /// `System` or `Software`.
    pub hive: &'static str,
    /// Its path in the hive.
    pub name: &'static str,
}

impl RegistryChanges {
    /// Lets a container take its time to end: server core images otherwise cut what a console event has begun after five
    /// seconds.
    pub fn patient_shutdown() -> Self {
        Self {
            add_values: vec![RegistryValue {
                key: RegistryKey {
                    hive: "System",
                    name: r"ControlSet001\Control",
                },
                name: "WaitToKillServiceTimeout",
                kind: "String",
                string_value: "2147483647",
                dword_value: 0,
            }],
        }
    }
}

/// A device given to the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssignedDevice {
    /// `DeviceInstance` with a location path; empty with a class.
    #[serde(rename = "Type", skip_serializing_if = "str::is_empty")]
    pub kind: &'static str,
    /// Every device of this interface class.
    #[serde(skip_serializing_if = "is_default")]
    pub interface_class_guid: String,
    /// One device.
    #[serde(skip_serializing_if = "is_default")]
    pub location_path: String,
}

/// A utility VM for Windows containers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VirtualMachine {
    /// End instead of starting anew.
    pub stop_on_reset: bool,
    /// How it boots.
    pub chipset: Chipset,
    /// Memory and processors.
    pub compute_topology: ComputeTopology,
    /// Values of its registry.
    pub registry_changes: RegistryChanges,
    /// Its devices.
    pub devices: Devices,
}

/// How a utility VM boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Chipset {
    /// Its firmware.
    pub uefi: Uefi,
}

/// The firmware of a utility VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Uefi {
    /// What it boots.
    pub boot_this: BootEntry,
}

/// What a utility VM boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BootEntry {
    /// `VmbFs`.
    pub device_type: &'static str,
    /// The loader.
    pub device_path: &'static str,
}

/// Memory and processors of a utility VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ComputeTopology {
    /// Its memory.
    pub memory: VirtualMachineMemory,
    /// Its processors.
    pub processor: VirtualMachineProcessor,
}

/// Memory of a utility VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VirtualMachineMemory {
    /// In whole mebibytes, even.
    #[serde(rename = "SizeInMB")]
    pub size_in_mb: u64,
    /// May be backed by the page file.
    pub allow_overcommit: bool,
    /// Tells the host which pages are in use.
    pub enable_hot_hint: bool,
}

/// Processors of a utility VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VirtualMachineProcessor {
    /// How many.
    pub count: u32,
}

/// Devices of a utility VM.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Devices {
    /// Sockets between host and guest.
    pub hv_socket: HvSocket,
    /// Shares of the host's folders.
    pub virtual_smb: VirtualSmb,
    /// Disks, by controller.
    pub scsi: std::collections::BTreeMap<String, ScsiController>,
}

/// Sockets between host and guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HvSocket {
    /// Who may use them.
    pub hv_socket_config: HvSocketConfig,
}

/// Who may use the sockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HvSocketConfig {
    /// A security descriptor in its text form.
    pub default_bind_security_descriptor: &'static str,
}

/// Shares of the host's folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VirtualSmb {
    /// For mapping files directly, in mebibytes.
    #[serde(rename = "DirectFileMappingInMB")]
    pub direct_file_mapping_in_mb: u64,
    /// Each share.
    pub shares: Vec<VirtualSmbShare>,
}

/// One share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VirtualSmbShare {
    /// Its name in the guest.
    pub name: String,
    /// The host's folder.
    pub path: String,
    /// How it may be used.
    pub options: VirtualSmbShareOptions,
}

/// How a share may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VirtualSmbShareOptions {
    /// Only to read.
    pub read_only: bool,
    /// Opened by several at once.
    pub share_read: bool,
    /// Cached.
    pub cache_io: bool,
    /// The guest need not ask before it caches.
    pub pseudo_oplocks: bool,
    /// Read whatever the access rights say.
    pub take_backup_privilege: bool,
}

/// Disks of one controller, by unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScsiController {
    /// Unit number to disk.
    pub attachments: std::collections::BTreeMap<String, Attachment>,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attachment {
    /// `VirtualDisk`.
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// Its file.
    pub path: String,
}
