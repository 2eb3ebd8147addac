//! The one place that chooses the backend.

#[cfg(target_os = "linux")]
#[path = "platform/linux.rs"]
mod chosen;
#[cfg(windows)]
#[path = "platform/windows.rs"]
mod chosen;
#[cfg(not(any(target_os = "linux", windows)))]
#[path = "platform/unsupported.rs"]
mod chosen;

#[cfg(any(target_os = "linux", windows))]
mod backends;

#[cfg(target_os = "linux")]
pub(crate) use chosen::private_directory;
pub(crate) use chosen::{default_data_root, default_state_root, is_linked, random, service};

/// How the caller looks after what it starts, see [`EngineOptions`](crate::EngineOptions).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ownership {
    pub(crate) waits_for_each: bool,
    pub(crate) takes_containers_along: bool,
    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "always so"))]
    pub(crate) force_kill: bool,
}
