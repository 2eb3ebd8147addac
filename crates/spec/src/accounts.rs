//! Lines of `/etc/passwd` (passwd(5)) and `/etc/group` (group(5)), as an image holds them.
//!
//! The text comes from an image: a line that is not well formed is skipped, never guessed at. Who is
//! looked for, and what a match means, is in [`user`](crate::user).

use serde::{Deserialize, Serialize};

/// The largest id that means a user or group; the number above it, −1 to the kernel, means "do not change"
/// (setresuid(2)).
pub const LARGEST_ID: u32 = u32::MAX - 1;

/// One well-formed line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswdEntry {
    /// Login name, not empty.
    pub name: String,
    /// User id, at most 4294967294.
    pub uid: u32,
    /// Primary group id, at most 4294967294.
    pub gid: u32,
    /// Home directory; empty where the line has none.
    pub home: String,
}

/// One well-formed line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// Group name, not empty.
    pub name: String,
    /// Group id, at most 4294967294.
    pub gid: u32,
    /// Names of the users that have it as a supplementary group.
    pub members: Vec<String>,
}

/// The entries of an `/etc/passwd`, in order.
pub fn passwd(text: &[u8]) -> impl Iterator<Item = PasswdEntry> {
    lines(text).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        Some(PasswdEntry {
            name: name(fields.next()?)?,
            uid: fields.nth(1).and_then(id)?,
            gid: fields.next().and_then(id)?,
            home: fields.nth(1).and_then(text_of).unwrap_or_default(),
        })
    })
}

/// The entries of an `/etc/group`, in order; of their members only `member` is kept, so that a huge file
/// does not become a huger value.
pub fn group(text: &[u8], member: Option<&str>) -> impl Iterator<Item = GroupEntry> {
    lines(text).filter_map(move |line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = name(fields.next()?)?;
        let gid = fields.nth(1).and_then(id)?;
        let listed = fields.next().unwrap_or_default();
        let members = member
            .filter(|member| {
                listed
                    .split(|byte| *byte == b',')
                    .any(|name| name == member.as_bytes())
            })
            .map(str::to_owned);
        Some(GroupEntry {
            name,
            gid,
            members: members.into_iter().collect(),
        })
    })
}

/// The id that `digits` writes: ASCII digits alone, at most 4294967294.
fn id(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits)
        .ok()?
        .parse()
        .ok()
        .filter(|id| *id <= LARGEST_ID)
}

fn name(bytes: &[u8]) -> Option<String> {
    text_of(bytes).filter(|name| !name.is_empty())
}

/// Other fields of a line may be in any encoding; a name that could be asked for, or a home, is UTF-8.
fn text_of(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .map(str::to_owned)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn well_formed_lines_are_read_in_order_and_junk_is_skipped() {
        let text = b"root:x:0:0:root:/root:/bin/sh\n\
            # comment\n\
            :x:1:1::/:\n\
            minus:x:-1:0::/:\n\
            plus:x:+1:0::/:\n\
            wide:x:4294967295:0::/:\n\
            wider:x:4294967296:0::/:\n\
            arabic:x:\xd9\xa1:0::/:\n\
            nogid:x:7\n\
            \n\
            latin:x:8:9:J\xfcrgen:/home/latin:/bin/sh\r\n\
            short:x:10:11";
        let entries: Vec<_> = passwd(text).collect();
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["root", "latin", "short"]);
        assert_eq!(entries[1].home, "/home/latin");
        assert_eq!(entries[2].home, "");
    }

    #[test]
    fn of_a_groups_members_the_one_asked_for_is_kept() {
        let text = b"wheel:x:10:a,b,c\nempty:x:11:\nshort:x:12\nprefix:x:13:bb,ab\n";
        let entries: Vec<_> = group(text, Some("b")).collect();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries[0].members, ["b"]);
        assert!(entries[1..].iter().all(|entry| entry.members.is_empty()));
    }

    proptest! {
        #[test]
        fn any_bytes_give_only_ids_in_range(text in proptest::collection::vec(prop_oneof![
            Just(b':'), Just(b'\n'), Just(b','), b'0'..=b'9', any::<u8>()
        ], 0..400)) {
            for entry in passwd(&text) {
                prop_assert!(entry.uid <= LARGEST_ID && entry.gid <= LARGEST_ID);
                prop_assert!(!entry.name.is_empty() && !entry.name.contains('\n'));
            }
            for entry in group(&text, Some("1")) {
                prop_assert!(entry.gid <= LARGEST_ID && !entry.name.is_empty());
            }
        }
    }
}
