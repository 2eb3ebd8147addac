//! A request from an OCI runtime spec with a `windows` section.

use hoist_spec::{
    ConsoleSize,
    oci::{Process, Spec, Windows},
};

use serde::Deserialize;

use crate::console_input::build_of;

use super::{
    ContainerRequest, Device, Endpoints, HyperV, Mount, ProcessRequest, Refusal, Resources,
};
use crate::documents::to_text;

/// The annotation with the version of the image's Windows.
const OS_VERSION: &str = "org.opencontainers.image.os.version";

impl ContainerRequest {
    /// What `spec` asks for.
    ///
    /// # Errors
    /// What Windows cannot do, and devices of a type that is not known.
    pub fn from_spec(id: &str, spec: &Spec) -> Result<Self, Refusal> {
        let windows = spec.windows().as_ref();
        let section = windows.map(Section::of).transpose()?.unwrap_or_default();
        let mut folders = section.layer_folders;
        let layer_folder = folders.pop().unwrap_or_default();
        let root = spec.root().as_ref();
        Ok(Self {
            id: id.to_owned(),
            hostname: spec.hostname().clone().unwrap_or_default(),
            volume_path: root.map_or_else(String::new, |root| {
                root.path().to_string_lossy().into_owned()
            }),
            layer_folder,
            layer_paths: folders,
            hyperv: section.hyperv.map(|hyperv| HyperV {
                image_path: hyperv.utility_vm_path,
            }),
            first_start: section.ignore_flushes_during_boot,
            readonly_root: root.and_then(|root| root.readonly()).unwrap_or(false),
            mounts: mounts(spec)?,
            network: None,
            endpoints: section.network.unwrap_or_default().into(),
            resources: section.resources.unwrap_or_default().into(),
            credentials: windows.map_or(Ok(String::new()), credentials)?,
            devices: windows.map_or(Ok(Vec::new()), devices)?,
            servicing: section.servicing,
            image_build: Self::image_build_of(spec),
            process: spec
                .process()
                .as_ref()
                .map(ProcessRequest::from)
                .unwrap_or_default(),
        })
    }
}

impl ContainerRequest {
    /// The build of the image's Windows, which an annotation tells by the name that images have for it (OCI image configuration,
    /// `os.version`).
    pub(crate) fn image_build_of(spec: &Spec) -> Option<u32> {
        let annotations = spec.annotations().as_ref()?;
        build_of(annotations.get(OS_VERSION)?)
    }
}

impl From<&Process> for ProcessRequest {
    fn from(process: &Process) -> Self {
        let (arguments, arguments_escaped) = match process.command_line() {
            Some(line) => (vec![line.clone()], true),
            None => (process.args().clone().unwrap_or_default(), false),
        };
        Self {
            arguments,
            arguments_escaped,
            environment: process.env().clone().unwrap_or_default(),
            working_directory: process.cwd().to_string_lossy().into_owned(),
            user: process.user().username().clone().unwrap_or_default(),
            console: process.terminal().unwrap_or(false),
            console_size: process.console_size().as_ref().map(|size| ConsoleSize {
                height: u16::try_from(size.height()).unwrap_or(u16::MAX),
                width: u16::try_from(size.width()).unwrap_or(u16::MAX),
            }),
        }
    }
}

fn mounts(spec: &Spec) -> Result<Vec<Mount>, Refusal> {
    let mounts = spec.mounts().iter().flatten();
    mounts
        .map(|mount| {
            if let Some(kind) = mount.typ().as_ref().filter(|kind| !kind.is_empty()) {
                return Err(Refusal::NotExpressible {
                    what: format!("the mount type {kind}"),
                    why: "Windows maps directories and named pipes only",
                });
            }
            let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
            Ok(Mount {
                source: mount.source().as_deref().map(text).unwrap_or_default(),
                destination: text(mount.destination()),
                writable: !mount
                    .options()
                    .iter()
                    .flatten()
                    .any(|option| option.eq_ignore_ascii_case("ro")),
            })
        })
        .collect()
}

/// The parts of the section that `oci-spec` holds but does not show.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Section {
    layer_folders: Vec<String>,
    resources: Option<SectionResources>,
    servicing: bool,
    ignore_flushes_during_boot: bool,
    hyperv: Option<SectionHyperV>,
    network: Option<SectionNetwork>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SectionHyperV {
    #[serde(rename = "utilityVMPath", alias = "utilityVmPath")]
    utility_vm_path: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SectionNetwork {
    endpoint_list: Vec<String>,
    #[serde(
        rename = "allowUnqualifiedDNSQuery",
        alias = "allowUnqualifiedDnsQuery"
    )]
    allow_unqualified_dns_query: bool,
    #[serde(rename = "DNSSearchList", alias = "dnsSearchList")]
    dns_search_list: Vec<String>,
    network_shared_container_name: String,
    network_namespace: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SectionResources {
    memory: SectionMemory,
    cpu: SectionCpu,
    storage: SectionStorage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SectionMemory {
    limit: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SectionCpu {
    count: u64,
    shares: u16,
    maximum: u16,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SectionStorage {
    iops: u64,
    bps: u64,
    sandbox_size: u64,
}

impl Section {
    fn of(windows: &Windows) -> Result<Self, Refusal> {
        serde_json::to_value(windows)
            .and_then(serde_json::from_value)
            .map_err(|_| Refusal::NotExpressible {
                what: "the windows section".to_owned(),
                why: "it does not have the form of the OCI runtime spec",
            })
    }
}

impl From<SectionNetwork> for Endpoints {
    fn from(network: SectionNetwork) -> Self {
        Self {
            ids: network.endpoint_list,
            allow_unqualified_dns_query: network.allow_unqualified_dns_query,
            dns_search: network.dns_search_list,
            shared_container: network.network_shared_container_name,
            namespace: network.network_namespace,
        }
    }
}

impl From<SectionResources> for Resources {
    fn from(resources: SectionResources) -> Self {
        Self {
            cpu_count: u32::try_from(resources.cpu.count).unwrap_or(u32::MAX),
            cpu_weight: resources.cpu.shares.into(),
            cpu_maximum: resources.cpu.maximum.into(),
            memory: resources.memory.limit,
            storage_iops: resources.storage.iops,
            storage_bandwidth: resources.storage.bps,
            storage_size: resources.storage.sandbox_size,
        }
    }
}

fn credentials(windows: &Windows) -> Result<String, Refusal> {
    match windows.credential_spec() {
        None => Ok(String::new()),
        Some(specification) => {
            // By name, so that the text is always the same.
            let ordered: std::collections::BTreeMap<_, _> = specification.iter().collect();
            to_text(&ordered).map_err(|_| Refusal::NotExpressible {
                what: "the credential specification".to_owned(),
                why: "it is no JSON",
            })
        }
    }
}

fn devices(windows: &Windows) -> Result<Vec<Device>, Refusal> {
    let devices = windows.devices().iter().flatten();
    devices
        .map(|device| match device.id_type().as_str() {
            "class" | "vpci-class-guid" => Ok(Device::Class(device.id().clone())),
            "vpci-location-path" => Ok(Device::Location(device.id().clone())),
            other => Err(Refusal::NotExpressible {
                what: format!("a device by {other}"),
                why: "use class, vpci-class-guid or vpci-location-path",
            }),
        })
        .collect()
}
