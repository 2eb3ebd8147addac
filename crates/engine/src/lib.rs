//! The driver: everything Hoist does with containers, over any backend.
//!
//! [`Engine`] runs, executes, signals, stops and cleans; it is synchronous, and what it does on a
//! platform goes through the traits of [`hoist_compute`]. The backend is chosen in one place,
//! [`platform`](Engine::open). Nothing here knows a namespace or a cgroup.
//!
//! The main path is [`Engine::run_with`]: create, start, attend, finish. A program that shows the container on
//! its own terminal gives [`foreground::attach`] as the part in the middle.

mod engine;
#[cfg(unix)]
pub mod foreground;
mod hooks;
mod inspect;
mod names;
mod oom;
mod platform;
#[cfg(target_os = "linux")]
pub mod supervise;
mod time;

#[cfg(test)]
#[cfg(unix)]
mod fake;

#[cfg(target_os = "linux")]
pub use engine::LaunchOptions;
pub use engine::{
    Container, Ended, Engine, EngineOptions, Listed, Pruned, RunRequest, StopOutcome, StopRequest,
    TERMINATE_LIMIT, Usage, random_id,
};
pub use hooks::{BoxError, Hook, HookContext, Hooks, StartHook};
pub use inspect::{Inspect, InspectConfig, InspectHostConfig, InspectMount, InspectState};
pub use oom::{Oom, OomNotice};
pub use time::{parse_rfc3339, rfc3339};
