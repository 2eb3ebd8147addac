//! The arguments of `mount` and `volume`.

use clap::{Args, Subcommand};

use super::format::ListOptions;
use crate::format::ListedVolumes;

/// `hoist mount`.
#[derive(Args, Debug)]
pub(crate) struct MountCommand {
    #[command(subcommand)]
    pub action: MountAction,
}

/// What to do with mounts.
#[derive(Subcommand, Debug)]
pub(crate) enum MountAction {
    /// Mount directories of this machine and tmpfs in a running container
    Add(MountAdd),
    /// Take mounts away that were added to a running container
    Rm(MountRm),
}

/// `hoist mount add`.
#[derive(Args, Debug)]
#[command(
    after_help = "The target is made where it is missing. Mounts last until the container ends or they are removed."
)]
pub(crate) struct MountAdd {
    /// Bind mount: SOURCE:TARGET[:OPTIONS]
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]")]
    pub volume: Vec<String>,
    /// Mount: type=bind|tmpfs,source=…,target=…[,readonly,…]
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub mount: Vec<String>,
    /// Temporary file system: TARGET[:OPTIONS]
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Container that gets them
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `hoist mount rm`.
#[derive(Args, Debug)]
pub(crate) struct MountRm {
    /// Container that has them
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Where they were mounted
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
}

/// `hoist volume`.
#[derive(Args, Debug)]
pub(crate) struct VolumeCommand {
    #[command(subcommand)]
    pub action: VolumeAction,
}

/// What to do with volumes.
#[derive(Subcommand, Debug)]
pub(crate) enum VolumeAction {
    /// Make a volume, and print its name
    Create(VolumeCreate),
    /// Show all that is known of volumes, as JSON
    Inspect(VolumeNames),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(VolumeLs),
    /// Remove all volumes that no container uses
    Prune(VolumePrune),
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm(VolumeRm),
}

/// `hoist volume create`.
#[derive(Args, Debug)]
pub(crate) struct VolumeCreate {
    /// Note something of it
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub label: Vec<String>,
    /// Its name; otherwise one that nobody has
    #[arg(value_name = "VOLUME")]
    pub name: Option<String>,
}

/// `hoist volume inspect`.
#[derive(Args, Debug)]
pub(crate) struct VolumeNames {
    /// Volumes to show
    #[arg(value_name = "VOLUME", required = true)]
    pub names: Vec<String>,
}

/// `hoist volume rm`.
#[derive(Args, Debug)]
pub(crate) struct VolumeRm {
    /// Say nothing of volumes that are not there
    #[arg(short, long)]
    pub force: bool,
    /// Volumes to remove
    #[arg(value_name = "VOLUME", required = true)]
    pub names: Vec<String>,
}

/// `hoist volume ls`.
#[derive(Args, Debug)]
pub(crate) struct VolumeLs {
    /// Show those only of which this holds: name=TEXT, label=KEY[=VALUE], driver=local, dangling=true|false (used by no container)
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Show names alone
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub list: ListOptions<ListedVolumes>,
}

/// `hoist volume prune`.
#[derive(Args, Debug)]
pub(crate) struct VolumePrune {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}
