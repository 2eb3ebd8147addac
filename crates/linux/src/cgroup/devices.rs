//! Device rules: their meaning, and their form for the v1 `devices` controller.
//!
//! The OCI rules are a list in which the last rule that matches a device and an access decides, on top of
//! "deny everything". The v1 controller knows only a default and exceptions to it; [`DevicePolicy`] is that form.
//! The v2 form, a program, is in [`device_program`](super::device_program).

use std::fmt;

use hoist_spec::oci::{LinuxDeviceCgroup, LinuxDeviceType};
use serde::{Deserialize, Serialize};

use super::limits::LimitError;

/// Access to a device node, as a set of bits; the values are those of `BPF_DEVCG_ACC_*` (linux/bpf.h).
pub mod access {
    /// mknod(2).
    pub const MKNOD: u8 = 1;
    /// Reading.
    pub const READ: u8 = 2;
    /// Writing.
    pub const WRITE: u8 = 4;
    /// All three.
    pub const ALL: u8 = MKNOD | READ | WRITE;
}

/// The type of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    /// A block device.
    Block,
    /// A character device.
    Character,
}

/// One rule; `None` matches every type or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Whether it allows or denies.
    pub allow: bool,
    /// The type it is about.
    pub kind: Option<DeviceType>,
    /// The major number it is about.
    pub major: Option<u32>,
    /// The minor number it is about.
    pub minor: Option<u32>,
    /// The accesses it is about: bits of [`access`].
    pub access: u8,
}

/// What a container may use whatever its spec says, because every container has these nodes
/// ("Default Devices" of the OCI runtime spec), and may make but not open: any.
const STANDARD: [DeviceRule; 10] = [
    character(None, None, access::MKNOD),
    DeviceRule {
        kind: Some(DeviceType::Block),
        ..character(None, None, access::MKNOD)
    },
    character(Some(1), Some(3), access::ALL), // null
    character(Some(1), Some(5), access::ALL), // zero
    character(Some(1), Some(7), access::ALL), // full
    character(Some(1), Some(8), access::ALL), // random
    character(Some(1), Some(9), access::ALL), // urandom
    character(Some(5), Some(0), access::ALL), // tty
    character(Some(5), Some(2), access::ALL), // ptmx
    character(Some(136), None, access::ALL),  // the pty devices
];

const fn character(major: Option<u32>, minor: Option<u32>, access: u8) -> DeviceRule {
    DeviceRule {
        allow: true,
        kind: Some(DeviceType::Character),
        major,
        minor,
        access,
    }
}

impl DeviceRule {
    /// Reads a rule of the OCI spec. An absent number, or -1, is a wildcard; an absent access is all of it.
    pub fn from_oci(rule: &LinuxDeviceCgroup) -> Result<Self, LimitError> {
        let invalid = |reason: &str| LimitError::Invalid {
            what: "device rule",
            value: serde_json::to_string(rule).unwrap_or_default(),
            reason: reason.to_owned(),
        };
        let kind = match rule.typ().unwrap_or_default() {
            LinuxDeviceType::A => None,
            LinuxDeviceType::B => Some(DeviceType::Block),
            LinuxDeviceType::C | LinuxDeviceType::U => Some(DeviceType::Character),
            LinuxDeviceType::P => return Err(invalid("a fifo is no device")),
        };
        let number = |number: Option<i64>| match number {
            None | Some(-1) => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| invalid("a device number is out of range")),
        };
        let access = match rule.access().as_deref() {
            None | Some("") => access::ALL,
            Some(letters) => letters.chars().try_fold(0, |bits, letter| match letter {
                'm' => Ok(bits | access::MKNOD),
                'r' => Ok(bits | access::READ),
                'w' => Ok(bits | access::WRITE),
                _ => Err(invalid("an access is made of the letters r, w and m")),
            })?,
        };
        Ok(Self {
            allow: rule.allow(),
            kind,
            major: number(rule.major())?,
            minor: number(rule.minor())?,
            access,
        })
    }

    /// The rules of a container: its own, then the standard devices. A container without rules has those alone.
    pub fn for_container(rules: &[LinuxDeviceCgroup]) -> Result<Vec<Self>, LimitError> {
        let own = rules
            .iter()
            .map(Self::from_oci)
            .collect::<Result<Vec<_>, _>>()?;
        // In a list that ends by allowing everything the standard devices say nothing new.
        let everything = own.last().is_some_and(|last| last.allow && last.is_total());
        let standard: &[Self] = if everything { &[] } else { &STANDARD };
        Ok(own.into_iter().chain(standard.iter().copied()).collect())
    }

    /// Whether it is about every access to every device.
    pub(crate) fn is_total(&self) -> bool {
        self.covers_key_of(&Self {
            allow: true,
            kind: None,
            major: None,
            minor: None,
            access: 0,
        }) && self.access == access::ALL
    }

    fn covers_key_of(&self, other: &Self) -> bool {
        (self.kind.is_none() || self.kind == other.kind)
            && (self.major.is_none() || self.major == other.major)
            && (self.minor.is_none() || self.minor == other.minor)
    }

    fn overlaps_key_of(&self, other: &Self) -> bool {
        fn meet<T: PartialEq>(one: Option<T>, two: Option<T>) -> bool {
            match (one, two) {
                (Some(one), Some(two)) => one == two,
                _ => true,
            }
        }
        meet(self.kind, other.kind)
            && meet(self.major, other.major)
            && meet(self.minor, other.minor)
    }
}

/// As `devices.allow` and `devices.deny` take it: `c 1:3 rwm`.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            None => "a",
            Some(DeviceType::Block) => "b",
            Some(DeviceType::Character) => "c",
        })?;
        let number = |f: &mut fmt::Formatter<'_>, number: Option<u32>| match number {
            None => f.write_str("*"),
            Some(number) => write!(f, "{number}"),
        };
        f.write_str(" ")?;
        number(f, self.major)?;
        f.write_str(":")?;
        number(f, self.minor)?;
        f.write_str(" ")?;
        for (bit, letter) in [
            (access::READ, "r"),
            (access::WRITE, "w"),
            (access::MKNOD, "m"),
        ] {
            if self.access & bit != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// A default and the exceptions to it: what the v1 controller can hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePolicy {
    /// What holds for a device that no exception is about.
    pub allow: bool,
    /// What differs; each has the other `allow`.
    pub exceptions: Vec<DeviceRule>,
}

impl DevicePolicy {
    /// The policy that a list of rules means, last match first, on top of "deny everything".
    ///
    /// # Errors
    ///
    /// [`LimitError::Unsupported`] where a rule takes back a part of an earlier, wider one: a default with
    /// exceptions cannot say that.
    pub fn from_rules(rules: &[DeviceRule]) -> Result<Self, LimitError> {
        let mut policy = Self {
            allow: false,
            exceptions: Vec::new(),
        };
        for rule in rules {
            if rule.is_total() {
                policy.allow = rule.allow;
                policy.exceptions.clear();
                continue;
            }
            // The controller has no exception for both types.
            let kinds = match rule.kind {
                Some(kind) => vec![kind],
                None => vec![DeviceType::Block, DeviceType::Character],
            };
            for kind in kinds {
                let rule = DeviceRule {
                    kind: Some(kind),
                    ..*rule
                };
                if rule.allow == policy.allow {
                    policy.take_back(&rule)?;
                } else {
                    policy.add(rule);
                }
            }
        }
        policy.widen();
        Ok(policy)
    }

    fn add(&mut self, rule: DeviceRule) {
        match self
            .exceptions
            .iter_mut()
            .find(|other| other.covers_key_of(&rule) && rule.covers_key_of(other))
        {
            Some(same) => same.access |= rule.access,
            None => self.exceptions.push(rule),
        }
    }

    fn take_back(&mut self, rule: &DeviceRule) -> Result<(), LimitError> {
        for exception in &mut self.exceptions {
            if exception.access & rule.access == 0 || !rule.overlaps_key_of(exception) {
                continue;
            }
            if !rule.covers_key_of(exception) {
                return Err(LimitError::Unsupported {
                    what: "device rule",
                    value: rule.to_string(),
                    reason: format!(
                        "cgroup v1 cannot take back a part of the earlier rule {exception}"
                    ),
                });
            }
            exception.access &= !rule.access;
        }
        self.exceptions.retain(|exception| exception.access != 0);
        Ok(())
    }

    /// The kernel wants one exception that holds every requested access: a narrow one gets what wider ones allow
    /// too. Then those that say nothing of their own go.
    fn widen(&mut self) {
        let all = self.exceptions.clone();
        for exception in &mut self.exceptions {
            exception.access = all
                .iter()
                .filter(|wider| wider.covers_key_of(exception))
                .fold(0, |access, wider| access | wider.access);
        }
        let all = self.exceptions.clone();
        self.exceptions.retain(|exception| {
            !all.iter().any(|wider| {
                wider != exception
                    && wider.covers_key_of(exception)
                    && exception.access & !wider.access == 0
            })
        });
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the list of rules says of one access to one device.
    pub(crate) fn model(
        rules: &[DeviceRule],
        kind: DeviceType,
        major: u32,
        minor: u32,
        bit: u8,
    ) -> bool {
        let device = DeviceRule {
            allow: true,
            kind: Some(kind),
            major: Some(major),
            minor: Some(minor),
            access: bit,
        };
        rules
            .iter()
            .rev()
            .find(|rule| rule.access & bit != 0 && rule.covers_key_of(&device))
            .is_some_and(|rule| rule.allow)
    }

    /// How the v1 controller judges a request (security/device_cgroup.c).
    fn kernel(policy: &DevicePolicy, kind: DeviceType, major: u32, minor: u32, access: u8) -> bool {
        let device = DeviceRule {
            allow: true,
            kind: Some(kind),
            major: Some(major),
            minor: Some(minor),
            access,
        };
        let matches = |exception: &&DeviceRule| exception.covers_key_of(&device);
        if policy.allow {
            !policy
                .exceptions
                .iter()
                .filter(matches)
                .any(|exception| exception.access & access != 0)
        } else {
            policy
                .exceptions
                .iter()
                .filter(matches)
                .any(|exception| access & !exception.access == 0)
        }
    }

    pub(crate) fn rules() -> impl Strategy<Value = Vec<DeviceRule>> {
        let number = || prop::option::of(0..3u32);
        let rule = (
            any::<bool>(),
            prop::option::of(prop_oneof![
                Just(DeviceType::Block),
                Just(DeviceType::Character)
            ]),
            number(),
            number(),
            1..8u8,
        )
            .prop_map(|(allow, kind, major, minor, access)| DeviceRule {
                allow,
                kind,
                major,
                minor,
                access,
            });
        prop::collection::vec(rule, 0..6)
    }

    pub(crate) fn devices() -> impl Iterator<Item = (DeviceType, u32, u32)> {
        [DeviceType::Block, DeviceType::Character]
            .into_iter()
            .flat_map(|kind| {
                (0..4).flat_map(move |major| (0..4).map(move |minor| (kind, major, minor)))
            })
    }

    proptest! {
        #[test]
        fn a_policy_means_what_its_rules_mean(rules in rules()) {
            if let Ok(policy) = DevicePolicy::from_rules(&rules) {
                for (kind, major, minor) in devices() {
                    for bit in [access::MKNOD, access::READ, access::WRITE] {
                        prop_assert_eq!(
                            kernel(&policy, kind, major, minor, bit),
                            model(&rules, kind, major, minor, bit),
                            "{:?} {}:{} {} of {:?}", kind, major, minor, bit, policy
                        );
                    }
                }
            }
        }
    }

    fn oci(json: &str) -> Vec<LinuxDeviceCgroup> {
        serde_json::from_str(json).unwrap()
    }

    pub(crate) const DOCKER: &str = r#"[
        {"allow":false,"access":"rwm"},
        {"allow":true,"type":"c","major":1,"minor":5,"access":"rwm"},
        {"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"},
        {"allow":true,"type":"c","major":1,"minor":9,"access":"rwm"},
        {"allow":true,"type":"c","major":1,"minor":8,"access":"rwm"},
        {"allow":true,"type":"c","major":5,"minor":0,"access":"rwm"},
        {"allow":true,"type":"c","major":5,"minor":1,"access":"rwm"},
        {"allow":false,"type":"c","major":10,"minor":229,"access":"rwm"}]"#;

    #[test]
    fn dockers_list_becomes_eleven_exceptions() {
        let rules = DeviceRule::for_container(&oci(DOCKER)).unwrap();
        let policy = DevicePolicy::from_rules(&rules).unwrap();
        assert!(!policy.allow);
        let text: Vec<String> = policy.exceptions.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "c 1:5 rwm",
                "c 1:3 rwm",
                "c 1:9 rwm",
                "c 1:8 rwm",
                "c 5:0 rwm",
                "c 5:1 rwm",
                "c *:* m",
                "b *:* m",
                "c 1:7 rwm",
                "c 5:2 rwm",
                "c 136:* rwm"
            ]
        );
    }

    #[test]
    fn no_rules_and_an_empty_list_deny_everything() {
        let policy = DevicePolicy::from_rules(&[]).unwrap();
        assert!(!policy.allow);
        assert_eq!(policy.exceptions, []);
        let container = DeviceRule::for_container(&[]).unwrap();
        assert!(!model(&container, DeviceType::Block, 8, 0, access::READ));
        assert!(model(
            &container,
            DeviceType::Character,
            1,
            3,
            access::WRITE
        ));
    }

    #[test]
    fn a_privileged_list_allows_everything_without_exceptions() {
        let rules = DeviceRule::for_container(&oci(r#"[{"allow":true,"access":"rwm"}]"#)).unwrap();
        let policy = DevicePolicy::from_rules(&rules).unwrap();
        assert!(policy.allow);
        assert_eq!(policy.exceptions, []);
    }

    #[test]
    fn a_rule_that_v1_cannot_express_is_refused_by_name() {
        let rules: Vec<DeviceRule> = oci(
            r#"[{"allow":true,"type":"c","access":"r"},{"allow":false,"type":"c","major":1,"minor":1,"access":"r"}]"#,
        )
        .iter()
        .map(|rule| DeviceRule::from_oci(rule).unwrap())
        .collect();
        let error = DevicePolicy::from_rules(&rules).unwrap_err().to_string();
        assert!(
            error.contains("c 1:1 r") && error.contains("c *:* r"),
            "{error}"
        );
    }

    #[test]
    fn rules_with_bad_members_are_refused() {
        for json in [
            r#"[{"allow":true,"type":"p"}]"#,
            r#"[{"allow":true,"type":"c","major":-2}]"#,
            r#"[{"allow":true,"type":"c","major":4294967296}]"#,
            r#"[{"allow":true,"type":"c","access":"rx"}]"#,
        ] {
            assert!(DeviceRule::from_oci(&oci(json)[0]).is_err(), "{json}");
        }
    }
}
