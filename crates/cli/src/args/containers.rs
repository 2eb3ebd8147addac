//! The arguments of the commands that look at containers or end them.

use clap::{Args, ValueEnum};

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
    /// Show ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Cut nothing short
    #[arg(long)]
    pub no_trunc: bool,
    /// How to write the list
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: TableFormat,
}

/// `hoist inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// json is the only format
    #[arg(short, long, value_name = "FORMAT", value_parser = ["json"])]
    pub format: Option<String>,
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
    /// Give the container this terminal's or pipe's input, where it was made with --interactive
    #[arg(short, long, requires = "attach")]
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
    /// Show nothing from before: a time (2026-01-31T12:00:00Z), seconds since 1970, or how long ago (1h30m)
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
    /// Containers to remove
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `hoist info` and `hoist version`.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// How to write the report
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,
}

/// `hoist completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Shell to complete for
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}
