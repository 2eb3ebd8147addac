//! The arguments of the commands on containers' files.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// `hoist cp`.
#[derive(Args, Debug)]
#[command(after_help = "\
SRC and DEST are each a path here or CONTAINER:PATH, and one of them is in a container. With - for SRC a tar archive is \
read from standard input and unpacked in DEST; with - for DEST one is written to standard output. As with cp, a directory \
goes into one that is there, its content alone where SRC ends in /., and becomes one that is not.\n\n\
What is copied belongs to the container's root there, and to the caller here; with --archive, and from an archive, to \
the numbers that it had. Set-id bits are kept in that case only, and devices are made in containers only.")]
pub(crate) struct Cp {
    /// Keep the user and group numbers, and set-id bits
    #[arg(short, long)]
    pub archive: bool,
    /// Follow a symbolic link that SRC is
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Say nothing about success
    #[arg(short, long)]
    pub quiet: bool,
    /// What to copy
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Where to
    #[arg(value_name = "DEST")]
    pub destination: String,
}

/// `hoist diff`.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// How to write the list
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: super::Format,
    /// Container to look at
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `hoist export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Container to export
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}
