//! Container ids.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest id that is accepted, in bytes. It becomes a directory name, and leaves room for a suffix.
const LONGEST: usize = 128;

/// The name of one container on one machine.
///
/// Letters, digits, `_`, `.`, `+` and `-`, beginning with a letter or digit, at most 128 bytes: docker's
/// names and runc's ids both fit, and none is a path (`.`, `..`, anything with a slash).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of one exec of a container, a further process that is an object of its own: in the form of a container's id.
pub type ExecId = ContainerId;

/// A text that is no container id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no container id: {ALLOWED}")]
pub struct InvalidId(pub String);

/// What ids and names are made of.
const ALLOWED: &str =
    "use letters, digits and _ . + -, begin with a letter or digit, at most 128 bytes";

impl InvalidId {
    /// What to say where the text was meant as a container's name, which has the form of an id.
    pub fn as_name(&self) -> String {
        format!("{:?} is no container name: {ALLOWED}", self.0)
    }
}

impl FromStr for ContainerId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let valid = text.len() <= LONGEST
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte));
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_says_what_it_was_meant_as_and_what_is_allowed() {
        let error = "x/y".parse::<ContainerId>().unwrap_err();
        for (text, what) in [(error.to_string(), "id"), (error.as_name(), "name")] {
            assert!(
                text.starts_with(&format!(
                    "\"x/y\" is no container {what}: use letters, digits"
                )),
                "{text}"
            );
            assert!(
                text.ends_with(&format!("at most {LONGEST} bytes")),
                "{text}"
            );
        }
    }

    #[test]
    fn docker_names_and_ids_are_ids() {
        for id in [
            "a",
            "web01",
            "0feffc8b2290",
            "my.app_1-x+y",
            &"f".repeat(64),
            &"a".repeat(128),
        ] {
            assert!(id.parse::<ContainerId>().is_ok(), "{id}");
        }
    }

    #[test]
    fn paths_and_odd_texts_are_no_ids() {
        for id in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "-a",
            "_a",
            "a b",
            "a\nb",
            "a\0b",
            "ä",
            &"a".repeat(129),
        ] {
            assert!(id.parse::<ContainerId>().is_err(), "{id:?}");
        }
    }
}
