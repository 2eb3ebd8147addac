//! The Hoist contract without isolation: a container here is a plain process of this machine with all that it starts.
//!
//! Nothing is kept apart: files, network, users and other processes are this machine's. What remains of the contract is whole: states,
//! streams and consoles, signals, execs, exit statuses that whoever asks gets, and an end by force that nothing escapes. A spec that
//! asks for anything that needs isolation is refused, with every such wish named ([`plan`]).
//!
//! On Linux each process has a *keeper* (`hoist_init`, step `Keep`): a child subreaper (prctl(2)) of its own, which is its parent
//! and becomes the parent of all that it leaves behind, whatever sessions or groups that makes for itself. Why so:
//!
//! - The caller cannot be the subreaper: that is a property of its whole process, and would give it orphans that it has never heard of.
//! - A process group or session alone is left by one call of setsid(2); a cgroup needs a delegated one, which an ordinary user rarely has.
//! - The keeper is the sealed helper that the repository has already: started without a copy of the caller's memory, alone in its own.
//!   It belongs to nobody but init, outlives its owner, and writes the exit status down itself: that is not lost with the owner.
//!
//! A pause stops processes by `SIGSTOP`: a few system calls then fail with `EINTR` (signal(7)), which no freezer would have them do.
//!
//! A keeper that is killed by force takes its first process along, and no other; a program with more rights than its keeper (set-uid) is
//! not ended by it. Both are limits of a process without isolation.

#[cfg(target_os = "linux")]
mod exec;
#[cfg(target_os = "linux")]
mod launch;
pub mod plan;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod record;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod service;
#[cfg(target_os = "linux")]
mod system;
#[cfg(target_os = "linux")]
mod tree;

#[cfg(target_os = "linux")]
pub use service::{HostOptions, HostService, plan_here};

/// What would be done to start a container on Linux from `spec`; users and groups are known by number alone here.
///
/// # Errors
/// As [`plan::plan`].
#[cfg(not(target_os = "linux"))]
pub fn plan_here(spec: &hoist_spec::ContainerSpec) -> hoist_compute::Result<plan::Plan> {
    plan::plan(spec, &plan::Facts::default())
}
