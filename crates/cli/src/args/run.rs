//! The arguments of `run` and `plan`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};

/// What the root is when none is given; shown by `--help`.
const DEFAULT_ROOT: &str = "\
With neither --rootfs nor --layer the container sees this machine's own programs: /usr, /bin, /sbin, /lib*, \
/etc and /opt, read-only under a layer that receives what it writes and is thrown away with it. Nothing of \
/home, /root, /var, /run, /tmp, /proc, /sys or /dev is shown.

Exit codes: that of COMMAND, or 128 + n where signal n ended it; 125 where Hoist failed; 126 where COMMAND \
cannot be invoked; 127 where it is not found.";

/// What `run` and `create` say of a container that runs on its own.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Supervised {
    /// Run the container in the background, and print its id
    #[arg(short, long)]
    pub detach: bool,
    /// Keys that detach from a container with a terminal (default: ctrl-p,ctrl-q; empty: none)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// When to start the container once more: no, on-failure[:NUMBER], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Where the output of a container in the background goes: json-file (default), none
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// max-size=SIZE (20m unless set; 0: no limit), max-file=NUMBER (5), mode=non-blocking|blocking: whether the
    /// container waits when the log cannot be written
    #[arg(long, value_name = "NAME=VALUE")]
    pub log_opt: Vec<String>,
}

/// How streams are carried.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Transport {
    /// How the streams of the command are carried: direct (default), or on Windows by named-pipes, one for each, as Docker 1.8 did
    #[arg(long, value_name = "direct|named-pipes")]
    pub stdio: Option<String>,
}

/// `hoist run`.
#[derive(Args, Debug)]
#[group(skip)]
#[command(
    disable_help_flag = true,
    after_help = DEFAULT_ROOT,
    override_usage = "hoist run [OPTIONS] [--] COMMAND [ARG]..."
)]
pub(crate) struct Run {
    #[command(flatten)]
    pub common: CommonRunOptions,
    #[command(flatten)]
    pub rare: RareRunOptions,
}

/// The command, and the options that many starts have. A command line without any other is read by these alone: to define all
/// options takes a twentieth of a start (docs/benchmarks.md).
#[derive(Args, Debug)]
#[group(skip)]
#[command(disable_help_flag = true)]
pub(crate) struct CommonRunOptions {
    /// Give the command this terminal's or pipe's input
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal of its own
    #[arg(short, long)]
    pub tty: bool,
    /// Remove the container when it has ended
    #[arg(long)]
    pub rm: bool,
    #[command(flatten)]
    pub supervised: Supervised,
    /// Name the container, for use in place of its id
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub name: Option<String>,
    /// Use DIR as the root file system; what the container writes stays there
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Files")]
    // On Windows it is the volume in which the layers are seen.
    #[cfg_attr(not(windows), arg(conflicts_with = "layer"))]
    pub rootfs: Option<String>,
    /// Stack DIR into the root file system, read-only, under a layer that is thrown away; given several times, the
    /// first is the base
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Files")]
    pub layer: Vec<String>,
    /// Make the root file system read-only
    #[arg(long, help_heading = "Files")]
    pub read_only: bool,
    /// Show a directory or file of this machine, or a volume, in the container; without a source a volume that nobody has named
    #[arg(
        short,
        long,
        value_name = "[SOURCE:]TARGET[:ro]",
        help_heading = "Files"
    )]
    pub volume: Vec<String>,
    /// Set an environment variable; a name alone takes the value from the caller's environment
    #[arg(
        short,
        long,
        value_name = "NAME[=VALUE]",
        allow_hyphen_values = true,
        help_heading = "Process"
    )]
    pub env: Vec<String>,
    /// Directory in the container to begin in
    #[arg(short, long, value_name = "DIR", help_heading = "Process")]
    pub workdir: Option<String>,
    /// User, and group, to run as: names of the container's own /etc/passwd and /etc/group, or numbers
    #[arg(
        short,
        long,
        value_name = "USER[:GROUP]",
        allow_hyphen_values = true,
        help_heading = "Process"
    )]
    pub user: Option<String>,
    /// Run this program, with COMMAND as its arguments
    #[arg(long, value_name = "PROGRAM", help_heading = "Process")]
    pub entrypoint: Option<String>,
    /// Run an init process that forwards signals and reaps zombies
    #[arg(long, help_heading = "Process")]
    pub init: bool,
    /// Limit of memory (bytes, or with b, k, m, g)
    #[arg(
        short,
        long,
        value_name = "BYTES",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub memory: Option<String>,
    /// Limit of processor time, in processors (1.5)
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub cpus: Option<String>,
    /// Network of the container: none (default), host, or container:NAME for that of another one
    #[arg(
        long,
        visible_alias = "net",
        value_name = "MODE",
        help_heading = "Isolation"
    )]
    pub network: Option<String>,
    /// Host name in the container
    #[arg(
        short = 'h',
        long,
        value_name = "NAME",
        allow_hyphen_values = true,
        help_heading = "Isolation"
    )]
    pub hostname: Option<String>,
    /// no-new-privileges, seccomp=unconfined, seccomp=FILE, apparmor=PROFILE, label=disable, systempaths=unconfined
    #[arg(long, value_name = "OPTION", help_heading = "Isolation")]
    pub security_opt: Vec<String>,
    /// Print help
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,
    /// Program to run, and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<String>,
}

/// The options that few starts have.
#[derive(Args, Debug, Default)]
#[group(skip)]
pub(crate) struct RareRunOptions {
    /// Write the container's id to FILE, which must not exist
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cidfile: Option<PathBuf>,
    /// Measure the start and draw it to FILE: a picture (.svg), or a trace for Perfetto (.json)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub timeline: Option<PathBuf>,
    #[command(flatten)]
    pub transport: Transport,
    /// Keep what the container writes over its layers in DIR, an existing directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "layer", help_heading = "Files")]
    pub layer_folder: Option<String>,
    /// Size of /dev/shm (64m unless set)
    #[arg(long, value_name = "BYTES", help_heading = "Files")]
    pub shm_size: Option<String>,
    /// Mount something in the container (type=bind|volume|tmpfs,source=…,target=…,readonly)
    #[arg(long, value_name = "KEY=VALUE,...", help_heading = "Files")]
    pub mount: Vec<String>,
    /// Mount an empty file system in memory
    #[arg(long, value_name = "TARGET[:OPTIONS]", help_heading = "Files")]
    pub tmpfs: Vec<String>,
    /// Read environment variables from FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Process")]
    pub env_file: Vec<PathBuf>,
    /// Signal that asks the container to end
    #[arg(long, value_name = "SIGNAL", help_heading = "Process")]
    pub stop_signal: Option<String>,
    /// Seconds from the stop signal until the container is ended by force
    #[arg(
        long,
        value_name = "SECONDS",
        allow_hyphen_values = true,
        help_heading = "Process"
    )]
    pub stop_timeout: Option<String>,
    /// Add the process to a group, by name or number
    #[arg(
        long,
        value_name = "GROUP",
        allow_hyphen_values = true,
        help_heading = "Process"
    )]
    pub group_add: Vec<String>,
    /// Limit each process, as setrlimit(2) does; -1: no limit
    #[arg(long, value_name = "NAME=SOFT[:HARD]", help_heading = "Process")]
    pub ulimit: Vec<String>,
    /// How ready the kernel is to end the container when memory runs short: -1000 to 1000
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        help_heading = "Process"
    )]
    pub oom_score_adj: Option<String>,
    /// Note something of the container, for `inspect`
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = "Process")]
    pub label: Vec<String>,
    /// Note something of the container in its OCI runtime spec
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Process")]
    pub annotation: Vec<String>,
    /// Weight of processor time against other containers (1024 is the usual one)
    #[arg(
        short = 'c',
        long,
        value_name = "WEIGHT",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub cpu_shares: Option<String>,
    /// Limit of processes and threads; -1: none
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub pids_limit: Option<String>,
    /// Memory that the container keeps when the machine runs short
    #[arg(
        long,
        value_name = "BYTES",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub memory_reservation: Option<String>,
    /// Limit of memory and swap together (twice the memory unless set); -1: none
    #[arg(
        long,
        value_name = "BYTES",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub memory_swap: Option<String>,
    /// Processors it may use (0-3,7)
    #[arg(long, value_name = "LIST", help_heading = "Limits")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use (0,1)
    #[arg(long, value_name = "LIST", help_heading = "Limits")]
    pub cpuset_mems: Option<String>,
    /// Weight of block I/O: 10 to 1000
    #[arg(
        long,
        value_name = "WEIGHT",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub blkio_weight: Option<String>,
    /// Make the container's cgroup below this one
    #[arg(long, value_name = "PATH", help_heading = "Limits")]
    pub cgroup_parent: Option<String>,
    /// How it is kept apart from this machine: default, process (the same on Linux), or none: a plain process of this machine, all of
    /// which is ended with it; everything that needs isolation is refused
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub isolation: Option<String>,
    /// Let the container use a device of this machine
    #[arg(long, value_name = "DEVICE[:TARGET][:rwm]", help_heading = "Isolation")]
    pub device: Vec<String>,
    /// Let the container use devices by number (`c 10:200 rwm`, * for any)
    #[arg(long, value_name = "RULE", help_heading = "Isolation")]
    pub device_cgroup_rule: Vec<String>,
    /// Set a setting of the kernel that the container's namespaces have for themselves
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Isolation")]
    pub sysctl: Vec<String>,
    /// Give the container every capability and device, and hide and filter nothing
    #[arg(long, help_heading = "Isolation")]
    pub privileged: bool,
    /// User namespace: host (default), or private with --uidmap and --gidmap
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub userns: Option<String>,
    /// Map user ids of a user namespace of its own
    #[arg(long, value_name = "CONTAINER:HOST:SIZE", help_heading = "Isolation")]
    pub uidmap: Vec<String>,
    /// Map group ids of a user namespace of its own
    #[arg(long, value_name = "CONTAINER:HOST:SIZE", help_heading = "Isolation")]
    pub gidmap: Vec<String>,
    /// Process ids: private (default), host, or container:NAME
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub pid: Option<String>,
    /// Shared memory and message queues: private or shareable (default), none (and no /dev/shm), host, or container:NAME
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub ipc: Option<String>,
    /// Host name: private (default), host, or container:NAME
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub uts: Option<String>,
    /// View of cgroups: private (default), host, or container:NAME
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub cgroupns: Option<String>,
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY", help_heading = "Isolation")]
    pub cap_add: Vec<String>,
    /// Take a capability away
    #[arg(long, value_name = "CAPABILITY", help_heading = "Isolation")]
    pub cap_drop: Vec<String>,
}

/// `hoist plan`.
#[derive(Args, Debug)]
#[command(override_usage = "hoist plan [OPTIONS] [--] COMMAND [ARG]...")]
pub(crate) struct Plan {
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// Plan for this platform; unless given, the one that this is
    #[arg(long, value_name = "linux|windows")]
    pub platform: Option<String>,
    /// Plan the command in FILE (JSON; - for standard input), whatever the other options say
    #[arg(long = "command", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub command_file: Option<PathBuf>,
    /// On Windows: the form of the documents, schema1, schema2, docker-1.9, docker-1.10 or docker-1.12
    #[arg(long, value_name = "FORM", default_value = "schema1")]
    pub dialect: String,
    #[command(flatten)]
    pub run: Run,
}
