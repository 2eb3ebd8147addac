//! The Hoist contract on Linux: namespaces, cgroups v1 and v2, mounts, overlayfs, capabilities, seccomp.
//!
//! A container is first planned, then started. [`plan`] is pure and builds on every platform, as does what it
//! reads: [`features`], [`root_facts`], [`user`], [`seccomp`], the [`cgroup`] limits. The rest is Linux code: `root`
//! looks at a container's root file system, `execute` carries a plan out by way of the helper program `hoist-init`,
//! `record` keeps what other processes must know, and `service` puts the contract on top.

pub mod cgroup;
pub mod features;
pub mod plan;
pub mod root_facts;
pub mod seccomp;
pub mod systemd;

#[cfg(target_os = "linux")]
mod added_mounts;
#[cfg(target_os = "linux")]
mod checkpoint;
#[cfg(target_os = "linux")]
mod descendants;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod exec;
#[cfg(target_os = "linux")]
mod execute;
#[cfg(all(feature = "fuzzing", target_os = "linux"))]
pub mod fuzzing;
#[cfg(target_os = "linux")]
mod hooks;
#[cfg(target_os = "linux")]
mod host_root;
#[cfg(target_os = "linux")]
mod id_mapped;
#[cfg(target_os = "linux")]
mod intel_rdt;
#[cfg(target_os = "linux")]
mod joined;
#[cfg(target_os = "linux")]
mod making;
#[cfg(target_os = "linux")]
mod net_devices;
#[cfg(target_os = "linux")]
mod network_usage;
#[cfg(target_os = "linux")]
mod oom;
#[cfg(target_os = "linux")]
mod own_root;
#[cfg(target_os = "linux")]
mod own_run;
#[cfg(target_os = "linux")]
mod prefault;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod process_cgroup;
#[cfg(target_os = "linux")]
mod process_tree;
#[cfg(target_os = "linux")]
mod program_pages;
#[cfg(target_os = "linux")]
mod reaper;
#[cfg(target_os = "linux")]
mod record;
#[cfg(target_os = "linux")]
mod recorder;
#[cfg(target_os = "linux")]
mod remains;
mod removal;
#[cfg(target_os = "linux")]
pub mod root;
#[cfg(target_os = "linux")]
mod root_files;
#[cfg(target_os = "linux")]
mod rtnetlink;
#[cfg(target_os = "linux")]
pub mod runtime;
#[cfg(target_os = "linux")]
mod runtime_features;
#[cfg(target_os = "linux")]
mod seccomp_agent;
#[cfg(target_os = "linux")]
mod servers;
#[cfg(target_os = "linux")]
mod service;
#[cfg(target_os = "linux")]
mod start_socket;
#[cfg(target_os = "linux")]
mod system;
#[cfg(target_os = "linux")]
mod waiting;

use hoist_spec::accounts;
pub use hoist_spec::user;

#[cfg(target_os = "linux")]
use hoist_init::owner::{proc_pid, whole_file};
#[cfg(target_os = "linux")]
pub use prefault::prefault;
#[cfg(target_os = "linux")]
pub use program_pages::forget_program_pages;
#[cfg(target_os = "linux")]
pub use service::{LinuxOptions, LinuxService};
