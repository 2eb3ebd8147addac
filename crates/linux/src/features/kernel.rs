//! Kernel versions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A kernel's version as far as features depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KernelVersion {
    /// 6 of `6.18.44`.
    pub major: u16,
    /// 18 of `6.18.44`.
    pub minor: u16,
}

impl KernelVersion {
    /// The oldest kernel that Hoist runs on: the first with mount_setattr(2), by which every attribute of a mount is set before
    /// anybody can reach it.
    pub const OLDEST: Self = Self {
        major: 5,
        minor: 12,
    };
}

/// A text that is no kernel release (uname(2)).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kernel release")]
pub struct InvalidKernelVersion(pub String);

impl FromStr for KernelVersion {
    type Err = InvalidKernelVersion;

    /// Reads a release such as `6.1.0-56-amd64`, `5.10` or `6.6-rc1`.
    fn from_str(release: &str) -> Result<Self, InvalidKernelVersion> {
        let mut numbers = release
            .split(|character: char| !character.is_ascii_digit())
            .map(|digits| digits.parse().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(InvalidKernelVersion(release.to_owned())),
        }
    }
}

impl TryFrom<String> for KernelVersion {
    type Error = InvalidKernelVersion;

    fn try_from(release: String) -> Result<Self, InvalidKernelVersion> {
        release.parse()
    }
}

impl From<KernelVersion> for String {
    fn from(version: KernelVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_read() {
        for (release, major, minor) in [
            ("6.18.44-fc-v595", 6, 18),
            ("5.10.0-30-amd64", 5, 10),
            ("6.6-rc1", 6, 6),
            ("4.18.0-553.el8_10.x86_64", 4, 18),
            ("5.15.153.1-microsoft-standard-WSL2", 5, 15),
        ] {
            assert_eq!(release.parse(), Ok(KernelVersion { major, minor }));
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let version = |text: &str| text.parse::<KernelVersion>().unwrap();
        assert!(version("5.9") < version("5.10"));
        assert!(version("5.19") < version("6.0"));
    }

    #[test]
    fn other_texts_are_no_releases() {
        for text in ["", "6", "linux", "6.x", ".6.1", "99999999.1"] {
            assert!(text.parse::<KernelVersion>().is_err(), "{text:?}");
        }
    }
}
