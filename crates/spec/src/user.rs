//! Which user, groups and home a process gets: docker's rules for `user[:group]`, and OCI's numbers.
//!
//! Pure: the lines of the container's own `/etc/passwd` and `/etc/group` come in.
//! A text of digits is always a number, whatever the image calls its users (CVE-2016-3697); an id is at
//! most 2³²−2 and never wraps (CVE-2024-40635); the primary group is always among the supplementary ones
//! (CVE-2022-36109).

use oci_spec::runtime as oci;
use serde::{Deserialize, Serialize};

use crate::accounts::{GroupEntry, LARGEST_ID, PasswdEntry};

/// `NGROUPS_MAX` of linux/limits.h.
const MOST_GROUPS: usize = 65536;

/// The identity of a process in its container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User id, at most 2³²−2.
    pub uid: u32,
    /// Primary group id, at most 2³²−2.
    pub gid: u32,
    /// Supplementary group ids in ascending order, the primary one included.
    pub groups: Vec<u32>,
    /// The home directory that `/etc/passwd` gives the user; `/` where it gives none.
    pub home: String,
    /// The user's name in `/etc/passwd`, where it has one.
    pub name: Option<String>,
}

/// A user or group that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The name is not in the container's `/etc/passwd`.
    #[error("unable to find user {0}: no matching entries in the container's /etc/passwd")]
    UnknownUser(String),
    /// The name is not in the container's `/etc/group`.
    #[error("unable to find group {0}: no matching entries in the container's /etc/group")]
    UnknownGroup(String),
    /// The number means no user or group.
    #[error("id {0} is out of range: user and group ids are 0 to {LARGEST_ID}")]
    OutOfRange(String),
    /// The kernel's limit of 65536 supplementary groups (setgroups(2)).
    #[error("{0} supplementary groups are more than the {MOST_GROUPS} that the kernel takes")]
    TooManyGroups(usize),
}

/// A user or group as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// By number.
    Id(u32),
    /// By name.
    Name(&'a str),
}

impl<'a> Principal<'a> {
    fn parse(text: &'a str) -> Result<Self, UserError> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text));
        }
        match text.parse() {
            Ok(id) if id <= LARGEST_ID => Ok(Self::Id(id)),
            _ => Err(UserError::OutOfRange(text.to_owned())),
        }
    }

    fn is(&self, name: &str, id: u32) -> bool {
        match self {
            Self::Id(wanted) => *wanted == id,
            Self::Name(wanted) => *wanted == name,
        }
    }
}

/// What `user[:group]` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRequest<'a> {
    user: Principal<'a>,
    group: Option<Principal<'a>>,
}

impl<'a> UserRequest<'a> {
    /// Reads `user[:group]`; an empty user is 0, an empty group is none.
    pub fn parse(text: &'a str) -> Result<Self, UserError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        Ok(Self {
            user: match user {
                "" => Principal::Id(0),
                user => Principal::parse(user)?,
            },
            group: group
                .filter(|group| !group.is_empty())
                .map(Principal::parse)
                .transpose()?,
        })
    }

    /// Of what `spec` asks for: the text where there is one, else OCI's numbers.
    pub fn of(user: Option<&'a str>, oci: &oci::User) -> Result<Self, UserError> {
        match user {
            Some(text) => Self::parse(text),
            None => Ok(Self {
                user: Principal::Id(in_range(oci.uid())?),
                group: Some(Principal::Id(in_range(oci.gid())?)),
            }),
        }
    }

    /// Whether this line tells of the user.
    pub fn is_user(&self, entry: &PasswdEntry) -> bool {
        self.user.is(&entry.name, entry.uid)
    }

    /// Whether this line tells of the group, or makes the user (found as `name`) a member of another one.
    pub fn is_group(&self, entry: &GroupEntry, name: Option<&str>) -> bool {
        match &self.group {
            Some(group) => group.is(&entry.name, entry.gid),
            None => name.is_some_and(|name| entry.members.iter().any(|member| member == name)),
        }
    }

    /// Whether `/etc/passwd` is needed to know the ids. For the home it is wanted all the same.
    pub fn needs_passwd(&self) -> bool {
        matches!(self.user, Principal::Name(_)) || self.group.is_none()
    }

    /// Whether `/etc/group` is needed, where the user was found in `/etc/passwd` or not.
    pub fn needs_group(&self, found: bool) -> bool {
        match self.group {
            Some(Principal::Name(_)) => true,
            Some(Principal::Id(_)) => false,
            None => found,
        }
    }
}

/// Finds the identity that `user` (`user[:group]`) asks for, or without it the numbers of `oci`.
///
/// As docker does: the first matching line wins; a number needs no line, and its primary group is then 0;
/// without an explicit group the user's primary group is that of its line, and every group that lists it is
/// supplementary. OCI's `additionalGids` are supplementary where its numbers are used.
pub fn resolve(
    user: Option<&str>,
    oci: &oci::User,
    passwd: &[PasswdEntry],
    group: &[GroupEntry],
) -> Result<Identity, UserError> {
    let request = UserRequest::of(user, oci)?;
    let entry = passwd.iter().find(|entry| request.is_user(entry));
    let name = entry.map(|entry| entry.name.as_str());
    let uid = match (entry, &request.user) {
        (Some(entry), _) => entry.uid,
        (None, Principal::Id(uid)) => *uid,
        (None, Principal::Name(name)) => return Err(UserError::UnknownUser((*name).to_owned())),
    };
    let mut matching = group
        .iter()
        .filter(|entry| request.is_group(entry, name))
        .map(|entry| entry.gid);
    let (gid, memberships) = match &request.group {
        None => (entry.map_or(0, |entry| entry.gid), matching.collect()),
        Some(Principal::Id(gid)) => (*gid, Vec::new()),
        Some(Principal::Name(name)) => (
            matching
                .next()
                .ok_or_else(|| UserError::UnknownGroup((*name).to_owned()))?,
            Vec::new(),
        ),
    };
    let mut groups = memberships;
    groups.push(in_range(gid)?);
    // They belong to the numbers beside them, which a user by name takes the place of.
    let additional = oci.additional_gids().as_deref().filter(|_| user.is_none());
    for gid in additional.into_iter().flatten() {
        groups.push(in_range(*gid)?);
    }
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > MOST_GROUPS {
        return Err(UserError::TooManyGroups(groups.len()));
    }
    Ok(Identity {
        uid: in_range(uid)?,
        gid,
        groups,
        home: entry
            .map(|entry| entry.home.as_str())
            .filter(|home| !home.is_empty())
            .unwrap_or("/")
            .to_owned(),
        name: name.map(str::to_owned),
    })
}

/// Adds further groups, each a number or a name, to those that an identity has.
pub fn add_groups(
    identity: &mut Identity,
    groups: &[String],
    known: &[GroupEntry],
) -> Result<(), UserError> {
    for group in groups {
        identity.groups.push(match Principal::parse(group)? {
            Principal::Id(gid) => gid,
            Principal::Name(name) => known
                .iter()
                .find(|entry| entry.name == name)
                .map(|entry| entry.gid)
                .ok_or_else(|| UserError::UnknownGroup(name.to_owned()))?,
        });
    }
    identity.groups.sort_unstable();
    identity.groups.dedup();
    match identity.groups.len() {
        count if count > MOST_GROUPS => Err(UserError::TooManyGroups(count)),
        _ => Ok(()),
    }
}

/// Whether a group is asked for by its name, which `/etc/group` must tell.
pub fn is_group_name(group: &str) -> bool {
    matches!(Principal::parse(group), Ok(Principal::Name(_)))
}

fn in_range(id: u32) -> Result<u32, UserError> {
    if id <= LARGEST_ID {
        Ok(id)
    } else {
        Err(UserError::OutOfRange(id.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        www:x:33:33::/var/www:/bin/false\n\
        1000:x:5:6::/home/numeric:/bin/sh\n\
        www:x:34:34::/second:/bin/sh\n\
        homeless:x:40:41\n";
    const GROUP: &str = "root:x:0:\nwww:x:33:\nlogs:x:50:www,root\n7:x:70:\nlogs:x:51:\n";

    fn facts() -> (Vec<PasswdEntry>, Vec<GroupEntry>) {
        // Members of both users that the tests look for.
        let mut group: Vec<GroupEntry> = Vec::new();
        for member in ["www", "root"] {
            for entry in accounts::group(GROUP.as_bytes(), Some(member)) {
                match group.iter_mut().find(|known| known.gid == entry.gid) {
                    Some(known) => known.members.extend(entry.members),
                    None => group.push(entry),
                }
            }
        }
        (accounts::passwd(PASSWD.as_bytes()).collect(), group)
    }

    fn found(user: Option<&str>, oci: &oci::User) -> Result<Identity, UserError> {
        let (passwd, group) = facts();
        resolve(user, oci, &passwd, &group)
    }

    fn ids(user: &str) -> Result<(u32, u32, Vec<u32>), UserError> {
        found(Some(user), &oci::User::default())
            .map(|identity| (identity.uid, identity.gid, identity.groups))
    }

    #[test]
    fn each_form_of_user_and_group_gives_dockers_ids() {
        for (text, expected) in [
            ("", (0, 0, vec![0, 50])),
            ("0", (0, 0, vec![0, 50])),
            ("www", (33, 33, vec![33, 50])),
            ("33", (33, 33, vec![33, 50])),
            ("033", (33, 33, vec![33, 50])),
            ("www:", (33, 33, vec![33, 50])),
            ("www:logs", (33, 50, vec![50])),
            ("www:50", (33, 50, vec![50])),
            ("www:99", (33, 99, vec![99])),
            (":logs", (0, 50, vec![50])),
            ("4242", (4242, 0, vec![0])),
            ("4242:7", (4242, 7, vec![7])),
            (
                "4294967294:4294967294",
                (u32::MAX - 1, u32::MAX - 1, vec![u32::MAX - 1]),
            ),
        ] {
            assert_eq!(ids(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn digits_are_a_number_even_where_a_user_bears_them_as_name() {
        assert_eq!(ids("1000"), Ok((1000, 0, vec![0])));
        assert_eq!(ids("5"), Ok((5, 6, vec![6])));
    }

    #[test]
    fn what_is_neither_number_in_range_nor_known_name_is_refused() {
        for text in [
            "4294967295",
            "4294967296",
            "99999999999999999999",
            "0:4294967295",
        ] {
            assert!(matches!(ids(text), Err(UserError::OutOfRange(_))), "{text}");
        }
        for text in ["-1", "+1", " 1", "1 ", "0x1", "\u{661}", "nobody", "1e3"] {
            assert_eq!(ids(text), Err(UserError::UnknownUser(text.to_owned())));
        }
        for text in ["nogroup", "a:b", "-1"] {
            assert_eq!(
                ids(&format!("www:{text}")),
                Err(UserError::UnknownGroup(text.to_owned()))
            );
        }
    }

    #[test]
    fn home_and_name_are_those_of_the_first_matching_line() {
        let of = |text| found(Some(text), &oci::User::default()).unwrap();
        assert_eq!(of("www").home, "/var/www");
        assert_eq!(of("33").name.as_deref(), Some("www"));
        assert_eq!(of("homeless").home, "/");
        assert_eq!((of("777").home, of("777").name), ("/".to_owned(), None));
    }

    #[test]
    fn without_a_text_the_oci_numbers_hold_and_memberships_do_not_count() {
        let mut user = oci::User::default();
        user.set_uid(33)
            .set_gid(8)
            .set_additional_gids(Some(vec![9, 3, 9]));
        let identity = found(None, &user).unwrap();
        assert_eq!((identity.uid, identity.gid), (33, 8));
        assert_eq!(identity.groups, [3, 8, 9]);
        assert_eq!(identity.home, "/var/www");
        user.set_uid(u32::MAX);
        assert!(matches!(found(None, &user), Err(UserError::OutOfRange(_))));
    }

    #[test]
    fn more_groups_than_the_kernel_takes_are_refused() {
        let mut user = oci::User::default();
        user.set_additional_gids(Some((1..=65536).collect()));
        assert_eq!(found(None, &user), Err(UserError::TooManyGroups(65537)));
    }

    proptest! {
        #[test]
        fn any_text_gives_ids_in_range_or_an_error(text in prop_oneof![
            any::<String>(), "[0-9+:\\- \u{0660}-\u{0669}]{0,24}", "[0-9]{9,11}(:[0-9]{9,11})?"
        ]) {
            if let Ok((uid, gid, groups)) = ids(&text) {
                prop_assert!(uid <= LARGEST_ID && gid <= LARGEST_ID);
                prop_assert!(groups.contains(&gid));
                // The number that was written is the number that is had.
                let user = text.split(':').next().unwrap_or_default();
                if let Ok(number) = user.parse::<u128>() {
                    prop_assert_eq!(u128::from(uid), number);
                }
            }
        }
    }
}
