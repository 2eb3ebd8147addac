//! The cgroup that a container gets: where it is, its limits, and how the process comes into it.

use std::path::Path;

use hoist_init::wire::Step;
use hoist_spec::ContainerId;
use hoist_spec::oci::{LinuxResources, Spec};

use super::PlanError;
use super::constants::namespace;
use super::namespaces::Namespaces;
use super::program::{Descriptor, Descriptors, Steps, c_string};
use crate::cgroup::DeviceRule;
use crate::cgroup::layout::{Base, Hierarchy, Layout, Unusable, Version};
use crate::cgroup::limits::{DeviceControl, Limits, plan_limits};
use crate::features::{HostFeatures, NO_CGROUP_OF_USER};
use crate::systemd::Unit;

/// The cgroup that a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupPlan {
    pub(crate) base: Base,
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) places: Vec<CgroupPlace>,
    /// The scope that systemd makes it for, where it does.
    pub(crate) unit: Option<Unit>,
}

impl CgroupPlan {
    /// Whether a part of it is in v1 hierarchies.
    pub(crate) fn has_v1(&self) -> bool {
        self.places.iter().any(|place| place.version == Version::V1)
    }

    /// Whether a part of it is made before its process is: in the unified hierarchy, or by systemd.
    pub(crate) fn has_birthplace(&self) -> bool {
        let is_unified = |place: &CgroupPlace| place.version == Version::V2;
        self.unit.is_some() || self.places.iter().any(is_unified)
    }

    /// Its directory in a hierarchy, where it has one there: an ordinary user may have been given no part of it.
    pub(crate) fn part_of(&self, hierarchy: &Hierarchy) -> Option<&str> {
        let directory = hierarchy.directory(self.base, &self.name);
        let is_there = |place: &&CgroupPlace| match hierarchy.version {
            Version::V1 => Path::new(&place.directory) == directory,
            Version::V2 => place.version == Version::V2,
        };
        let place = self.places.iter().find(is_there);
        place.map(|place| place.directory.as_str())
    }

    /// The paths of its directories.
    pub(crate) fn directories(&self) -> Vec<&Path> {
        self.places
            .iter()
            .map(|place| Path::new(&place.directory))
            .collect()
    }
}

/// The directory of a container's cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPlace {
    /// Its path.
    pub directory: String,
    /// The hierarchy's interface.
    pub version: Version,
}

/// The cgroup of a container; none where the caller may make none.
pub(super) fn of(
    id: &ContainerId,
    oci: &Spec,
    features: &HostFeatures,
    namespaces: &Namespaces,
    by_systemd: bool,
) -> Result<Option<CgroupPlan>, PlanError> {
    let linux = oci.linux().as_ref();
    let resources = linux
        .and_then(|linux| linux.resources().clone())
        .unwrap_or_default();
    let in_user_namespace = namespaces.has(namespace::USER) || !features.initial_user_namespace;
    let devices = if in_user_namespace {
        DeviceControl::Leave
    } else {
        DeviceControl::Enforce
    };
    if !features.privileged && by_systemd {
        return Err(PlanError::unsupported(
            "the systemd cgroup driver for an ordinary user",
            "it asks the system's manager, which serves root alone: use the cgroupfs driver",
        ));
    }
    if !features.privileged && features.delegated.hierarchies.is_empty() {
        // No limit is dropped silently: with an empty layout each that is asked for is an error with this reason.
        let nothing = Layout {
            unusable: vec![Unusable {
                controllers: Vec::new(),
                reason: NO_CGROUP_OF_USER.to_owned(),
            }],
            ..Layout::default()
        };
        plan_limits(&resources, &nothing, devices)?;
        return Ok(None);
    }
    let own = features.own_cgroups();
    let limits = plan_limits(&resources, own, devices)?;
    if own.hierarchies.is_empty() {
        return Ok(None);
    }
    let path = linux.and_then(|linux| linux.cgroups_path().as_ref());
    let path = path.map(|path| path.display().to_string());
    let unit = match by_systemd {
        true => Some(unit_of(path.as_deref(), id, &limits, &resources, devices)?),
        false => None,
    };
    let name = match (&unit, path) {
        (Some(unit), _) => unit.path.clone(),
        (None, path) => cgroup_name(id, path.as_deref())?,
    };
    let hierarchies = own.hierarchies.iter();
    // An ordinary user has what was delegated to it: its own cgroup.
    let base = match features.privileged {
        true => Base::Mount,
        false => Base::Own,
    };
    let places = hierarchies
        .map(|hierarchy| CgroupPlace {
            directory: hierarchy.directory(base, &name).display().to_string(),
            version: hierarchy.version,
        })
        .collect();
    Ok(Some(CgroupPlan {
        base,
        name,
        limits,
        places,
        unit,
    }))
}

/// The scope of a container, and all that systemd must know of it.
fn unit_of(
    path: Option<&str>,
    id: &ContainerId,
    limits: &Limits,
    resources: &LinuxResources,
    devices: DeviceControl,
) -> Result<Unit, PlanError> {
    let mut unit = Unit::of(path, id)
        .map_err(|reason| PlanError::invalid("cgroups path", path.unwrap_or_default(), reason))?;
    let rules = match devices {
        DeviceControl::Leave => None,
        DeviceControl::Enforce => Some(DeviceRule::for_container(
            resources.devices().as_deref().unwrap_or_default(),
        )?),
    };
    unit.tell(&limits.writes, rules.as_deref())?;
    Ok(unit)
}

/// The name of a container's cgroup below the base, where systemd does not make it.
pub(crate) fn cgroup_name(id: &ContainerId, path: Option<&str>) -> Result<String, PlanError> {
    match path {
        Some(path) => name_of(path),
        None => Ok(format!("hoist/{id}")),
    }
}

fn name_of(path: &str) -> Result<String, PlanError> {
    let name = path.trim_matches('/');
    if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(PlanError::invalid(
            "cgroups path",
            path,
            "it is no path below the root of a cgroup hierarchy",
        ));
    }
    if path.contains(':') {
        return Err(PlanError::unsupported(
            format!("cgroups path {path}"),
            "it is of the form that the systemd cgroup driver takes: give --systemd-cgroup",
        ));
    }
    Ok(name.to_owned())
}

/// The v1 hierarchies have no birth: the process moves itself, which spares the lock as long as it is alone.
pub(super) fn join(
    steps: &mut Steps,
    descriptors: &mut Descriptors,
    places: &[CgroupPlace],
    born: bool,
) -> Result<(), PlanError> {
    for place in places {
        let descriptor = match place.version {
            Version::V1 => Descriptor::CgroupTasks,
            Version::V2 if born => continue,
            Version::V2 => Descriptor::CgroupProcs,
        };
        let file = descriptors.add(descriptor);
        steps.push(Step::JoinCgroup {
            file,
            path: &c_string("cgroup", &place.directory)?,
        });
    }
    Ok(())
}
