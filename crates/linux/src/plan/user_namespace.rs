//! The user namespace of a container: asked for, or needed because the caller may not do without.

use hoist_spec::oci::{LinuxIdMapping, Spec};
use serde::{Deserialize, Serialize};

use super::PlanError;
use super::constants::namespace;
use super::namespaces::Namespaces;
use crate::features::{HostFeatures, IdRange};
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
            let mut maps = Self {
                users,
                groups,
                deny_setgroups: features.setgroups_denied,
            };
            if !features.privileged {
                maps.deny_setgroups |= maps.is_own_ids(features.uid, features.gid);
                maps.refuse_without_helpers(features)?;
            }
            return Ok(Some(maps));
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
        let own = |outside, lent: &[IdRange]| {
            let mut inside = 1;
            let mut maps = vec![IdMapping {
                inside: 0,
                outside,
                count: 1,
            }];
            for range in lent {
                // More ids than there are numbers are not used.
                let count = range.count.min(u32::MAX - 1 - inside);
                maps.push(IdMapping {
                    inside,
                    outside: range.first,
                    count,
                });
                inside += count;
            }
            maps
        };
        let (users, groups) = match &features.sub_ids {
            Some(lent) => (lent.users.as_slice(), lent.groups.as_slice()),
            None => (&[][..], &[][..]),
        };
        Ok(Some(Self {
            users: own(features.uid, users),
            groups: own(features.gid, groups),
            deny_setgroups: features.sub_ids.is_none() || features.setgroups_denied,
        }))
    }

    /// Whether nothing is mapped but one id of each kind, the caller's own: those the kernel lets everybody map.
    pub(crate) fn is_own_ids(&self, uid: u32, gid: u32) -> bool {
        let is_one = |mappings: &[IdMapping], id| matches!(mappings, [one] if one.outside == id && one.count == 1);
        is_one(&self.users, uid) && is_one(&self.groups, gid)
    }

    fn refuse_without_helpers(&self, features: &HostFeatures) -> Result<(), PlanError> {
        if self.is_own_ids(features.uid, features.gid) || features.sub_ids.is_some() {
            return Ok(());
        }
        Err(PlanError::Unsupported {
            what: "map other ids than one's own".to_owned(),
            reason: "an ordinary user needs newuidmap, newgidmap and ids that /etc/subuid and /etc/subgid lend".to_owned(),
            remedy: Some("see what `hoist info` says of sub-ids, or run Hoist as root".to_owned()),
        })
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
                "run as a mapped id (0 is the calling user); `hoist info` says how to have more (sub-ids); or run Hoist as root, which maps every id".to_owned(),
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

pub(super) fn mappings(oci: Option<&[LinuxIdMapping]>) -> Vec<IdMapping> {
    oci.into_iter()
        .flatten()
        .map(|mapping| IdMapping {
            inside: mapping.container_id(),
            outside: mapping.host_id(),
            count: mapping.size(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{KernelVersion, SubIds};

    fn features(sub_ids: Option<SubIds>) -> HostFeatures {
        HostFeatures {
            uid: 1000,
            gid: 1001,
            privileged: false,
            sub_ids,
            ..HostFeatures::assume(KernelVersion::OLDEST)
        }
    }

    fn lent() -> SubIds {
        let range = |first, count| IdRange { first, count };
        SubIds {
            users: vec![range(100_000, 65536), range(300_000, 10)],
            groups: vec![range(200_000, 65536)],
        }
    }

    fn mapping(inside: u32, outside: u32, count: u32) -> IdMapping {
        IdMapping {
            inside,
            outside,
            count,
        }
    }

    #[test]
    fn a_user_is_root_inside_and_what_is_lent_comes_behind() {
        let mut namespaces = Namespaces::default();
        let maps = IdMaps::of(&Spec::default(), &mut namespaces, &features(Some(lent())));
        let maps = maps.unwrap().unwrap();
        assert!(namespaces.makes(namespace::USER));
        assert_eq!(
            maps.users,
            [
                mapping(0, 1000, 1),
                mapping(1, 100_000, 65536),
                mapping(65537, 300_000, 10)
            ]
        );
        assert_eq!(
            maps.groups,
            [mapping(0, 1001, 1), mapping(1, 200_000, 65536)]
        );
        assert!(!maps.deny_setgroups);
    }

    #[test]
    fn a_user_to_whom_nothing_is_lent_has_one_id_and_gives_up_setgroups() {
        let mut namespaces = Namespaces::default();
        let maps = IdMaps::of(&Spec::default(), &mut namespaces, &features(None));
        let maps = maps.unwrap().unwrap();
        assert_eq!(maps.users, [mapping(0, 1000, 1)]);
        assert!(maps.deny_setgroups && maps.is_own_ids(1000, 1001));
    }
}
