//! Ids that this machine lends to an ordinary user (subuid(5), subgid(5)).

use serde::{Deserialize, Serialize};

/// Consecutive ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    /// The first of them.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// What is lent to one user, and can be mapped by newuidmap(1) and newgidmap(1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubIds {
    /// User ids.
    pub users: Vec<IdRange>,
    /// Group ids.
    pub groups: Vec<IdRange>,
}

/// What the text of `/etc/subuid` or `/etc/subgid` lends to a user, by name or by number. What is no line of that form is
/// passed over, and what would reach beyond the last id is left out.
#[cfg(any(target_os = "linux", test))]
pub(super) fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<IdRange> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let theirs = name == Some(owner) || owner.parse() == Ok(uid);
            let first: u32 = fields.next()?.parse().ok()?;
            let count: u32 = fields.next()?.parse().ok()?;
            let end = first.checked_add(count)?;
            (theirs && count > 0 && end < u32::MAX).then_some(IdRange { first, count })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number_and_junk_is_not() {
        let text = "me:100000:65536\nother:1:9\n1000:200000:10\nme:junk\n\nme:1:x\nme:4294967290:10\nme:5:0\n";
        let range = |first, count| IdRange { first, count };
        assert_eq!(
            ranges(text, Some("me"), 1000),
            [range(100_000, 65536), range(200_000, 10)]
        );
        assert_eq!(ranges(text, None, 7), []);
    }
}
