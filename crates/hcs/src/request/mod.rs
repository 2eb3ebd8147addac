//! What the driver is asked for: a container or a process, in the terms that HCS has.
//!
//! A [`ContainerRequest`] is made from a [`hoist_spec::Command`] or from an OCI runtime spec; the documents are made from it
//! ([`lower`](crate::lower)). Making one refuses what Windows has no way to do.

mod command;
mod spec;

use std::collections::BTreeMap;

use hoist_spec::{ConsoleSize, PortBinding};

/// A container to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerRequest {
    /// Its id.
    pub id: String,
    /// Its host name.
    pub hostname: String,
    /// The volume of the writable layer, `\\?\Volume{GUID}\`; empty with Hyper-V isolation.
    pub volume_path: String,
    /// The folder of the writable layer.
    pub layer_folder: String,
    /// The folders of the read-only layers, the top-most first.
    pub layer_paths: Vec<String>,
    /// Hyper-V isolation.
    pub hyperv: Option<HyperV>,
    /// It was never started before: flushes to its disk may be ignored while it boots.
    pub first_start: bool,
    /// A read-only root, which Windows does not have.
    pub readonly_root: bool,
    /// Directories and pipes of this machine, in order.
    pub mounts: Vec<Mount>,
    /// A network device on a virtual switch (Docker 1.9 and 1.10).
    pub network: Option<NetworkDevice>,
    /// Endpoints of the host's networks, and names (Docker 1.12 and later).
    pub endpoints: Endpoints,
    /// Its limits.
    pub resources: Resources,
    /// The text of a credential specification; empty: none.
    pub credentials: String,
    /// Devices of this machine.
    pub devices: Vec<Device>,
    /// A run that installs updates.
    pub servicing: bool,
    /// The build of the image's Windows, where it is known.
    pub image_build: Option<u32>,
    /// Its first process.
    pub process: ProcessRequest,
}

/// Hyper-V isolation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HyperV {
    /// The folder of the utility VM's image; empty where the service finds it itself.
    pub image_path: String,
}

/// A directory or named pipe of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// Here.
    pub source: String,
    /// There; with `\\.\pipe\` before it, a named pipe.
    pub destination: String,
    /// Whether the container may write.
    pub writable: bool,
}

/// A network device on a virtual switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkDevice {
    /// The virtual switch.
    pub switch: String,
    /// The hardware address with colons or dashes; empty: any.
    pub mac: String,
    /// For each port of the container, such as `80/tcp`, where it is reached from outside.
    pub ports: BTreeMap<String, Vec<PortBinding>>,
}

/// Endpoints of the host's networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Their ids.
    pub ids: Vec<String>,
    /// Ask DNS also for names without a dot.
    pub allow_unqualified_dns_query: bool,
    /// Domains to search.
    pub dns_search: Vec<String>,
    /// The container whose network is shared.
    pub shared_container: String,
    /// The host's network namespace (schema 2).
    pub namespace: String,
}

/// Limits; 0 means none of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Number of processors.
    pub cpu_count: u32,
    /// Weight of processor time.
    pub cpu_weight: i64,
    /// Share of processor time in hundredths of a percent.
    pub cpu_maximum: i64,
    /// Memory in bytes.
    pub memory: u64,
    /// Storage operations per second.
    pub storage_iops: u64,
    /// Storage bytes per second.
    pub storage_bandwidth: u64,
    /// The size to which the system drive grows, in bytes.
    pub storage_size: u64,
}

/// A device of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// Every device of an interface class.
    Class(String),
    /// The device at a location path (schema 2).
    Location(String),
}

/// A process to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessRequest {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// The arguments are parts of a command line already: they are joined as they are.
    pub arguments_escaped: bool,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// Where it begins; empty for a further process: where the first one does.
    pub working_directory: String,
    /// The account to run as; empty: the image's own.
    pub user: String,
    /// Give it a console.
    pub console: bool,
    /// The size with which the console begins.
    pub console_size: Option<ConsoleSize>,
}

impl ProcessRequest {
    /// The program.
    pub fn program(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}

/// Why a request cannot be carried out on Windows. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Windows has no read-only root file system.
    #[error("the root file system cannot be read-only on Windows")]
    ReadonlyRoot,
    /// Old builds knew no users.
    #[error("the user {0} cannot be chosen: this form of the documents knows no users")]
    User(String),
    /// There is no program to run.
    #[error("no program is given to run")]
    NoProgram,
    /// A port that is neither TCP nor UDP.
    #[error("port {port}: protocol {protocol:?} is not supported; use tcp or udp")]
    Protocol {
        /// The port as given.
        port: String,
        /// Its protocol as given.
        protocol: String,
    },
    /// Several ports of the host for one of the container.
    #[error(
        "port {0}: Windows binds a port of a container to one port of the host, not to several"
    )]
    SeveralHostPorts(String),
    /// An address of the host.
    #[error(
        "port {port}: Windows binds ports on every address of the host, not on {address} alone"
    )]
    HostAddress {
        /// The port as given.
        port: String,
        /// The address as given.
        address: String,
    },
    /// A number that is none, or out of range.
    #[error("port {port}: {number:?} is no port number of the {side}; use 0 to 65535")]
    PortNumber {
        /// The port as given.
        port: String,
        /// `host` or `container`.
        side: &'static str,
        /// The number as given.
        number: String,
    },
    /// A hardware address of another form.
    #[error(
        "{0:?} is no hardware address: write six bytes in hexadecimal with ':' or '-' between, such as 02:42:ac:11:00:02"
    )]
    Mac(String),
    /// Something that this form of the documents has no field for.
    #[error("{what} cannot be given: {why}")]
    NotExpressible {
        /// What.
        what: String,
        /// Why.
        why: &'static str,
    },
    /// Limits of processor time that exclude each other.
    #[error("only one of processor count, maximum and weight can be limited at a time")]
    SeveralProcessorLimits,
    /// A number out of range.
    #[error("{what} is {value}, which is not between {least} and {most}")]
    OutOfRange {
        /// What.
        what: &'static str,
        /// As given.
        value: i64,
        /// The least that is allowed.
        least: i64,
        /// The most that is allowed.
        most: i64,
    },
    /// A volume of another form.
    #[error("{0:?} is no volume: the root must be a path such as \\\\?\\Volume{{GUID}}\\")]
    Volume(String),
    /// A text that Windows cannot take.
    #[error("{what} holds a NUL character")]
    Nul {
        /// What.
        what: &'static str,
    },
}
