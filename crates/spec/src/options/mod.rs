//! The values of a command line, in docker's words, and what they mean.
//!
//! A command line keeps every value as text; here each is read, and all that is wrong is told at once,
//! by the option's name. What is outside — files, the caller's environment — comes in as [`OptionFacts`].

mod environment;
mod mount;
mod quantity;
mod security;
mod settings;

use std::{
    io,
    path::{Path, PathBuf},
};

use oci_spec::runtime::{LinuxPids, LinuxResources, Mount as OciMount};

use crate::{
    Command, Fault, Faults, Isolation, Mount, Network, Platform, ProcessConfig, Resources, Signal,
    convert,
};

/// What the options of a command line may refer to.
pub struct OptionFacts<'a> {
    /// The value of a variable in the caller's environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The caller's working directory, absolute: sources of mounts may be relative to it.
    pub current_dir: &'a Path,
    /// The text of a file.
    pub read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Whether this machine's kernel runs with SELinux.
    pub selinux: &'a dyn Fn() -> bool,
    /// What the container is for.
    pub platform: Platform,
}

/// The options of `run` that say what the container is, as they were typed; docker's, unless said
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// `--tty`
    pub tty: bool,
    /// `--name`
    pub name: Option<String>,
    /// `--hostname`
    pub hostname: Option<String>,
    /// `--rootfs DIR` (Hoist's own): use this directory as the root.
    pub rootfs: Option<String>,
    /// `--layer DIR` (Hoist's own): the layers of the root, the base first.
    pub layer: Vec<String>,
    /// `--read-only`
    pub read_only: bool,
    /// `--volume SOURCE:TARGET[:OPTIONS]`
    pub volume: Vec<String>,
    /// `--mount KEY=VALUE,…`
    pub mount: Vec<String>,
    /// `--tmpfs TARGET[:OPTIONS]`
    pub tmpfs: Vec<String>,
    /// `--env KEY[=VALUE]`
    pub env: Vec<String>,
    /// `--env-file FILE`
    pub env_file: Vec<PathBuf>,
    /// `--workdir DIR`
    pub workdir: Option<String>,
    /// `--user USER[:GROUP]`
    pub user: Option<String>,
    /// `--entrypoint PROGRAM`
    pub entrypoint: Option<String>,
    /// `--init`
    pub init: bool,
    /// `--stop-signal SIGNAL`
    pub stop_signal: Option<String>,
    /// `--stop-timeout SECONDS`; −1 waits for ever.
    pub stop_timeout: Option<String>,
    /// `--memory BYTES`, with `b`, `k`, `m`, `g`.
    pub memory: Option<String>,
    /// `--cpus NUMBER`
    pub cpus: Option<String>,
    /// `--cpu-shares WEIGHT`
    pub cpu_shares: Option<String>,
    /// `--pids-limit NUMBER`
    pub pids_limit: Option<String>,
    /// `--memory-reservation BYTES`
    pub memory_reservation: Option<String>,
    /// `--memory-swap BYTES`; −1 is no limit.
    pub memory_swap: Option<String>,
    /// `--cpuset-cpus LIST`
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems LIST`
    pub cpuset_mems: Option<String>,
    /// `--blkio-weight WEIGHT`
    pub blkio_weight: Option<String>,
    /// `--device SOURCE[:TARGET][:PERMISSIONS]`
    pub device: Vec<String>,
    /// `--device-cgroup-rule RULE`
    pub device_cgroup_rule: Vec<String>,
    /// `--ulimit NAME=SOFT[:HARD]`
    pub ulimit: Vec<String>,
    /// `--sysctl NAME=VALUE`
    pub sysctl: Vec<String>,
    /// `--shm-size BYTES`
    pub shm_size: Option<String>,
    /// `--privileged`
    pub privileged: bool,
    /// `--userns host|private`
    pub userns: Option<String>,
    /// `--uidmap CONTAINER:HOST:SIZE`
    pub uidmap: Vec<String>,
    /// `--gidmap CONTAINER:HOST:SIZE`
    pub gidmap: Vec<String>,
    /// `--pid host|ns:PATH|container:ID`
    pub pid: Option<String>,
    /// `--ipc private|shareable|none|host|ns:PATH|container:ID`
    pub ipc: Option<String>,
    /// `--uts host|ns:PATH|container:ID`
    pub uts: Option<String>,
    /// `--cgroupns private|host|ns:PATH|container:ID`
    pub cgroupns: Option<String>,
    /// `--group-add GROUP`
    pub group_add: Vec<String>,
    /// `--cgroup-parent PATH`
    pub cgroup_parent: Option<String>,
    /// `--oom-score-adj NUMBER`
    pub oom_score_adj: Option<String>,
    /// `--annotation NAME=VALUE`
    pub annotation: Vec<String>,
    /// `--label NAME[=VALUE]`
    pub label: Vec<String>,
    /// `--layer-folder DIR` (Hoist's own): what the container writes over its layers is kept there.
    pub layer_folder: Option<String>,
    /// `--isolation default|process|none`; `none` is Hoist's own.
    pub isolation: Option<String>,
    /// `--network none|host|container:ID`
    pub network: Option<String>,
    /// `--cap-add CAPABILITY`
    pub cap_add: Vec<String>,
    /// `--cap-drop CAPABILITY`
    pub cap_drop: Vec<String>,
    /// `--security-opt OPTION`
    pub security_opt: Vec<String>,
    /// The program and its arguments; after `--entrypoint` its arguments alone.
    pub command: Vec<String>,
}

/// The options that say what is mounted, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// `--volume SOURCE:TARGET[:OPTIONS]`
    pub volume: Vec<String>,
    /// `--mount KEY=VALUE,…`
    pub mount: Vec<String>,
    /// `--tmpfs TARGET[:OPTIONS]`
    pub tmpfs: Vec<String>,
}

impl MountOptions {
    /// The mounts that they describe.
    ///
    /// # Errors
    /// Every option that is wrong, by its long name, with what was typed; also where nothing is to be mounted.
    pub fn into_mounts(self, facts: &OptionFacts<'_>) -> Result<Vec<OciMount>, Faults> {
        let mut faults = Faults::default();
        let mounts = Mounts::read(&self.volume, &self.mount, &self.tmpfs, facts, &mut faults);
        if mounts.list.is_empty() && faults.is_empty() {
            faults.push(Fault::new("mount", "nothing to mount is given"));
        }
        match convert::added_mounts(&mounts.list) {
            Ok(found) => faults.into_result(found),
            Err(found) => {
                faults.extend(found.into_iter().map(|fault| Fault {
                    field: option_of(&fault.field, &mounts.options),
                    ..fault
                }));
                Err(faults)
            }
        }
    }
}

/// The options of `update`, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateOptions {
    /// `--memory BYTES`
    pub memory: Option<String>,
    /// `--memory-reservation BYTES`
    pub memory_reservation: Option<String>,
    /// `--memory-swap BYTES`
    pub memory_swap: Option<String>,
    /// `--cpus NUMBER`
    pub cpus: Option<String>,
    /// `--cpu-shares WEIGHT`
    pub cpu_shares: Option<String>,
    /// `--cpuset-cpus LIST`
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems LIST`
    pub cpuset_mems: Option<String>,
    /// `--pids-limit NUMBER`
    pub pids_limit: Option<String>,
    /// `--blkio-weight WEIGHT`
    pub blkio_weight: Option<String>,
}

impl UpdateOptions {
    /// The changes of a container's limits that they ask for: 0 and -1 take a limit away.
    ///
    /// # Errors
    /// As [`into_resources`](Self::into_resources).
    pub fn into_changes(mut self) -> Result<LinuxResources, Faults> {
        let lifts = |text: &mut Option<String>| {
            text.take_if(|text| matches!(text.as_str(), "0" | "-1"))
                .is_some()
        };
        let memory = lifts(&mut self.memory);
        let reservation = lifts(&mut self.memory_reservation);
        let cpus = lifts(&mut self.cpus);
        let pids = lifts(&mut self.pids_limit);
        let has_others = self != Self::default();
        let mut changes = match has_others || !(memory || reservation || cpus || pids) {
            true => self.into_resources()?,
            false => {
                let mut none = LinuxResources::default();
                none.set_devices(None);
                none
            }
        };
        if memory || reservation {
            let mut limits = changes.memory().unwrap_or_default();
            if memory {
                // What holds memory and swap together cannot stay without it.
                let swap = limits.swap().unwrap_or(-1);
                limits.set_limit(Some(-1)).set_swap(Some(swap));
            }
            if reservation {
                limits.set_reservation(Some(-1));
            }
            changes.set_memory(Some(limits));
        }
        if cpus {
            let mut limits = changes.cpu().clone().unwrap_or_default();
            limits.set_quota(Some(-1));
            changes.set_cpu(Some(limits));
        }
        if pids {
            let mut limit = LinuxPids::default();
            limit.set_limit(-1);
            changes.set_pids(Some(limit));
        }
        Ok(changes)
    }

    /// The limits that they ask for.
    ///
    /// # Errors
    /// Every option that is wrong, by its long name, with what was typed; also where nothing is to be changed.
    pub fn into_resources(self) -> Result<LinuxResources, Faults> {
        let mut faults = Faults::default();
        let options = RunOptions {
            memory: self.memory,
            memory_reservation: self.memory_reservation,
            memory_swap: self.memory_swap,
            cpus: self.cpus,
            cpu_shares: self.cpu_shares,
            cpuset_cpus: self.cpuset_cpus,
            cpuset_mems: self.cpuset_mems,
            pids_limit: self.pids_limit,
            blkio_weight: self.blkio_weight,
            ..RunOptions::default()
        };
        let resources = settings::resources(&options, &mut faults);
        if resources == Resources::default() && faults.is_empty() {
            faults.push(Fault::new("update", "no limit to change is given"));
        }
        let found = resources.to_update();
        match found {
            Ok(changes) => faults.into_result(changes),
            Err(found) => {
                faults.extend(found.into_iter().map(|fault| Fault {
                    field: option_of(&fault.field, &[]),
                    ..fault
                }));
                Err(faults)
            }
        }
    }
}

/// The options of `exec` that say what the process is, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// `--tty`
    pub tty: bool,
    /// `--env KEY[=VALUE]`
    pub env: Vec<String>,
    /// `--env-file FILE`
    pub env_file: Vec<PathBuf>,
    /// `--workdir DIR`
    pub workdir: Option<String>,
    /// `--user USER[:GROUP]`
    pub user: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
}

impl RunOptions {
    /// The command that they describe. Its id is left empty.
    ///
    /// # Errors
    /// Every option that is wrong, by its long name, with what was typed; also what
    /// [`Command::validate`] would find later.
    pub fn into_command(self, facts: &OptionFacts<'_>) -> Result<Command, Faults> {
        self.into_command_with(facts, &|_| {})
    }

    /// As [`into_command`](Self::into_command), with `complete` adding what only this machine can say before the command is
    /// validated: which devices its devices are.
    ///
    /// # Errors
    /// As there.
    pub fn into_command_with(
        self,
        facts: &OptionFacts<'_>,
        complete: &dyn Fn(&mut Command),
    ) -> Result<Command, Faults> {
        let mut faults = Faults::default();
        let mounts = Mounts::read(&self.volume, &self.mount, &self.tmpfs, facts, &mut faults);
        let settings = settings::read(&self, &mut faults);
        let network = match self.network.as_deref() {
            None => Network::default(),
            Some(text) => faults.keep(network(text)).unwrap_or_default(),
        };
        // Not the default root: whoever gives one does not ask for that, and an unset variable of a shell is empty.
        if self.rootfs.as_deref() == Some("") {
            faults.push(Fault::of_value("--rootfs", "", "is empty"));
        }
        let isolation = self.isolation.as_deref().map(isolation);
        let isolation = isolation.and_then(|given| faults.keep(given));
        let isolation = isolation.unwrap_or_default();
        let mut words = self
            .entrypoint
            .filter(|program| !program.is_empty())
            .into_iter()
            .chain(self.command);
        let mut command = Command {
            name: self.name.clone().unwrap_or_default(),
            hostname: self.hostname.clone().unwrap_or_default(),
            rootfs: absolute(self.rootfs.unwrap_or_default(), facts),
            layer_paths: self
                .layer
                .into_iter()
                .rev()
                .map(|layer| absolute(layer, facts))
                .collect(),
            working_dir: match (&self.workdir, isolation) {
                (Some(directory), _) => directory.clone(),
                // A plain process begins where its caller is.
                (None, Isolation::None) => absolute(".".to_owned(), facts),
                (None, _) => String::new(),
            },
            isolation,
            readonly_rootfs: self.read_only,
            mounts: mounts.list,
            network,
            layer_folder: absolute(self.layer_folder.unwrap_or_default(), facts),
            process_config: ProcessConfig {
                tty: self.tty,
                entrypoint: words.next().unwrap_or_default(),
                arguments: words.collect(),
                env: environment::read(&self.env, &self.env_file, facts, &mut faults),
                user: self.user.clone().unwrap_or_default(),
                ..ProcessConfig::default()
            },
            init: self.init,
            cap_add: self.cap_add,
            cap_drop: self.cap_drop,
            security_opt: security::read(self.security_opt, facts, &mut faults),
            stop_signal: self
                .stop_signal
                .and_then(|text| faults.keep(stop_signal(&text))),
            stop_timeout: self
                .stop_timeout
                .and_then(|text| faults.keep(quantity::seconds("--stop-timeout", &text))),
            ..settings
        };
        complete(&mut command);
        // An empty value is "not given" in a command, but it was given here.
        for (option, given) in [
            ("--name", &self.name),
            ("--hostname", &self.hostname),
            ("--workdir", &self.workdir),
            ("--user", &self.user),
        ] {
            if given.as_deref() == Some("") {
                faults.push(Fault::of_value(option, "", "is empty"));
            }
        }
        if let Err(found) = command.validate_for(facts.platform) {
            faults.extend(found.into_iter().map(|fault| Fault {
                field: option_of(&fault.field, &mounts.options),
                ..fault
            }));
        }
        faults.into_result(command)
    }
}

impl ExecOptions {
    /// The process that they describe.
    ///
    /// # Errors
    /// Every option that is wrong, by its long name.
    pub fn into_process(self, facts: &OptionFacts<'_>) -> Result<ProcessConfig, Faults> {
        let mut faults = Faults::default();
        for (option, given) in [("--workdir", &self.workdir), ("--user", &self.user)] {
            if given.as_deref() == Some("") {
                faults.push(Fault::of_value(option, "", "is empty"));
            }
        }
        let mut words = self.command.into_iter();
        let process = ProcessConfig {
            tty: self.tty,
            entrypoint: words.next().unwrap_or_default(),
            arguments: words.collect(),
            env: environment::read(&self.env, &self.env_file, facts, &mut faults),
            user: self.user.unwrap_or_default(),
            working_dir: self.workdir.unwrap_or_default(),
            ..ProcessConfig::default()
        };
        if let Err(found) = process.validate_for(facts.platform) {
            faults.extend(found.into_iter().map(|fault| Fault {
                field: option_of(&fault.field, &[]),
                ..fault
            }));
        }
        faults.into_result(process)
    }
}

/// The mounts, and for each the option that it comes from.
#[derive(Default)]
struct Mounts {
    list: Vec<Mount>,
    options: Vec<&'static str>,
}

impl Mounts {
    fn read(
        volumes: &[String],
        mounts: &[String],
        tmpfs: &[String],
        facts: &OptionFacts<'_>,
        faults: &mut Faults,
    ) -> Self {
        let mut read = Self::default();
        for text in volumes {
            read.add("--volume", faults.keep(mount::volume(text, facts)));
        }
        for text in mounts {
            read.add("--mount", faults.keep(mount::mount(text, facts)));
        }
        for text in tmpfs {
            read.add("--tmpfs", Some(mount::tmpfs(text)));
        }
        read
    }

    fn add(&mut self, option: &'static str, mount: Option<Mount>) {
        if let Some(mount) = mount {
            self.list.push(mount);
            self.options.push(option);
        }
    }
}

/// The option that a command's field comes from.
fn option_of(field: &str, mounts: &[&'static str]) -> String {
    let (section, rest) = field.split_once(['.', '[', ':']).unwrap_or((field, ""));
    let section = match section {
        "process_config" | "resources" | "network" | "namespaces" => {
            rest.split('[').next().unwrap_or(rest)
        }
        section => section,
    };
    let option = match section {
        "entrypoint" | "arguments" => "COMMAND",
        "working_dir" => "--workdir",
        "readonly_rootfs" => "--read-only",
        "layer_paths" => "--layer",
        "devices" => "--device",
        "device_cgroup_rules" => "--device-cgroup-rule",
        "ulimits" => "--ulimit",
        "sysctls" => "--sysctl",
        "uid_maps" => "--uidmap",
        "gid_maps" => "--gidmap",
        "annotations" => "--annotation",
        "user" if field.starts_with("namespaces.") => "--userns",
        "cgroup" if field.starts_with("namespaces.") => "--cgroupns",
        "mode" | "container_id" => "--network",
        "cpu_quota" | "cpu_period" => "--cpus",
        "mounts" => rest
            .split(']')
            .next()
            .and_then(|index| index.parse::<usize>().ok())
            .and_then(|index| mounts.get(index).copied())
            .unwrap_or("--mount"),
        other => return format!("--{}", other.replace('_', "-")),
    };
    option.to_owned()
}

/// A number of bytes as docker's options write it: with an optional unit (b, k, m, g, t) of 1024 times the one before, and an
/// optional fraction. `None` for anything else.
pub fn size(text: &str) -> Option<i64> {
    quantity::bytes(text)
}

fn network(text: &str) -> Result<Network, Fault> {
    match (text, text.strip_prefix("container:")) {
        ("none", _) => Ok(Network::none()),
        ("host", _) => Ok(Network::host()),
        (_, Some(id)) if !id.is_empty() => Ok(Network::of_container(id)),
        _ => Err(Fault::of_value(
            "--network",
            text,
            "is no network that there is: use none, host or container:NAME",
        )),
    }
}

fn isolation(text: &str) -> Result<Isolation, Fault> {
    match text {
        "" | "default" => Ok(Isolation::Default),
        "process" => Ok(Isolation::Process),
        "hyperv" => Ok(Isolation::Hyperv),
        "none" => Ok(Isolation::None),
        _ => Err(Fault::of_value(
            "--isolation",
            text,
            "is no isolation: use default, process, hyperv (Windows) or none",
        )),
    }
}

fn stop_signal(text: &str) -> Result<Signal, Fault> {
    text.parse().map_err(|_| {
        Fault::of_value(
            "--stop-signal",
            text,
            "is no signal: use a name such as TERM or SIGTERM, or a number from 1 to 64",
        )
    })
}

/// `path` seen from the caller's working directory; an empty one stays empty.
fn absolute(path: String, facts: &OptionFacts<'_>) -> String {
    let is_absolute = match facts.platform {
        Platform::Linux => path.starts_with('/'),
        Platform::Windows => convert::is_absolute_on_windows(&path),
    };
    if path.is_empty() || is_absolute {
        return path;
    }
    let rest = path.strip_prefix("./").unwrap_or(&path);
    let joined = if rest == "." {
        facts.current_dir.to_path_buf()
    } else {
        facts.current_dir.join(rest)
    };
    joined.into_os_string().into_string().unwrap_or(path)
}

#[cfg(test)]
mod tests;
