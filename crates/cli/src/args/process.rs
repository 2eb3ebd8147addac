//! The arguments of `process` and its commands.

use clap::{Args, Subcommand};

use super::exec::Further;
use super::format::{InspectOptions, ListOptions};
use super::run::Transport;
use crate::format::{ListedProcesses, ListedUsage};

/// `hoist process`.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ProcessGroup {
    #[command(subcommand)]
    pub action: ProcessAction,
}

/// What to do with further processes of containers.
#[derive(Subcommand, Debug)]
pub(crate) enum ProcessAction {
    /// Make a further process for `start`, and print its id
    #[command(override_usage = "hoist process create [OPTIONS] CONTAINER COMMAND [ARG]...")]
    Create(Further),
    /// Start processes that were made
    Start(StartProcess),
    /// List processes
    Ls(LsProcesses),
    /// Show all that is known of processes, as JSON
    Inspect(InspectProcesses),
    /// Attach to the streams of a process that runs in the background
    Attach(AttachProcess),
    /// Give the terminal of a process another size
    Resize(ResizeProcess),
    /// Show what processes use
    Stats(StatsProcesses),
    /// Send a signal to processes
    Kill(KillProcesses),
    /// Ask processes to end, and end by force those that do not, with all they have started
    Stop(StopProcesses),
    /// Wait until processes have ended, and print their exit codes
    Wait(Processes),
    /// Forget processes
    Rm(RmProcesses),
}

/// Processes by their ids.
#[derive(Args, Debug)]
pub(crate) struct Processes {
    /// Ids of processes, or what they begin with
    #[arg(value_name = "PROCESS", required = true)]
    pub processes: Vec<String>,
}

/// `hoist process inspect`.
#[derive(Args, Debug)]
pub(crate) struct InspectProcesses {
    #[command(flatten)]
    pub written: InspectOptions,
    #[command(flatten)]
    pub which: Processes,
}

/// `hoist process start`.
#[derive(Args, Debug)]
pub(crate) struct StartProcess {
    /// Show what the process writes, until it has ended
    #[arg(short, long)]
    pub attach: bool,
    /// The same, and give the process this terminal's or pipe's input, where it was made with --interactive
    #[arg(short, long)]
    pub interactive: bool,
    /// Keys that detach from a process with a terminal (default: ctrl-p,ctrl-q; empty: none)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    #[command(flatten)]
    pub transport: Transport,
    #[command(flatten)]
    pub which: Processes,
}

/// `hoist process ls`.
#[derive(Args, Debug)]
pub(crate) struct LsProcesses {
    /// Show processes that do not run, too
    #[arg(short, long)]
    pub all: bool,
    /// Show ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Cut nothing short
    #[arg(long)]
    pub no_trunc: bool,
    #[command(flatten)]
    pub list: ListOptions<ListedProcesses>,
    /// Container whose processes to list; otherwise those of all
    #[arg(value_name = "CONTAINER")]
    pub container: Option<String>,
}

/// `hoist process attach`.
#[derive(Args, Debug)]
pub(crate) struct AttachProcess {
    /// Send the process no input
    #[arg(long)]
    pub no_stdin: bool,
    /// Keep signals that this command gets from the process
    #[arg(long)]
    pub no_signals: bool,
    /// Keys that detach from a process with a terminal (default: ctrl-p,ctrl-q; empty: none)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Process to attach to
    #[arg(value_name = "PROCESS")]
    pub process: String,
}

/// `hoist process resize`.
#[derive(Args, Debug)]
pub(crate) struct ResizeProcess {
    /// Process whose terminal it is
    #[arg(value_name = "PROCESS")]
    pub process: String,
    /// Its rows
    #[arg(value_name = "ROWS")]
    pub rows: u16,
    /// Its columns
    #[arg(value_name = "COLUMNS")]
    pub columns: u16,
}

/// `hoist process stats`.
#[derive(Args, Debug)]
pub(crate) struct StatsProcesses {
    /// Cut no id short
    #[arg(long)]
    pub no_trunc: bool,
    #[command(flatten)]
    pub list: ListOptions<ListedUsage>,
    /// Processes to show; all that run where none is named
    #[arg(value_name = "PROCESS")]
    pub processes: Vec<String>,
}

/// `hoist process kill`.
#[derive(Args, Debug)]
pub(crate) struct KillProcesses {
    /// Signal to send: a name such as TERM or SIGTERM, or a number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,
    #[command(flatten)]
    pub which: Processes,
}

/// `hoist process stop`.
#[derive(Args, Debug)]
pub(crate) struct StopProcesses {
    /// Seconds to wait before a process is ended by force; otherwise its container's; -1: for ever
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
    #[command(flatten)]
    pub which: Processes,
}

/// `hoist process rm`.
#[derive(Args, Debug)]
pub(crate) struct RmProcesses {
    /// End a process by force where it still runs; one that does not exist is no fault
    #[arg(short, long)]
    pub force: bool,
    #[command(flatten)]
    pub which: Processes,
}
