//! Which scope a `cgroupsPath` names, and what systemd is told of it. Pure.

use hoist_spec::ContainerId;

use crate::cgroup::devices::access;
use crate::cgroup::{DevicePolicy, DeviceRule, DeviceType, LimitError, Write};
use crate::plan::mask_of;

/// The slice of containers whose path names none, as runc has it.
const DEFAULT_SLICE: &str = "system.slice";
const SCOPE: &str = ".scope";
const SLICE: &str = ".slice";
const MICROSECONDS: u64 = 1_000_000;

/// The value of a property, by its type in D-Bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `s`
    Text(String),
    /// `b`
    Flag(bool),
    /// `t`
    Number(u64),
    /// `au`
    Numbers(Vec<u32>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

/// The scope of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Its cgroup, below the root of each hierarchy.
    pub path: String,
    /// What systemd is told of it.
    pub properties: Vec<(&'static str, Value)>,
}

impl Unit {
    /// The scope that a `cgroupsPath` of the form `slice:prefix:name` names; without one, that of the container's id.
    ///
    /// # Errors
    ///
    /// Why the path names none.
    pub fn of(path: Option<&str>, id: &ContainerId) -> Result<Self, String> {
        let default = format!("{DEFAULT_SLICE}:hoist-oci:{id}");
        let mut parts = path.unwrap_or(&default).split(':');
        let (Some(slice), Some(prefix), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups"
                    .to_owned(),
            );
        };
        let slice = match slice {
            "" => DEFAULT_SLICE,
            slice => slice,
        };
        let name = match (prefix, name) {
            (_, "") => return Err("its name is empty".to_owned()),
            ("", name) => format!("{name}{SCOPE}"),
            (prefix, name) => format!("{prefix}-{name}{SCOPE}"),
        };
        let is_plain = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.\\@-".contains(&byte))
        };
        // systemd.unit(5): what a name is made of, and how long it may be.
        if !is_plain(&name) || !is_plain(slice) || name.len() > 255 || name.starts_with('.') {
            return Err(
                "it has a character that no systemd unit may have, or is too long".to_owned(),
            );
        }
        let above = slice_path(slice)?;
        let text = |text: &str| Value::Text(text.to_owned());
        let properties = vec![
            ("Description", Value::Text(format!("Hoist container {id}"))),
            ("Slice", text(slice)),
            ("Delegate", Value::Flag(true)),
            ("DefaultDependencies", Value::Flag(false)),
            // Nothing of it stays when it has ended, however it did.
            ("CollectMode", text("inactive-or-failed")),
            ("CPUAccounting", Value::Flag(true)),
            ("MemoryAccounting", Value::Flag(true)),
            ("TasksAccounting", Value::Flag(true)),
        ];
        Ok(Self {
            path: match above.as_str() {
                "" => name.clone(),
                above => format!("{above}/{name}"),
            },
            name,
            properties,
        })
    }

    /// Tells systemd of limits and device rules, too: it writes what it knows to the cgroup again whenever it likes
    /// (`systemctl daemon-reload`).
    ///
    /// # Errors
    ///
    /// A device rule that systemd has no words for.
    pub(crate) fn tell(
        &mut self,
        writes: &[Write],
        devices: Option<&[DeviceRule]>,
    ) -> Result<(), LimitError> {
        self.properties.extend(properties_of(writes));
        if let Some(rules) = devices {
            self.properties.extend(devices_of(rules)?);
        }
        Ok(())
    }
}

/// The path of a slice's cgroup: each dash is a level (systemd.slice(5)).
fn slice_path(slice: &str) -> Result<String, String> {
    let stem = slice
        .strip_suffix(SLICE)
        .ok_or_else(|| format!("{slice:?} is no slice: it does not end in {SLICE}"))?;
    // The root slice.
    if stem == "-" {
        return Ok(String::new());
    }
    let mut path = Vec::new();
    let mut name = String::new();
    for part in stem.split('-') {
        if part.is_empty() || part.starts_with('.') {
            return Err(format!(
                "{slice:?} is no slice: one of its levels has no name"
            ));
        }
        if !name.is_empty() {
            name.push('-');
        }
        name.push_str(part);
        path.push(format!("{name}{SLICE}"));
    }
    Ok(path.join("/"))
}

/// systemd's names for what is written to files of the cgroup.
pub(crate) fn properties_of(writes: &[Write]) -> Vec<(&'static str, Value)> {
    let mut properties = Vec::new();
    for write in writes {
        let value = write.value.trim();
        let number = || match value {
            "max" | "-1" => Some(u64::MAX),
            value => value.parse().ok(),
        };
        let name = match &*write.file {
            "memory.max" => "MemoryMax",
            "memory.high" => "MemoryHigh",
            "memory.low" => "MemoryLow",
            "memory.min" => "MemoryMin",
            "memory.swap.max" => "MemorySwapMax",
            "memory.limit_in_bytes" => "MemoryLimit",
            "cpu.weight" => "CPUWeight",
            "cpu.shares" => "CPUShares",
            "pids.max" => "TasksMax",
            "cpuset.cpus" => {
                properties.extend(mask_of(value).map(|bits| ("AllowedCPUs", Value::Bytes(bits))));
                continue;
            }
            "cpuset.mems" => {
                let bits = mask_of(value).map(Value::Bytes);
                properties.extend(bits.map(|bits| ("AllowedMemoryNodes", bits)));
                continue;
            }
            _ => continue,
        };
        properties.extend(number().map(|number| (name, Value::Number(number))));
    }
    properties.extend(quota(writes));
    properties
}

/// The share of CPU time, in microseconds per second, and the period.
fn quota(writes: &[Write]) -> Vec<(&'static str, Value)> {
    const DEFAULT_PERIOD: u64 = 100_000;
    let value = |file: &str| {
        let write = writes.iter().rev().find(|write| write.file == file);
        write.map(|write| write.value.trim())
    };
    let (quota, period) = match value("cpu.max") {
        Some(both) => {
            let mut words = both.split_ascii_whitespace();
            (words.next(), words.next())
        }
        None => (value("cpu.cfs_quota_us"), value("cpu.cfs_period_us")),
    };
    let period: Option<u64> = period.and_then(|period| period.parse().ok());
    let mut properties = Vec::new();
    if let Some(quota) = quota {
        let per_second = match quota.parse::<u64>() {
            Ok(quota) => quota
                .saturating_mul(MICROSECONDS)
                .div_ceil(period.unwrap_or(DEFAULT_PERIOD).max(1)),
            // `max`, or -1.
            Err(_) => u64::MAX,
        };
        properties.push(("CPUQuotaPerSecUSec", Value::Number(per_second)));
    }
    properties.extend(period.map(|period| ("CPUQuotaPeriodUSec", Value::Number(period))));
    properties
}

/// systemd's policy for devices.
fn devices_of(rules: &[DeviceRule]) -> Result<Vec<(&'static str, Value)>, LimitError> {
    let policy = DevicePolicy::from_rules(rules)?;
    let text = |text: &str| Value::Text(text.to_owned());
    if policy.allow {
        if let Some(rule) = policy.exceptions.first() {
            return Err(unsupported(
                rule,
                "a device that is denied while all others are allowed",
            ));
        }
        return Ok(vec![("DevicePolicy", text("auto"))]);
    }
    let mut allowed = Vec::with_capacity(policy.exceptions.len());
    for rule in &policy.exceptions {
        let (kind, path) = match rule.kind {
            Some(DeviceType::Block) => ("block", "/dev/block"),
            _ => ("char", "/dev/char"),
        };
        let device = match (rule.major, rule.minor) {
            (Some(major), Some(minor)) => format!("{path}/{major}:{minor}"),
            (Some(major), None) => format!("{kind}-{major}"),
            (None, None) => format!("{kind}-*"),
            (None, Some(_)) => {
                return Err(unsupported(rule, "one minor number of every major one"));
            }
        };
        let letters = [
            (access::READ, 'r'),
            (access::WRITE, 'w'),
            (access::MKNOD, 'm'),
        ];
        let letters = letters
            .into_iter()
            .filter(|(bit, _)| rule.access & bit != 0)
            .map(|(_, letter)| letter)
            .collect();
        allowed.push((device, letters));
    }
    Ok(vec![
        ("DevicePolicy", text("strict")),
        ("DeviceAllow", Value::Pairs(allowed)),
    ])
}

fn unsupported(rule: &DeviceRule, what: &str) -> LimitError {
    LimitError::Unsupported {
        what: "device rule",
        value: rule.to_string(),
        reason: format!("systemd has no words for {what}: use the cgroupfs driver"),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::cgroup::limits::Check;

    fn unit(path: &str) -> Result<Unit, String> {
        Unit::of(Some(path), &"box".parse().unwrap())
    }

    #[test]
    fn a_path_of_three_parts_names_a_scope_in_a_slice() {
        for (path, name, place) in [
            (
                "machine-pods-a.slice:libpod:1f",
                "libpod-1f.scope",
                "machine.slice/machine-pods.slice/machine-pods-a.slice/libpod-1f.scope",
            ),
            ("::x", "x.scope", "system.slice/x.scope"),
            ("-.slice:docker:x", "docker-x.scope", "docker-x.scope"),
        ] {
            let unit = unit(path).unwrap();
            assert_eq!((unit.name.as_str(), unit.path.as_str()), (name, place));
        }
        let unit = Unit::of(None, &"box".parse().unwrap()).unwrap();
        assert_eq!(unit.path, "system.slice/hoist-oci-box.scope");
    }

    #[test]
    fn a_path_that_names_no_scope_is_refused() {
        for path in [
            "",
            "/a/b",
            "a.slice:b",
            "a.slice:b:c:d",
            "a.slice:b:",
            "a.scope:b:c",
            "a--b.slice:b:c",
            "-a.slice:b:c",
            "a.slice:b:c/d",
            "a/../b.slice:b:c",
            "a.slice:b:c\n",
        ] {
            assert!(unit(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn systemd_is_told_what_is_written_to_the_cgroup() {
        let write = |file: &'static str, value: &str| Write {
            hierarchy: 0,
            controller: "",
            what: "",
            file: Cow::Borrowed(file),
            value: value.to_owned(),
            check: Check::No,
            instead: None,
        };
        let properties = properties_of(&[
            write("memory.max", "max"),
            write("memory.swap.max", "4096"),
            write("cpu.max", "50000 100000"),
            write("cpuset.cpus", "0-1,9"),
            write("pids.max", "10"),
            write("io.max", "8:0 rbps=1"),
        ]);
        assert_eq!(
            properties,
            [
                ("MemoryMax", Value::Number(u64::MAX)),
                ("MemorySwapMax", Value::Number(4096)),
                ("AllowedCPUs", Value::Bytes(vec![3, 2, 0, 0, 0, 0, 0, 0])),
                ("TasksMax", Value::Number(10)),
                ("CPUQuotaPerSecUSec", Value::Number(500_000)),
                ("CPUQuotaPeriodUSec", Value::Number(100_000)),
            ]
        );
        let v1 = properties_of(&[
            write("cpu.cfs_period_us", "1000"),
            write("cpu.cfs_quota_us", "-1"),
        ]);
        assert_eq!(
            v1,
            [
                ("CPUQuotaPerSecUSec", Value::Number(u64::MAX)),
                ("CPUQuotaPeriodUSec", Value::Number(1000)),
            ]
        );
    }

    #[test]
    fn devices_are_named_by_their_numbers() {
        let rules = DeviceRule::for_container(&[]).unwrap();
        let properties = devices_of(&rules).unwrap();
        assert_eq!(properties[0].1, Value::Text("strict".to_owned()));
        let Value::Pairs(allowed) = &properties[1].1 else {
            panic!("{properties:?}")
        };
        let has = |device: &str, letters: &str| {
            allowed.contains(&(device.to_owned(), letters.to_owned()))
        };
        assert!(has("/dev/char/1:3", "rwm"), "{allowed:?}");
        assert!(has("char-136", "rwm"), "{allowed:?}");
        assert!(has("block-*", "m"), "{allowed:?}");
        let everything = DeviceRule {
            allow: true,
            kind: None,
            major: None,
            minor: None,
            access: access::ALL,
        };
        let one = DeviceRule {
            allow: false,
            kind: Some(DeviceType::Character),
            major: Some(1),
            ..everything
        };
        assert!(devices_of(&[everything, one]).is_err());
    }
}
