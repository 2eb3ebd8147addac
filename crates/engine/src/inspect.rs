//! A container in the form of `docker inspect`: the same names and words, as far as Hoist has the thing.

use std::{collections::BTreeMap, path::Path};

use hoist_compute::{State, Summary};
use hoist_spec::{
    ContainerSpec, RootSource, SeccompPolicy,
    oci::{LinuxNamespaceType, LinuxResources, Mount, PosixRlimitType, Process, Spec},
};
use serde::Serialize;

use crate::{rfc3339, volumes::volume_of};

/// What docker gives for a time that has not come.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// One container.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    /// The whole id.
    pub id: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// The program.
    pub path: String,
    /// Its arguments, without the program.
    pub args: Vec<String>,
    /// What it is doing.
    pub state: InspectState,
    /// Its name after a `/`, as docker writes it; empty where it has none.
    pub name: String,
    /// `linux`.
    pub platform: &'static str,
    /// Where its root file system comes from.
    pub root: RootSource,
    /// How it was confined.
    pub host_config: InspectHostConfig,
    /// Its bind mounts.
    pub mounts: Vec<InspectMount>,
    /// What was to be run.
    pub config: InspectConfig,
    /// How often its supervisor has started it once more; 0 where it has none.
    pub restart_count: u32,
    /// Where its log is; empty where it has none.
    pub log_path: String,
}

/// What a container is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectState {
    /// `created`, `running`, `paused`, `restarting` or `exited`.
    pub status: &'static str,
    /// Its first process lives, paused or not.
    pub running: bool,
    /// It is paused.
    pub paused: bool,
    /// It has ended, and its supervisor will start it once more.
    pub restarting: bool,
    /// Its first process was killed and does not end, for it waits inside the kernel.
    pub unkillable: bool,
    /// The kernel's out-of-memory killer ended it.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Its first process on this machine; 0 where that does not live.
    pub pid: u32,
    /// As a shell reports it; 0 where it has not ended.
    pub exit_code: i32,
    /// Why the exit code is not known.
    pub error: String,
    /// When its process was started.
    pub started_at: String,
    /// When its process ended.
    pub finished_at: String,
}

/// What was to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectConfig {
    /// Its host name.
    pub hostname: String,
    /// Its domain name.
    pub domainname: String,
    /// `user[:group]` as given, or the numbers; empty for root.
    pub user: String,
    /// It has a terminal.
    pub tty: bool,
    /// Its input is kept open for those who attach, where it has a supervisor.
    pub open_stdin: bool,
    /// Its environment.
    pub env: Vec<String>,
    /// The program and its arguments.
    pub cmd: Vec<String>,
    /// Where it starts.
    pub working_dir: String,
    /// Its annotations.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to end.
    pub stop_signal: String,
    /// Seconds from that signal to `SIGKILL`.
    pub stop_timeout: u32,
}

/// How a container is confined. A limit that is not set is 0, or `null` where docker has that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectHostConfig {
    /// Bind mounts, `source:destination[:ro]`.
    pub binds: Vec<String>,
    /// `none`, `host`, `ns:PATH` of a joined namespace, or `container:ID` of another container's.
    pub network_mode: String,
    /// Empty for its own, `host`, `ns:PATH`, or `container:ID`.
    pub pid_mode: String,
    /// `private`, `host`, `ns:PATH`, or `container:ID`.
    pub ipc_mode: String,
    /// Empty for its own, `host`, `ns:PATH`, or `container:ID`.
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    /// Empty for none, `private` for its own, or `ns:PATH`.
    pub userns_mode: String,
    /// `private`, `host`, `ns:PATH`, or `container:ID`.
    pub cgroupns_mode: String,
    /// Where its cgroup is, where the spec says so.
    pub cgroup_parent: String,
    /// When its supervisor starts it once more.
    pub restart_policy: InspectRestartPolicy,
    /// Its supervisor removes it when it has ended.
    pub auto_remove: bool,
    /// Where its output goes, where it has a supervisor.
    pub log_config: InspectLogConfig,
    /// Further groups of its process.
    pub group_add: Vec<String>,
    /// Its kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Its limits of processes.
    pub ulimits: Vec<InspectUlimit>,
    /// Its capability bounding set.
    pub capabilities: Vec<String>,
    /// `no-new-privileges`, `seccomp=unconfined`, `apparmor=PROFILE`, `label=LABEL`.
    pub security_opt: Vec<String>,
    /// Its root file system is read-only.
    pub readonly_rootfs: bool,
    /// Paths it sees nothing of.
    pub masked_paths: Vec<String>,
    /// Paths it cannot write.
    pub readonly_paths: Vec<String>,
    /// Its tmpfs mounts below none of `/dev`, `/proc` and `/sys`, with their options.
    pub tmpfs: BTreeMap<String, String>,
    /// An init process is its PID 1.
    pub init: bool,
    /// `none` for a plain process; empty for the usual way.
    pub isolation: &'static str,
    /// `hoist`.
    pub runtime: &'static str,
    /// oom_score_adj (proc(5)).
    pub oom_score_adj: i32,
    /// Memory limit in bytes.
    pub memory: i64,
    /// Memory reservation in bytes.
    pub memory_reservation: i64,
    /// Limit of memory and swap together in bytes; -1 for none.
    pub memory_swap: i64,
    /// Processors, in thousand millionths of one; from quota and period.
    pub nano_cpus: i64,
    /// Relative weight.
    pub cpu_shares: u64,
    /// Microseconds.
    pub cpu_period: u64,
    /// Microseconds in each period.
    pub cpu_quota: i64,
    /// Processors it may use.
    pub cpuset_cpus: String,
    /// Memory nodes it may use.
    pub cpuset_mems: String,
    /// The most processes and threads.
    pub pids_limit: Option<i64>,
    /// Relative weight of block I/O.
    pub blkio_weight: u16,
}

/// When a container is started once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectRestartPolicy {
    /// `no`, `on-failure`, `always` or `unless-stopped`.
    pub name: &'static str,
    /// How many times at most, of `on-failure`; 0 for any number.
    pub maximum_retry_count: u32,
}

impl Default for InspectRestartPolicy {
    fn default() -> Self {
        Self {
            name: "no",
            maximum_retry_count: 0,
        }
    }
}

/// Where a container's output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectLogConfig {
    /// `json-file` or `none`; empty where whoever runs it has its output.
    pub r#type: &'static str,
    /// `max-size`, `max-file` and `mode`.
    pub config: BTreeMap<&'static str, String>,
}

/// A limit of a process (getrlimit(2)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectUlimit {
    /// In lower case, without `RLIMIT_`.
    pub name: String,
    /// What holds.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}

/// One bind mount, or one that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectMount {
    /// `bind`, `volume` or `tmpfs`.
    pub r#type: &'static str,
    /// The name of the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The path on this machine.
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// Its options.
    pub mode: String,
    /// It can be written.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// Its propagation; `rprivate` where nothing is said.
    pub propagation: String,
    /// It was added since the start; `hoist mount rm` takes it away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub added: bool,
}

/// Puts together what is known of a container.
pub(crate) fn inspect(
    name: Option<&str>,
    spec: &ContainerSpec,
    summary: &Summary,
    added: &[Mount],
    volumes: &Path,
) -> Inspect {
    let oci = &spec.oci;
    let process = oci.process().as_ref();
    let command = process
        .and_then(|process| process.args().clone())
        .unwrap_or_default();
    let binds = binds(oci, volumes);
    let mut mounts = binds.clone();
    mounts.extend(added.iter().map(|mount| InspectMount {
        added: true,
        ..inspect_mount(mount, volumes)
    }));
    Inspect {
        id: summary.id.to_string(),
        created: rfc3339(summary.created_at),
        path: command.first().cloned().unwrap_or_default(),
        args: command.iter().skip(1).cloned().collect(),
        state: state(summary),
        name: name.map_or_else(String::new, |name| format!("/{name}")),
        platform: "linux",
        root: spec.root.clone(),
        host_config: host_config(spec, &binds),
        mounts,
        config: InspectConfig {
            hostname: oci.hostname().clone().unwrap_or_default(),
            domainname: oci.domainname().clone().unwrap_or_default(),
            user: user(spec),
            tty: process.is_some_and(|process| process.terminal() == Some(true)),
            env: process
                .and_then(|process| process.env().clone())
                .unwrap_or_default(),
            cmd: command,
            working_dir: process
                .map_or_else(String::new, |process| process.cwd().display().to_string()),
            labels: oci
                .annotations()
                .iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            stop_signal: spec.stop.signal.to_string(),
            stop_timeout: spec.stop.timeout_seconds,
            open_stdin: false,
        },
        restart_count: 0,
        log_path: String::new(),
    }
}

fn state(summary: &Summary) -> InspectState {
    let exit = summary.exit.as_ref();
    InspectState {
        status: match summary.state {
            State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Stopped => "exited",
        },
        running: matches!(summary.state, State::Running | State::Paused),
        paused: summary.state == State::Paused,
        restarting: false,
        unkillable: false,
        oom_killed: exit.is_some_and(|exit| exit.oom.is_some()),
        pid: summary.pid.unwrap_or(0),
        exit_code: exit.map_or(0, |exit| exit.shell_code()),
        error: exit
            .and_then(|exit| exit.unknown.clone())
            .unwrap_or_default(),
        started_at: summary.started_at.map_or_else(|| NEVER.to_owned(), rfc3339),
        finished_at: exit.map_or_else(|| NEVER.to_owned(), |exit| rfc3339(exit.finished_at)),
    }
}

fn user(spec: &ContainerSpec) -> String {
    if let Some(user) = &spec.user {
        return user.clone();
    }
    match spec.oci.process().as_ref().map(Process::user) {
        Some(user) if (user.uid(), user.gid()) != (0, 0) => {
            format!("{}:{}", user.uid(), user.gid())
        }
        _ => String::new(),
    }
}

fn host_config(spec: &ContainerSpec, binds: &[InspectMount]) -> InspectHostConfig {
    let oci = &spec.oci;
    let process = oci.process().as_ref();
    let linux = oci.linux().as_ref();
    let mut config = InspectHostConfig {
        binds: binds
            .iter()
            .map(|bind| {
                let read_only = if bind.rw { "" } else { ":ro" };
                format!("{}:{}{read_only}", bind.source, bind.destination)
            })
            .collect(),
        network_mode: namespace(spec, LinuxNamespaceType::Network, "host", "none"),
        pid_mode: namespace(spec, LinuxNamespaceType::Pid, "host", ""),
        ipc_mode: namespace(
            spec,
            LinuxNamespaceType::Ipc,
            "host",
            match has_shared_memory(oci) {
                true => "private",
                false => "none",
            },
        ),
        uts_mode: namespace(spec, LinuxNamespaceType::Uts, "host", ""),
        userns_mode: namespace(spec, LinuxNamespaceType::User, "", "private"),
        cgroupns_mode: namespace(spec, LinuxNamespaceType::Cgroup, "host", "private"),
        cgroup_parent: linux
            .and_then(|linux| linux.cgroups_path().as_ref())
            .map_or_else(String::new, |path| path.display().to_string()),
        capabilities: process
            .and_then(|process| process.capabilities().as_ref())
            .and_then(|capabilities| capabilities.bounding().as_ref())
            .map(|bounding| {
                let mut names: Vec<String> =
                    bounding.iter().map(|name| format!("CAP_{name}")).collect();
                names.sort();
                names
            })
            .unwrap_or_default(),
        group_add: spec.groups.clone(),
        sysctls: linux
            .and_then(|linux| linux.sysctl().as_ref())
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ulimits: process
            .and_then(|process| process.rlimits().as_ref())
            .into_iter()
            .flatten()
            .map(|limit| InspectUlimit {
                name: ulimit(limit.typ()),
                soft: limit.soft(),
                hard: limit.hard(),
            })
            .collect(),
        security_opt: security_opt(spec),
        readonly_rootfs: oci
            .root()
            .as_ref()
            .is_some_and(|root| root.readonly() == Some(true)),
        masked_paths: linux
            .and_then(|linux| linux.masked_paths().clone())
            .unwrap_or_default(),
        readonly_paths: linux
            .and_then(|linux| linux.readonly_paths().clone())
            .unwrap_or_default(),
        tmpfs: tmpfs(oci),
        init: spec.init,
        isolation: match spec.root {
            RootSource::Unisolated => "none",
            _ => "",
        },
        runtime: "hoist",
        oom_score_adj: process
            .and_then(|process| process.oom_score_adj())
            .unwrap_or(0),
        ..InspectHostConfig::default()
    };
    if let Some(resources) = linux.and_then(|linux| linux.resources().as_ref()) {
        limits(&mut config, resources);
    }
    config
}

fn has_shared_memory(oci: &Spec) -> bool {
    let mut mounts = oci.mounts().iter().flatten();
    mounts.any(|mount| mount.destination().as_os_str() == "/dev/shm")
}

fn ulimit(kind: PosixRlimitType) -> String {
    let name = kind.to_string().to_lowercase();
    name.strip_prefix("rlimit_").unwrap_or(&name).to_owned()
}

fn limits(config: &mut InspectHostConfig, resources: &LinuxResources) {
    if let Some(memory) = resources.memory() {
        // What was taken away is none, as where there never was one.
        config.memory = memory.limit().unwrap_or(0).max(0);
        config.memory_reservation = memory.reservation().unwrap_or(0).max(0);
        config.memory_swap = memory.swap().unwrap_or(0);
    }
    if let Some(cpu) = resources.cpu() {
        config.cpu_shares = cpu.shares().unwrap_or(0);
        config.cpu_period = cpu.period().unwrap_or(0);
        config.cpu_quota = cpu.quota().unwrap_or(0);
        config.cpuset_cpus = cpu.cpus().clone().unwrap_or_default();
        config.cpuset_mems = cpu.mems().clone().unwrap_or_default();
        if config.cpu_quota > 0 && config.cpu_period > 0 {
            let nano = i128::from(config.cpu_quota) * 1_000_000_000 / i128::from(config.cpu_period);
            config.nano_cpus = i64::try_from(nano).unwrap_or(i64::MAX);
        }
    }
    config.pids_limit = resources.pids().as_ref().map(|pids| pids.limit());
    config.blkio_weight = resources
        .block_io()
        .as_ref()
        .and_then(|block_io| block_io.weight())
        .unwrap_or(0);
}

fn namespace(spec: &ContainerSpec, kind: LinuxNamespaceType, absent: &str, own: &str) -> String {
    if let Some(joined) = spec.joined.iter().find(|joined| joined.kind == kind) {
        return format!("container:{}", joined.container);
    }
    let namespaces = spec
        .oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.namespaces().as_ref());
    match namespaces
        .into_iter()
        .flatten()
        .find(|namespace| namespace.typ() == kind)
    {
        None => absent.to_owned(),
        Some(namespace) => match namespace.path() {
            None => own.to_owned(),
            Some(path) => format!("ns:{}", path.display()),
        },
    }
}

fn security_opt(spec: &ContainerSpec) -> Vec<String> {
    let mut options = Vec::new();
    if spec.seccomp == SeccompPolicy::Unconfined {
        options.push("seccomp=unconfined".to_owned());
    }
    if let Some(process) = spec.oci.process() {
        if process.no_new_privileges() == Some(true) {
            options.push("no-new-privileges".to_owned());
        }
        if let Some(profile) = process.apparmor_profile() {
            options.push(format!("apparmor={profile}"));
        }
        if let Some(label) = process.selinux_label() {
            options.push(format!("label={label}"));
        }
    }
    options
}

fn options(mount: &Mount) -> &[String] {
    mount.options().as_deref().unwrap_or_default()
}

fn binds(oci: &Spec, volumes: &Path) -> Vec<InspectMount> {
    let is_bind = |mount: &&Mount| {
        options(mount)
            .iter()
            .any(|option| option == "bind" || option == "rbind")
            || mount.typ().as_deref() == Some("bind")
    };
    let mounts = oci.mounts().iter().flatten().filter(is_bind);
    mounts.map(|mount| inspect_mount(mount, volumes)).collect()
}

fn inspect_mount(mount: &Mount, volumes: &Path) -> InspectMount {
    const PROPAGATIONS: [&str; 8] = [
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
        "unbindable",
        "runbindable",
    ];
    let options = options(mount);
    let source = mount.source().clone().unwrap_or_default();
    let name = volume_of(&source, volumes);
    let is_read_only = |option: &String| option == "ro" || option == "rro";
    let propagation = options
        .iter()
        .rfind(|option| PROPAGATIONS.contains(&option.as_str()));
    InspectMount {
        r#type: match (&name, mount.typ().as_deref()) {
            (Some(_), _) => "volume",
            (None, Some("tmpfs")) => "tmpfs",
            (None, _) => "bind",
        },
        name,
        source: source.display().to_string(),
        destination: mount.destination().display().to_string(),
        mode: options.join(","),
        rw: !options.iter().any(is_read_only),
        propagation: propagation
            .cloned()
            .unwrap_or_else(|| "rprivate".to_owned()),
        added: false,
    }
}

fn tmpfs(oci: &Spec) -> BTreeMap<String, String> {
    oci.mounts()
        .iter()
        .flatten()
        .filter(|mount| mount.typ().as_deref() == Some("tmpfs"))
        .filter(|mount| {
            ["/dev", "/proc", "/sys"]
                .iter()
                .all(|own| !mount.destination().starts_with(own))
        })
        .map(|mount| {
            (
                mount.destination().display().to_string(),
                options(mount).join(","),
            )
        })
        .collect()
}
