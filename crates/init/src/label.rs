//! Labels of SELinux: when two spellings are one label.
//!
//! The kernel tells a label in a spelling of its own: categories in their order, three and more that follow each other as a range
//! (`c0,c1,c2` is `c0.c2`), and a range of levels whose ends are the same as one level.

/// How many categories a policy can have by number: those of every policy that is in use end at `c1023`.
const CATEGORIES: usize = 1024;

/// Whether two labels (`USER:ROLE:TYPE[:LEVEL[-LEVEL]]`, a level being `SENSITIVITY[:CATEGORIES]`) are the same. Of spellings that
/// are not understood only equal ones are.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    one == other
        || match (Label::of(one), Label::of(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
}

#[derive(PartialEq, Eq)]
struct Label<'a> {
    user: &'a [u8],
    role: &'a [u8],
    kind: &'a [u8],
    low: Level<'a>,
    high: Level<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Level<'a> {
    sensitivity: &'a [u8],
    categories: [u64; CATEGORIES / 64],
}

impl<'a> Label<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let mut parts = text.splitn(4, |byte| *byte == b':');
        let [user, role, kind, range] =
            [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let (low, high) = match split(range, b'-') {
            (low, Some(high)) => (Level::of(low)?, Level::of(high)?),
            (low, None) => (Level::of(low)?, Level::of(low)?),
        };
        Some(Self {
            user,
            role,
            kind,
            low,
            high,
        })
    }
}

impl<'a> Level<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let (sensitivity, named) = split(text, b':');
        let mut categories = [0; CATEGORIES / 64];
        if let Some(named) = named {
            for part in named.split(|byte| *byte == b',') {
                let (first, last) = match split(part, b'.') {
                    (first, Some(last)) => (category(first)?, category(last)?),
                    (only, None) => (category(only)?, category(only)?),
                };
                if first > last {
                    return None;
                }
                for number in first..=last {
                    *categories.get_mut(number / 64)? |= 1 << (number % 64);
                }
            }
        }
        Some(Self {
            sensitivity,
            categories,
        })
    }
}

/// The number in a category's name.
fn category(name: &[u8]) -> Option<usize> {
    let digits = name.strip_prefix(b"c")?;
    // Another name than the kernel's is none of its categories.
    if digits.is_empty() || digits.len() > 4 || digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + usize::from(digit - b'0'))
    })
}

/// What stands before and behind the first `separator`.
fn split(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == separator) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_label_are_the_same() {
        for (one, other) in [
            ("u:r:t", "u:r:t"),
            ("u:r:t:s0:c2,c1", "u:r:t:s0:c1,c2"),
            ("u:r:t:s0:c0,c1,c2", "u:r:t:s0:c0.c2"),
            ("u:r:t:s0:c1022.c1023", "u:r:t:s0:c1022,c1023"),
            ("u:r:t:s0-s0", "u:r:t:s0"),
            ("u:r:t:s0-s0:c1,c0", "u:r:t:s0-s0:c0,c1"),
            ("u:r:t:s0:c63.c64-s0:c64,c63", "u:r:t:s0:c63,c64"),
        ] {
            assert!(is_same(one.as_bytes(), other.as_bytes()), "{one} {other}");
            assert!(is_same(other.as_bytes(), one.as_bytes()), "{one} {other}");
        }
    }

    #[test]
    fn other_labels_are_others() {
        let label = "u:r:t:s0:c1,c2";
        for other in [
            "",
            "u:r:t",
            "u:r:t:s0",
            "u:r:t:s1:c1,c2",
            "u:r:t:s0:c1",
            "u:r:t:s0:c1.c3",
            "u:r:t:s0:c1,c2,c3",
            "u:r:t:s0-s0:c1,c2",
            "u:r:t:s0:c1,c2-s0:c1,c2,c3",
            "u:r:t2:s0:c1,c2",
            "u:r2:t:s0:c1,c2",
            "u2:r:t:s0:c1,c2",
            "u:r:t:s0:c01,c2",
            "u:r:t:s0:c2.c1",
            "u:r:t:s0:c1,c2,",
            "u:r:t:s0:c1,c9999",
            "u:r:t:s0:c1,c2\n",
            "exec u:r:t:s0:c1,c2",
        ] {
            assert!(!is_same(label.as_bytes(), other.as_bytes()), "{other}");
            assert!(!is_same(other.as_bytes(), label.as_bytes()), "{other}");
        }
    }
}
