//! The arguments of the commands that look at containers or end them.

use clap::{Args, ValueEnum};

use super::format::{InspectOptions, ListOptions};
use crate::format::{ListedContainers, ListedUsage, ReportFormat, report_format, report_help};

/// The ways to write a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// Columns for people
    #[default]
    Table,
    /// One JSON object per line
    Json,
}

/// The ways to write a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object
    Json,
}

/// `hoist ps`.
#[derive(Args, Debug)]
pub(crate) struct Ps {
    /// Show containers that do not run, too
    #[arg(short, long)]
    pub all: bool,
    /// Show those only of which this holds: id=TEXT, name=TEXT, label=KEY[=VALUE], status=STATE, exited=CODE,
    /// since=CONTAINER, before=CONTAINER
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Show the NUMBER that were made last, whether they run or not
    #[arg(short = 'n', long, value_name = "NUMBER")]
    pub last: Option<String>,
    /// Show the one that was made last, whether it runs or not
    #[arg(short, long)]
    pub latest: bool,
    /// Show ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Cut nothing short
    #[arg(long)]
    pub no_trunc: bool,
    #[command(flatten)]
    pub list: ListOptions<ListedContainers>,
}

/// `hoist inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub written: InspectOptions,
    /// Containers to show
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist top`.
#[derive(Args, Debug)]
pub(crate) struct Top {
    /// How to write the list
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: TableFormat,
    /// Container whose processes to list
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Options of this machine's ps(1), which then writes the list: `-o pid,comm`, `aux`; its column PID is needed
    #[arg(value_name = "PS OPTION", num_args = 0.., allow_hyphen_values = true)]
    pub ps_options: Vec<String>,
}

/// `hoist stop`.
#[derive(Args, Debug)]
pub(crate) struct Stop {
    /// Seconds to wait before a container is ended by force; otherwise the container's own, which is 10 unless set;
    /// -1: for ever
    #[arg(
        short = 't',
        long = "timeout",
        visible_alias = "time",
        value_name = "SECONDS",
        allow_hyphen_values = true
    )]
    pub timeout: Option<String>,
    /// Signal that asks; otherwise the container's own, which is TERM unless set
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// Containers to end
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist kill`.
#[derive(Args, Debug)]
pub(crate) struct Kill {
    /// Signal to send: a name such as TERM or SIGTERM, or a number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,
    /// Containers to send it to
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist start`.
#[derive(Args, Debug)]
pub(crate) struct Start {
    /// Show what the container writes, until it has ended
    #[arg(short, long)]
    pub attach: bool,
    /// The same, and give the container this terminal's or pipe's input, where it was made with --interactive
    #[arg(short, long)]
    pub interactive: bool,
    /// Keys that detach from a container with a terminal (default: ctrl-p,ctrl-q; empty: none)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Containers to start
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist attach`.
#[derive(Args, Debug)]
pub(crate) struct Attach {
    /// Send the container no input
    #[arg(long)]
    pub no_stdin: bool,
    /// Keep signals that this command gets from the container
    #[arg(long)]
    pub no_signals: bool,
    /// Keys that detach from a container with a terminal (default: ctrl-p,ctrl-q; empty: none)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Container to attach to
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `hoist logs`.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Go on with what the container writes, until it has ended
    #[arg(short, long)]
    pub follow: bool,
    /// Show nothing from before: a time (2026-01-31T12:00:00Z, local without a zone), seconds since 1970, or how long ago (1h30m)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show nothing from after
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Show only so many lines, the last; all: all of them
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "all")]
    pub tail: String,
    /// Put its time before each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Container whose log to show
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `hoist pause` and `hoist unpause`.
#[derive(Args, Debug)]
pub(crate) struct Containers {
    /// Containers to act on
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist rename`.
#[derive(Args, Debug)]
pub(crate) struct Rename {
    /// Container to give a name
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Its new name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `hoist prune`.
#[derive(Args, Debug)]
pub(crate) struct Prune {
    /// Ask nobody
    #[arg(short, long)]
    pub force: bool,
}

/// `hoist stats`.
#[derive(Args, Debug)]
pub(crate) struct Stats {
    /// Show them once, and not again and again
    #[arg(long)]
    pub no_stream: bool,
    /// Cut no id short
    #[arg(long)]
    pub no_trunc: bool,
    #[command(flatten)]
    pub list: ListOptions<ListedUsage>,
    /// Containers to show; all that run where none is named
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// `hoist update`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Update {
    /// Limit of memory (bytes, or with b, k, m, g); 0 or -1: none
    #[arg(short, long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory that the container keeps when the machine runs short; 0 or -1: none
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Limit of memory and swap together; -1: none
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Limit of processor time, in processors (1.5); 0 or -1: none
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub cpus: Option<String>,
    /// Weight of processor time against other containers (1024 is the usual one)
    #[arg(short = 'c', long, value_name = "WEIGHT", allow_hyphen_values = true)]
    pub cpu_shares: Option<String>,
    /// Processors it may use (0-3,7)
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use (0,1)
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Limit of processes and threads; 0 or -1: none
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<String>,
    /// Weight of block I/O: 10 to 1000
    #[arg(long, value_name = "WEIGHT", allow_hyphen_values = true)]
    pub blkio_weight: Option<String>,
    /// When it is started once more: no, on-failure[:NUMBER], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Containers to change
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist man`.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// Write one page per command into DIR, which is made where it is missing; otherwise the page of hoist itself is printed
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub folder: Option<std::path::PathBuf>,
}

/// `hoist wait`.
#[derive(Args, Debug)]
pub(crate) struct Wait {
    /// Containers to wait for
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist rm`.
#[derive(Args, Debug)]
pub(crate) struct Rm {
    /// End a container by force where it still runs; one that does not exist is no fault
    #[arg(short, long)]
    pub force: bool,
    /// Remove their volumes that nobody has named, too
    #[arg(short, long)]
    pub volumes: bool,
    /// Containers to remove
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist info` and `hoist version`.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// How to write the report: text, json or a template ({{json .}})
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_parser = report_format(),
        hide_possible_values = true,
        default_value = "text",
        long_help = report_help("text or json", "what JSON has")
    )]
    pub format: ReportFormat,
}

/// `hoist completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Shell to complete for
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}
