//! Control groups: where a host mounts them, which files a container's limits are written to, and the cgroup of
//! one container in every hierarchy.
//!
//! [`layout`], [`limits`], [`devices`] and [`device_program`] are pure and work on every OS; the rest is Linux code.
//! Processes are put into a cgroup by the helper, with the descriptors of `Cgroup::join_files`. The files and their values
//! are those of the kernel's `admin-guide/cgroup-v1` and `admin-guide/cgroup-v2`.
//!
//! The cgroup of a container is `<mount point>/hoist/<id>` in every hierarchy. The directory `hoist` is made with the
//! first container and then stays: making and removing ten directories for each container would double the cost of
//! its cgroup, and removing it would race with the next start. It holds no process, no limit and no memory of its own.

#[cfg(target_os = "linux")]
mod detect;
#[cfg(target_os = "linux")]
mod device_bpf;
pub mod device_program;
pub mod devices;
#[cfg(target_os = "linux")]
mod directory;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod freeze;
#[cfg(target_os = "linux")]
mod fs;
#[cfg(target_os = "linux")]
mod kill;
pub mod layout;
#[cfg(target_os = "linux")]
mod leaf;
pub mod limits;
#[cfg(target_os = "linux")]
mod modify;
mod record;
#[cfg(target_os = "linux")]
mod remove;
#[cfg(target_os = "linux")]
mod statistics;
#[cfg(target_os = "linux")]
pub mod usage;

#[cfg(target_os = "linux")]
pub use detect::detect;
pub use device_program::DeviceProgram;
pub use devices::{DevicePolicy, DeviceRule, DeviceType};
#[cfg(target_os = "linux")]
pub use error::CgroupError;
#[cfg(target_os = "linux")]
pub use fs::{Cgroup, JoinFiles};
pub use layout::{Base, Hierarchy, Kind, Layout, Mounted, Unusable, Version};
pub use limits::{DeviceControl, LimitError, Limits, Write, plan_change, plan_limits};
pub use record::{CgroupRecord, DirectoryRecord, Identity};
