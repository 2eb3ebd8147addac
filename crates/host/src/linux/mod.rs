//! On Linux: a keeper for each process.

mod exec;
mod launch;
mod process;
mod record;
mod remains;
mod run;
mod service;
mod system;
mod tree;

pub use service::{HostOptions, HostService};
