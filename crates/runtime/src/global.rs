//! What is said before the command: where state is kept, where failures are logged.

use std::path::PathBuf;

use hoist_linux::runtime::RuntimeContainer;
use hoist_linux::{LinuxOptions, LinuxService};
use hoist_spec::ContainerId;

use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::log::Log;

/// The flags before the command.
pub(crate) const FLAGS: [Flag; 9] = [
    Flag::with_value("root", "DIR", "where the state of containers is kept"),
    Flag::with_value("log", "FILE", "write failures to this file, too"),
    Flag::with_value("log-format", "FORMAT", "text or json"),
    Flag::switch("debug", "say more in the log"),
    Flag::switch(
        "systemd-cgroup",
        "let systemd make the cgroup: cgroupsPath is of the form slice:prefix:name",
    ),
    Flag::with_value(
        "criu",
        "PATH",
        "the criu program (default: the one of PATH)",
    ),
    Flag::with_value(
        "rootless",
        "BOOL",
        "taken and of no use: whether root calls is looked at",
    ),
    Flag::switch("version", "print the version").or("v"),
    Flag::switch("help", "print help").or("h"),
];

/// The flags before the command, read.
pub(crate) struct Global {
    root: PathBuf,
    /// Whether systemd is to make the cgroup.
    pub(crate) systemd_cgroup: bool,
    /// The criu program, where the caller names one.
    pub(crate) criu: Option<String>,
    /// Where failures go.
    pub(crate) log: Log,
}

impl Global {
    /// Of what was read.
    pub(crate) fn of(arguments: &Arguments) -> Result<Self, Failure> {
        Ok(Self {
            root: match arguments.value("root") {
                Some("") => return Err(Failure::usage("flag -root: it is empty")),
                Some(root) => PathBuf::from(root),
                None => default_root(),
            },
            criu: arguments.value("criu").map(str::to_owned),
            systemd_cgroup: arguments.has("systemd-cgroup"),
            log: Log::of(arguments)?,
        })
    }

    /// The containers below the root.
    pub(crate) fn service(&self) -> Result<LinuxService, Failure> {
        let options = LinuxOptions {
            // A process that nobody here waits for is its engine's to reap: that is how the engine learns its status.
            waits_for_each: true,
            ..LinuxOptions::default()
        };
        Ok(LinuxService::with_options(self.root.clone(), options)?)
    }

    /// An existing container.
    pub(crate) fn container(&self, id: &str) -> Result<RuntimeContainer, Failure> {
        let id = parse_id(id)?;
        Ok(self.service()?.open_for_runtime(&id)?)
    }
}

/// A container's id, in runc's words where it is none.
pub(crate) fn parse_id(id: &str) -> Result<ContainerId, Failure> {
    id.parse::<ContainerId>()
        .map_err(|error| Failure::new(format!("invalid container ID format: {id:?}: {error}")))
}

/// Root's is beside runc's; an ordinary user's in his own run-time folder, also where he is root of a user namespace.
fn default_root() -> PathBuf {
    let folder = "hoist-oci";
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(own) if !own.is_empty() && !is_root_of_machine() => PathBuf::from(own).join(folder),
        _ => PathBuf::from("/run").join(folder),
    }
}

/// Whether the caller is root where all ids are what they are on the machine. Root of a container is so, too, as runc has it:
/// podman leaves the user's name in the environment where there is one behind root.
fn is_root_of_machine() -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let maps = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let maps_all = maps.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    maps_all || std::env::var_os("USER").is_some_and(|user| user == "root")
}
