//! What a host can do, and why not.

use serde::Serialize;

/// One thing a host can or cannot do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Its name in the platform's own words: `user namespaces`, `cgroup v2`.
    pub name: &'static str,
    /// Whether it can be used here and now, by this user.
    pub available: bool,
    /// What was found: a version or a layout where available, the reason where not.
    pub detail: String,
    /// What would make it available, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What [`ComputeService::features`](crate::ComputeService::features) found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Features {
    /// The backend's name: `linux`, `hcs`, `host`.
    pub backend: &'static str,
    /// Every feature that was looked at, in a fixed order.
    pub features: Vec<Feature>,
}
