//! The user namespace of a container: asked for, or needed because the caller may not do without.

use hoist_spec::oci::{LinuxIdMapping, Spec};
use serde::{Deserialize, Serialize};

use super::PlanError;
use super::constants::namespace;
use super::namespaces::Namespaces;
use crate::features::HostFeatures;
use crate::user::Identity;

/// One line of an id map (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// How a container's ids are mapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// User ids.
    pub users: Vec<IdMapping>,
    /// Group ids.
    pub groups: Vec<IdMapping>,
    /// setgroups(2) must be given up first: the kernel's condition for a map written without rights.
    pub deny_setgroups: bool,
}

impl IdMaps {
    /// The maps of a container; none where it is in the host's user namespace, or in one that it joins.
    pub(crate) fn of(
        oci: &Spec,
        namespaces: &mut Namespaces,
        features: &HostFeatures,
    ) -> Result<Option<Self>, PlanError> {
        let linux = oci.linux().as_ref();
        let users = mappings(linux.and_then(|linux| linux.uid_mappings().as_deref()));
        let groups = mappings(linux.and_then(|linux| linux.gid_mappings().as_deref()));
        if namespaces.has(namespace::USER) {
            if !namespaces.makes(namespace::USER) {
                return Ok(None);
            }
            if users.is_empty() || groups.is_empty() {
                return Err(PlanError::invalid(
                    "id mappings",
                    "",
                    "a new user namespace needs a map of users and one of groups",
                ));
            }
            let deny_setgroups = !features.privileged || features.setgroups_denied;
            return Ok(Some(Self {
                users,
                groups,
                deny_setgroups,
            }));
        }
        if !users.is_empty() || !groups.is_empty() {
            return Err(PlanError::invalid(
                "id mappings",
                "",
                "they need a new user namespace",
            ));
        }
        if features.privileged {
            return Ok(None);
        }
        namespaces.new |= namespace::USER;
        let single = |outside| {
            vec![IdMapping {
                inside: 0,
                outside,
                count: 1,
            }]
        };
        Ok(Some(Self {
            users: single(features.uid),
            groups: single(features.gid),
            deny_setgroups: true,
        }))
    }

    pub(crate) fn maps_user(&self, id: u32) -> bool {
        contains(&self.users, id)
    }

    pub(crate) fn maps_group(&self, id: u32) -> bool {
        contains(&self.groups, id)
    }

    /// Refuses an identity that has no number outside.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), PlanError> {
        let (kind, id) = if !self.maps_user(identity.uid) {
            ("user", identity.uid)
        } else if !self.maps_group(identity.gid) {
            ("group", identity.gid)
        } else {
            return Ok(());
        };
        Err(PlanError::Unsupported {
            what: format!("run as {kind} {id}"),
            reason: format!("the user namespace maps no {kind} {id}; mapped are {}", self.describe(kind)),
            remedy: Some(
                "run as a mapped id (0 is the calling user), or run Hoist as root, which maps every id".to_owned(),
            ),
        })
    }

    fn describe(&self, kind: &str) -> String {
        let mappings = if kind == "user" {
            &self.users
        } else {
            &self.groups
        };
        let ranges = mappings.iter().map(|mapping| match mapping.count {
            1 => mapping.inside.to_string(),
            count => format!(
                "{} to {}",
                mapping.inside,
                mapping.inside.saturating_add(count - 1)
            ),
        });
        ranges.collect::<Vec<_>>().join(", ")
    }
}

fn contains(mappings: &[IdMapping], id: u32) -> bool {
    mappings.iter().any(|mapping| {
        id.checked_sub(mapping.inside)
            .is_some_and(|offset| offset < mapping.count)
    })
}

fn mappings(oci: Option<&[LinuxIdMapping]>) -> Vec<IdMapping> {
    oci.into_iter()
        .flatten()
        .map(|mapping| IdMapping {
            inside: mapping.container_id(),
            outside: mapping.host_id(),
            count: mapping.size(),
        })
        .collect()
}
