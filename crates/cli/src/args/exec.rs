//! The arguments of `exec`, and those that it shares with `process create`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::run::Transport;

/// `hoist exec`.
#[derive(Args, Debug)]
#[command(override_usage = "hoist exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
pub(crate) struct Exec {
    /// Run the command in the background, and print the id by which `hoist process` knows it
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub transport: Transport,
    #[command(flatten)]
    pub further: Further,
}

/// A further process of a container.
#[derive(Args, Debug, Default)]
pub(crate) struct Further {
    /// Give the command this terminal's or pipe's input; in the background, that of those who attach
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal of its own
    #[arg(short, long)]
    pub tty: bool,
    /// Set an environment variable; a name alone takes the value from the caller's environment
    #[arg(short, long, value_name = "NAME[=VALUE]", allow_hyphen_values = true)]
    pub env: Vec<String>,
    /// Read environment variables from FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Vec<PathBuf>,
    /// Directory in the container to begin in; otherwise the container's own
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User, and group, to run as; otherwise the container's own
    #[arg(short, long, value_name = "USER[:GROUP]", allow_hyphen_values = true)]
    pub user: Option<String>,
    /// End the command and all it has started after so many seconds (1.5); the exit code is then 124
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<String>,
    /// Limit of memory of the command and all it starts, within the container's
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Limit of processor time of the command and all it starts
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<String>,
    /// Limit of processes and threads of the command and all it starts
    #[arg(long, value_name = "NUMBER")]
    pub pids_limit: Option<String>,
    /// Take DIR of this machine, read-only, as the command's root, so that one's own tools are there; the container's root is at
    /// /container in it, or at /mnt. Also for a container that has ended
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub with_root: Option<PathBuf>,
    /// Container, then the program to run in it and its arguments
    #[arg(value_name = "CONTAINER COMMAND", num_args = 1.., required = true, trailing_var_arg = true)]
    pub words: Vec<String>,
}
