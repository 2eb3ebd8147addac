//! The values of a command line, in docker's words, and what they mean.
//!
//! A command line keeps every value as text; here each is read, and all that is wrong is told at once,
//! by the option's name. What is outside — files, the caller's environment — comes in as [`OptionFacts`].

mod environment;
mod mount;
mod quantity;
mod security;

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    Command, Fault, Faults, Mount, Network, NetworkMode, ProcessConfig, Resources, Signal,
};

/// What the options of a command line may refer to.
pub struct OptionFacts<'a> {
    /// The value of a variable in the caller's environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The caller's working directory, absolute: sources of mounts may be relative to it.
    pub current_dir: &'a Path,
    /// The text of a file.
    pub read_file: &'a dyn Fn(&Path) -> io::Result<String>,
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
    /// `--network none|host`
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
        let mut faults = Faults::default();
        let mut mounts = Mounts::default();
        for text in &self.volume {
            mounts.add("--volume", faults.keep(mount::volume(text, facts)));
        }
        for text in &self.mount {
            mounts.add("--mount", faults.keep(mount::mount(text, facts)));
        }
        for text in &self.tmpfs {
            mounts.add("--tmpfs", Some(mount::tmpfs(text)));
        }
        let mut resources = Resources::default();
        if let Some(text) = &self.memory {
            resources.memory = faults.keep(quantity::memory(text)).unwrap_or_default();
        }
        if let Some(text) = &self.cpus
            && let Some(quota) = faults.keep(quantity::cpus(text))
        {
            resources.cpu_quota = quota;
            resources.cpu_period = quantity::CPU_PERIOD;
        }
        for (option, text, number) in [
            ("--cpu-shares", &self.cpu_shares, &mut resources.cpu_shares),
            ("--pids-limit", &self.pids_limit, &mut resources.pids_limit),
        ] {
            if let Some(text) = text {
                *number = faults
                    .keep(quantity::number(option, text))
                    .unwrap_or_default();
            }
        }
        let network = match self.network.as_deref() {
            None => Network::default(),
            Some(text) => Network {
                mode: faults.keep(network_mode(text)),
                ..Network::default()
            },
        };
        let mut words = self
            .entrypoint
            .filter(|program| !program.is_empty())
            .into_iter()
            .chain(self.command);
        let command = Command {
            name: self.name.clone().unwrap_or_default(),
            hostname: self.hostname.clone().unwrap_or_default(),
            rootfs: absolute(self.rootfs.unwrap_or_default(), facts),
            layer_paths: self
                .layer
                .into_iter()
                .rev()
                .map(|layer| absolute(layer, facts))
                .collect(),
            working_dir: self.workdir.clone().unwrap_or_default(),
            readonly_rootfs: self.read_only,
            mounts: mounts.list,
            network,
            resources,
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
            ..Command::default()
        };
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
        if let Err(found) = command.validate() {
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
        if let Err(found) = process.validate() {
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
        "process_config" | "resources" | "network" => rest.split('[').next().unwrap_or(rest),
        section => section,
    };
    let option = match section {
        "entrypoint" | "arguments" => "COMMAND",
        "working_dir" => "--workdir",
        "layer_paths" => "--layer",
        "mode" => "--network",
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

fn network_mode(text: &str) -> Result<NetworkMode, Fault> {
    match text {
        "none" => Ok(NetworkMode::None),
        "host" => Ok(NetworkMode::Host),
        _ => Err(Fault::of_value(
            "--network",
            text,
            "is no network that there is yet: use none or host",
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
    if path.is_empty() || path.starts_with('/') {
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
