//! The driver: everything Hoist does with containers, over any backend.
//!
//! [`Engine`] runs, executes, signals, stops and cleans; it is synchronous, and what it does on a
//! platform goes through the traits of [`hoist_compute`]. The backend is chosen in one place,
//! [`platform`](Engine::open). Nothing here knows a namespace or a cgroup.
//!
//! The main path is [`Engine::run_with`]: create, start, attend, finish. A program that shows the container on
//! its own terminal gives [`foreground::attach`] as the part in the middle.
//!
//! Run a program of this machine and read what it says, in a container that sees nothing else of this machine's:
//!
//! ```
//! use std::io::Read;
//!
//! use hoist::{Engine, EngineOptions, Hooks, RunRequest, random_id};
//! use hoist_compute::Stdio;
//! use hoist_spec::{Command, ProcessConfig};
//!
//! # #[cfg(target_os = "linux")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let state_root = tempfile::tempdir()?;
//! let engine = Engine::open(EngineOptions {
//!     state_root: Some(state_root.path().to_owned()),
//!     ..EngineOptions::default()
//! })?;
//! # let features = engine.features().features;
//! # let has = |name: &str| features.iter().any(|feature| feature.name == name && feature.available);
//! # if !(has("pid namespaces") && has("overlayfs") && has("procfs")) {
//! #     eprintln!("no container can be made here: nothing is shown");
//! #     return Ok(());
//! # }
//! let id = random_id()?;
//! let command = Command::new()
//!     .id(id.as_str())
//!     .process(ProcessConfig::new("echo").argument("hello"));
//! let request = RunRequest { id, name: None, spec: command.to_container_spec()?, remove: true };
//!
//! let mut said = String::new();
//! let status = engine.run_with(&request, Stdio::pipes(), &mut Hooks::default(), |process| {
//!     let mut streams = process.take_streams();
//!     drop(streams.stdin.take());
//!     if let Some(stdout) = &mut streams.stdout {
//!         // It may say what is no text; how it ended counts all the same.
//!         let _ = stdout.read_to_string(&mut said);
//!     }
//!     process.wait(None)
//! })?;
//! assert_eq!((said.as_str(), status.code), ("hello\n", Some(0)));
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! An engine may be called from any number of threads, and by tasks of an async runtime on its pool for calls that wait
//! (`examples/tasks.rs` does both). It never forks the caller: whatever other threads hold, and however large the program is, a
//! start takes what it takes, and the caller's directory, mask, signals and environment are left alone.
//!
//! Another process with the same state root sees the same containers, runs further processes in them, stops them and
//! cleans up after them. Looking needs no privileges:
//!
//! ```
//! use hoist::{Engine, EngineOptions};
//! use hoist_compute::ErrorKind;
//!
//! # #[cfg(target_os = "linux")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let state_root = tempfile::tempdir()?;
//! let engine = Engine::open(EngineOptions {
//!     state_root: Some(state_root.path().to_owned()),
//!     ..EngineOptions::default()
//! })?;
//! assert!(engine.list(true)?.is_empty());
//! let nobody = engine.summary(&"web01".parse()?).unwrap_err();
//! assert_eq!(nobody.kind(), ErrorKind::NotFound);
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```

mod engine;
#[cfg(any(unix, windows))]
pub mod foreground;
#[cfg(all(feature = "fuzzing", target_os = "linux"))]
pub mod fuzzing;
mod hooks;
mod inspect;
#[cfg(target_os = "linux")]
mod local_files;
mod names;
mod oom;
mod platform;
#[cfg(target_os = "linux")]
pub mod supervise;
mod time;
#[cfg(target_os = "linux")]
mod unkillable;
mod volumes;

#[cfg(test)]
#[cfg(unix)]
mod fake;

#[cfg(target_os = "linux")]
pub use engine::LaunchOptions;
pub use engine::{
    Container, Ended, Engine, EngineOptions, ExecRef, Listed, ListedExec, Listing, Pruned,
    RunRequest, StopOutcome, StopRequest, TERMINATE_LIMIT, Usage, random_id,
};
pub use hooks::{BoxError, Hook, HookContext, Hooks, StartHook};
pub use inspect::{
    Inspect, InspectConfig, InspectHostConfig, InspectLogConfig, InspectMount,
    InspectRestartPolicy, InspectState, InspectUlimit,
};
#[cfg(target_os = "linux")]
pub use local_files::LocalFiles;
pub use oom::{Oom, OomNotice};
pub use time::{parse_rfc3339, rfc3339};
pub use volumes::{PrunedVolumes, Volume, Volumes};
