//! The driver's command: what to run, in the words of Docker's original execution driver.
//!
//! Here live its fields, its JSON form and its builder. What is wrong with a command, and what an OCI
//! runtime spec makes of it, is in `convert`.

mod mount;
mod network;
mod process;
mod resources;
mod settings;

pub use mount::Mount;
pub use network::{Network, NetworkInterface, NetworkMode, PortBinding};
pub use process::ProcessConfig;
pub use resources::Resources;
pub use settings::{Device, SharedNamespaces};

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Faults, Signal, json};

/// Everything about one container that a caller decides.
///
/// The JSON field names are those of the original driver's `Command`; what it had no field for stands
/// beside them. Every field may be left out. As there, an empty text, an empty list, `false` and zero
/// mean "not given", unless the field says otherwise.
///
/// ```
/// use hoist_spec::{Command, Mount, ProcessConfig, Resources};
///
/// let command = Command::new()
///     .id("web01")
///     .rootfs("/srv/busybox")
///     .process(ProcessConfig::new("/bin/httpd").argument("-f").env("MODE", "prod"))
///     .mount(Mount::bind("/srv/www", "/www").read_only())
///     .resources(Resources { memory: 64 << 20, ..Resources::default() });
/// let spec = command.to_container_spec()?;
/// assert_eq!(spec.oci.hostname().as_deref(), Some("web01"));
/// # Ok::<(), hoist_spec::Faults>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Command {
    /// The container's id.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    /// A second name for people, written like an id.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The host name; where empty, the first twelve characters of the id.
    #[serde(skip_serializing_if = "is_default")]
    pub hostname: String,
    /// A directory to use as the root file system (Windows: the volume of the writable layer).
    #[serde(skip_serializing_if = "is_default")]
    pub rootfs: String,
    /// The folder of the writable layer. Where empty and there are layers, what the container writes is
    /// thrown away.
    #[serde(skip_serializing_if = "is_default")]
    pub layer_folder: String,
    /// The read-only layers, the top-most first, the base last.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub layer_paths: Vec<String>,
    /// The directory in the container in which its first process begins.
    #[serde(skip_serializing_if = "is_default")]
    pub working_dir: String,
    /// Windows: the container has never been started before.
    #[serde(skip_serializing_if = "is_default")]
    pub first_start: bool,
    /// Windows: run it in a Hyper-V partition.
    #[serde(skip_serializing_if = "is_default")]
    pub hv_partition: bool,
    /// Windows: the arguments are already quoted for a command line. On Linux nothing ever is.
    #[serde(skip_serializing_if = "is_default")]
    pub args_escaped: bool,
    /// Make the root file system read-only.
    #[serde(skip_serializing_if = "is_default")]
    pub readonly_rootfs: bool,
    /// What of this machine, or which new file systems, the container sees.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub mounts: Vec<Mount>,
    /// Its network.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub network: Network,
    /// Its limits.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub resources: Resources,
    /// Its first process.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub process_config: ProcessConfig,
    /// Run an init process as PID 1 that forwards signals and reaps zombies.
    #[serde(skip_serializing_if = "is_default")]
    pub init: bool,
    /// Capabilities beyond docker's default ones: names of capabilities(7), or `ALL`.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub cap_add: Vec<String>,
    /// Capabilities to take away: names, or `ALL`.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub cap_drop: Vec<String>,
    /// Docker's security options: `no-new-privileges`, `seccomp=unconfined`, `seccomp=` and the text of a
    /// profile, `systempaths=unconfined`, `apparmor=unconfined`, `label=disable`.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub security_opt: Vec<String>,
    /// Every capability, device and system file of this machine, and no filter of system calls: little is kept apart.
    #[serde(skip_serializing_if = "is_default")]
    pub privileged: bool,
    /// Devices of this machine that it may use.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub devices: Vec<Device>,
    /// What it may do with devices beyond that, as docker writes it: `c 10:200 rwm`.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub device_cgroup_rules: Vec<String>,
    /// Limits of each of its processes (setrlimit(2)), as docker writes them: `nofile=1024:2048`.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub ulimits: Vec<String>,
    /// Settings of the kernel that its namespaces have for themselves: `net.ipv4.ip_forward`.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub sysctls: BTreeMap<String, String>,
    /// The size of its `/dev/shm` in bytes; 64 MiB where zero.
    #[serde(skip_serializing_if = "is_default")]
    pub shm_size: i64,
    /// Namespaces that are not its own.
    #[serde(skip_serializing_if = "is_default")]
    pub namespaces: SharedNamespaces,
    /// User ids of a user namespace of its own: `CONTAINER:HOST:SIZE`.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub uid_maps: Vec<String>,
    /// Group ids of a user namespace of its own.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub gid_maps: Vec<String>,
    /// Further groups of its first process, by number, or by a name in its own `/etc/group`.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub group_add: Vec<String>,
    /// The cgroup below which its own is made.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup_parent: String,
    /// How ready the kernel is to end it when memory runs short: −1000 (never) to 1000 (first).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// What people and programs note of it; it changes nothing.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The signal that asks the container to end; `SIGTERM` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Signal>,
    /// Seconds from that signal to `SIGKILL`; 10 where absent, and 0 means at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<u32>,
    /// How the container is kept apart from the rest of the machine.
    #[serde(skip_serializing_if = "is_default")]
    pub isolation: Isolation,
    /// Windows: the management stack that the compute service notes as the owner.
    #[serde(skip_serializing_if = "is_default")]
    pub owner: String,
}

/// How a container is kept apart from the rest of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// The platform's usual way.
    #[default]
    #[serde(alias = "")]
    Default,
    /// On the host's own kernel.
    Process,
    /// Windows: in a virtual machine of its own.
    Hyperv,
    /// Not at all: a plain process of this machine.
    None,
}

impl Command {
    /// A command with nothing given.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// Every unknown field and every value of a wrong type, each by its path and line; or the place where
    /// the text stops being JSON.
    pub fn from_json(text: &str) -> Result<Self, Faults> {
        json::read(text, "command")
    }

    /// Sets [`id`](Self::id).
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets [`hostname`](Self::hostname).
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = hostname.into();
        self
    }

    /// Sets [`rootfs`](Self::rootfs).
    pub fn rootfs(mut self, directory: impl Into<String>) -> Self {
        self.rootfs = directory.into();
        self
    }

    /// Adds a layer below those that are there: the top-most comes first.
    pub fn layer(mut self, directory: impl Into<String>) -> Self {
        self.layer_paths.push(directory.into());
        self
    }

    /// Sets [`layer_folder`](Self::layer_folder).
    pub fn layer_folder(mut self, directory: impl Into<String>) -> Self {
        self.layer_folder = directory.into();
        self
    }

    /// Sets [`working_dir`](Self::working_dir).
    pub fn working_dir(mut self, directory: impl Into<String>) -> Self {
        self.working_dir = directory.into();
        self
    }

    /// Makes the root file system read-only.
    pub fn readonly_rootfs(mut self) -> Self {
        self.readonly_rootfs = true;
        self
    }

    /// Adds a mount.
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Sets the network.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Sets the limits.
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = resources;
        self
    }

    /// Sets the first process.
    pub fn process(mut self, process: ProcessConfig) -> Self {
        self.process_config = process;
        self
    }

    /// Runs an init process as PID 1.
    pub fn init(mut self) -> Self {
        self.init = true;
        self
    }

    /// Adds a capability, by name.
    pub fn cap_add(mut self, name: impl Into<String>) -> Self {
        self.cap_add.push(name.into());
        self
    }

    /// Takes a capability away, by name.
    pub fn cap_drop(mut self, name: impl Into<String>) -> Self {
        self.cap_drop.push(name.into());
        self
    }

    /// Adds a security option.
    pub fn security_opt(mut self, option: impl Into<String>) -> Self {
        self.security_opt.push(option.into());
        self
    }

    /// Sets the signal that asks the container to end, and the seconds that it then has.
    pub fn stop(mut self, signal: Signal, timeout_seconds: u32) -> Self {
        self.stop_signal = Some(signal);
        self.stop_timeout = Some(timeout_seconds);
        self
    }

    /// Sets [`isolation`](Self::isolation).
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Programs in Go write a list, map or structure that is absent as `null`.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
