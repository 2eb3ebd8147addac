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
//!
//! On Windows each container has a job object, which its first process keeps (`windows`).

#[cfg(target_os = "linux")]
mod linux;
pub mod plan;
#[cfg(any(target_os = "linux", windows))]
mod refused;

#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub use linux::{HostOptions, HostService};
#[cfg(windows)]
pub use windows::{HostOptions, HostService};

/// What would be done to start a container on Linux from `spec`. On another system users and groups are known by number alone.
///
/// # Errors
/// As [`plan::linux::plan`].
pub fn plan_on_linux(spec: &hoist_spec::ContainerSpec) -> hoist_compute::Result<plan::linux::Plan> {
    #[cfg(target_os = "linux")]
    return HostService::new(std::path::PathBuf::new()).plan(spec);
    #[cfg(not(target_os = "linux"))]
    plan::linux::plan(spec, &plan::linux::Facts::default())
}

/// What would be done to start a container on Windows from `spec`. On another system no variable of that machine is known, and its
/// processors are taken for as many as are here.
///
/// # Errors
/// As [`plan::windows::plan`].
pub fn plan_on_windows(
    spec: &hoist_spec::ContainerSpec,
) -> hoist_compute::Result<plan::windows::Plan> {
    let mut facts = plan::windows::Facts::here();
    if !cfg!(windows) {
        facts.variables.clear();
    }
    plan::windows::plan(spec, &facts)
}
