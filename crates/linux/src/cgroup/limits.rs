//! From the resources of an OCI spec to the files of a layout: which value is written where, in which order.
//!
//! Pure. A limit whose controller the host does not offer is an error that names it: it is never left out silently.
//! "Unlimited" is what a new cgroup has anyway: for a new container it writes nothing and needs no controller.
//! Zero means "not set", as docker and runc have it. `memory.kernel` and `memory.useHierarchy` are ignored: kernels
//! since 5.4 and 5.11 have only one behaviour.

use std::{borrow::Cow, collections::BTreeMap};

use hoist_spec::oci::LinuxResources;
use serde::Serialize;

use super::{
    devices::DeviceRule,
    layout::{Layout, Version},
};

mod block_io;
mod check;
mod counted;
mod cpu;
mod devices;
mod memory;

pub use check::Check;
pub(crate) use check::{agrees, undo};

/// Why a limit cannot be planned. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The host does not offer the controller.
    #[error("set {what}: the cgroup controller {controller} is not available: {reason}")]
    MissingController {
        /// What was asked for.
        what: &'static str,
        /// The controller, by the name it has on this host's cgroup version.
        controller: String,
        /// Why it is not there.
        reason: String,
    },
    /// The value makes no sense.
    #[error("{what} {value}: {reason}")]
    Invalid {
        /// What was asked for.
        what: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This host's cgroup version has no such limit.
    #[error("set {what} to {value}: {reason}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// The value.
        value: String,
        /// Why it cannot be had.
        reason: String,
    },
}

/// One value to write to one file of a container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Write {
    /// The index of the hierarchy in [`Layout::hierarchies`].
    pub hierarchy: usize,
    /// The controller.
    pub controller: &'static str,
    /// What it limits, in words.
    pub what: &'static str,
    /// The file.
    pub file: Cow<'static, str>,
    /// The value.
    pub value: String,
    /// How it is checked.
    pub check: Check,
    /// File and value where the kernel has not the first file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<(Cow<'static, str>, String)>,
}

impl Write {
    /// The step in words: `set memory limit: memory.limit_in_bytes = 536870912`.
    pub fn words(&self) -> String {
        let verb = if self.controller == "devices" {
            ""
        } else {
            "set "
        };
        format!("{verb}{}: {} = {}", self.what, self.file, self.value)
    }
}

/// What is to be done for a container's resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// The values to write, in order, after the cgroup was made and before a process is in it.
    pub writes: Vec<Write>,
    /// Controllers of the unified hierarchy that the writes need: they must be in `cgroup.subtree_control` of every
    /// ancestor.
    pub required: Vec<String>,
    /// Controllers of the unified hierarchy that no write needs and that account for what the container uses:
    /// enabled where that is allowed.
    pub accounting: Vec<String>,
    /// Where devices are governed by the unified hierarchy: the rules of the program to attach to the cgroup
    /// ([`DeviceProgram`](super::DeviceProgram)).
    pub device_program: Option<Vec<DeviceRule>>,
}

/// Whether a cgroup governs a container's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceControl {
    /// It does; a host where it cannot is an error.
    Enforce,
    /// It does not: in a user namespace the kernel itself allows neither mknod(2) nor nodes of others.
    Leave,
}

/// Plans the limits of a container that is to be made.
///
/// # Errors
///
/// See [`LimitError`]. All of `resources` is looked at, and the first fault is returned.
pub fn plan_limits(
    resources: &LinuxResources,
    layout: &Layout,
    devices: DeviceControl,
) -> Result<Limits, LimitError> {
    let mut planner = Planner::new(layout, None);
    if devices == DeviceControl::Enforce {
        planner.devices(resources.devices().as_deref().unwrap_or_default())?;
    }
    planner.resources(resources)?;
    planner.plan.accounting = planner.accounting();
    Ok(planner.plan)
}

/// What a file of a container's cgroup holds now: by the index of its hierarchy and its name.
pub type Current<'a> = &'a dyn Fn(usize, &str) -> Option<String>;

/// Plans a change of the limits of a container that runs, in an order that the kernel accepts at every step. `layout` has
/// the hierarchies that the container is in.
///
/// # Errors
///
/// As [`plan_limits`]; and device rules are refused: they are fixed when a container is made.
pub fn plan_change(
    resources: &LinuxResources,
    layout: &Layout,
    current: Current<'_>,
) -> Result<Vec<Write>, LimitError> {
    refuse_device_rules(resources)?;
    let mut planner = Planner::new(layout, Some(current));
    planner.resources(resources)?;
    Ok(planner.plan.writes)
}

/// The error of a change that has device rules.
pub(crate) fn refuse_device_rules(changed: &LinuxResources) -> Result<(), LimitError> {
    match changed.devices().as_deref().unwrap_or_default() {
        [] => Ok(()),
        _ => Err(LimitError::Unsupported {
            what: "device rules",
            value: "other rules".to_owned(),
            reason: "they are fixed when a container is made".to_owned(),
        }),
    }
}

/// A controller and where it is.
#[derive(Clone, Copy)]
struct At {
    hierarchy: usize,
    version: Version,
    controller: &'static str,
}

struct Planner<'a> {
    layout: &'a Layout,
    current: Option<Current<'a>>,
    plan: Limits,
}

/// The largest page size of any architecture: memory limits are rounded down to a page.
const PAGE: Check = Check::Bytes(64 << 10);

impl<'a> Planner<'a> {
    fn new(layout: &'a Layout, current: Option<Current<'a>>) -> Self {
        Self {
            layout,
            current,
            plan: Limits::default(),
        }
    }

    fn resources(&mut self, resources: &LinuxResources) -> Result<(), LimitError> {
        if let Some(memory) = resources.memory() {
            self.memory(memory)?;
        }
        if let Some(cpu) = resources.cpu() {
            self.cpu(cpu)?;
        }
        if let Some(pids) = resources.pids() {
            self.pids(pids)?;
        }
        if let Some(io) = resources.block_io() {
            self.block_io(io)?;
        }
        for limit in resources.hugepage_limits().iter().flatten() {
            self.huge_pages(limit)?;
        }
        if let Some(network) = resources.network() {
            self.network(network)?;
        }
        // The order of a hash table would make two plans of one spec differ.
        for (device, limit) in resources
            .rdma()
            .iter()
            .flatten()
            .collect::<BTreeMap<_, _>>()
        {
            self.rdma(device, limit)?;
        }
        for (key, value) in resources
            .unified()
            .iter()
            .flatten()
            .collect::<BTreeMap<_, _>>()
        {
            self.unified(key, value)?;
        }
        Ok(())
    }

    fn is_new(&self) -> bool {
        self.current.is_none()
    }

    fn now(&self, at: At, file: &str) -> Option<String> {
        self.current.and_then(|read| read(at.hierarchy, file))
    }

    /// Where the controller is that is called `v1` or `v2`.
    fn locate(
        &mut self,
        what: &'static str,
        v1: &'static str,
        v2: &'static str,
    ) -> Result<At, LimitError> {
        let hierarchy =
            self.layout
                .find(v1, v2)
                .map_err(|reason| LimitError::MissingController {
                    what,
                    controller: if self.layout.unified() == Some(0) {
                        v2
                    } else {
                        v1
                    }
                    .to_owned(),
                    reason,
                })?;
        let version = self.layout.hierarchies[hierarchy].version;
        let controller = match version {
            Version::V1 => v1,
            Version::V2 => {
                if !self.plan.required.iter().any(|required| required == v2) {
                    self.plan.required.push(v2.to_owned());
                }
                v2
            }
        };
        Ok(At {
            hierarchy,
            version,
            controller,
        })
    }

    fn write(
        &mut self,
        at: At,
        what: &'static str,
        file: impl Into<Cow<'static, str>>,
        value: impl ToString,
        check: Check,
    ) -> &mut Write {
        let writes = &mut self.plan.writes;
        writes.push(Write {
            hierarchy: at.hierarchy,
            controller: at.controller,
            what,
            file: file.into(),
            value: value.to_string(),
            check,
            instead: None,
        });
        // Just pushed.
        let last = writes.len() - 1;
        &mut writes[last]
    }

    fn v1_only(
        &mut self,
        what: &'static str,
        controller: &'static str,
        value: impl ToString,
    ) -> Result<At, LimitError> {
        let at = self.locate(what, controller, controller)?;
        match at.version {
            Version::V1 => Ok(at),
            Version::V2 => Err(LimitError::Unsupported {
                what,
                value: value.to_string(),
                reason: "cgroup v2 has no such setting".to_owned(),
            }),
        }
    }

    /// Leaves out what a new cgroup has anyway.
    fn wanted(&self, bound: Option<Bound>) -> Option<Bound> {
        bound.filter(|bound| *bound != Bound::None || !self.is_new())
    }

    fn accounting(&self) -> Vec<String> {
        let Some(unified) = self.layout.unified() else {
            return Vec::new();
        };
        ["cpu", "memory", "pids"]
            .into_iter()
            .filter(|name| {
                self.layout.hierarchies[unified]
                    .controllers
                    .iter()
                    .any(|offered| offered == name)
                    && !self.plan.required.iter().any(|required| required == name)
            })
            .map(str::to_owned)
            .collect()
    }
}

/// A limit: a number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    At(u64),
    None,
}

impl Bound {
    fn of(what: &'static str, value: Option<i64>) -> Result<Option<Self>, LimitError> {
        Ok(match value {
            None | Some(0) => None,
            Some(-1) => Some(Self::None),
            Some(value) => Some(Self::At(u64::try_from(value).map_err(|_| {
                invalid(what, value, "it is a positive number, or -1 for unlimited")
            })?)),
        })
    }

    fn text(self, unlimited: &str) -> String {
        match self {
            Self::At(value) => value.to_string(),
            Self::None => unlimited.to_owned(),
        }
    }
}

fn invalid(what: &'static str, value: impl ToString, reason: &str) -> LimitError {
    LimitError::Invalid {
        what,
        value: value.to_string(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
