//! Linux capabilities: their numbers and names (capabilities(7), `linux/capability.h`), and sets of them.

use std::fmt;

use oci_spec::runtime::{Capabilities, Capability};
use serde::{Serialize, Serializer};

/// Every capability in the order of the kernel's numbers, 0 to 40.
const ALL: [(&str, Capability); 41] = [
    ("CAP_CHOWN", Capability::Chown),
    ("CAP_DAC_OVERRIDE", Capability::DacOverride),
    ("CAP_DAC_READ_SEARCH", Capability::DacReadSearch),
    ("CAP_FOWNER", Capability::Fowner),
    ("CAP_FSETID", Capability::Fsetid),
    ("CAP_KILL", Capability::Kill),
    ("CAP_SETGID", Capability::Setgid),
    ("CAP_SETUID", Capability::Setuid),
    ("CAP_SETPCAP", Capability::Setpcap),
    ("CAP_LINUX_IMMUTABLE", Capability::LinuxImmutable),
    ("CAP_NET_BIND_SERVICE", Capability::NetBindService),
    ("CAP_NET_BROADCAST", Capability::NetBroadcast),
    ("CAP_NET_ADMIN", Capability::NetAdmin),
    ("CAP_NET_RAW", Capability::NetRaw),
    ("CAP_IPC_LOCK", Capability::IpcLock),
    ("CAP_IPC_OWNER", Capability::IpcOwner),
    ("CAP_SYS_MODULE", Capability::SysModule),
    ("CAP_SYS_RAWIO", Capability::SysRawio),
    ("CAP_SYS_CHROOT", Capability::SysChroot),
    ("CAP_SYS_PTRACE", Capability::SysPtrace),
    ("CAP_SYS_PACCT", Capability::SysPacct),
    ("CAP_SYS_ADMIN", Capability::SysAdmin),
    ("CAP_SYS_BOOT", Capability::SysBoot),
    ("CAP_SYS_NICE", Capability::SysNice),
    ("CAP_SYS_RESOURCE", Capability::SysResource),
    ("CAP_SYS_TIME", Capability::SysTime),
    ("CAP_SYS_TTY_CONFIG", Capability::SysTtyConfig),
    ("CAP_MKNOD", Capability::Mknod),
    ("CAP_LEASE", Capability::Lease),
    ("CAP_AUDIT_WRITE", Capability::AuditWrite),
    ("CAP_AUDIT_CONTROL", Capability::AuditControl),
    ("CAP_SETFCAP", Capability::Setfcap),
    ("CAP_MAC_OVERRIDE", Capability::MacOverride),
    ("CAP_MAC_ADMIN", Capability::MacAdmin),
    ("CAP_SYSLOG", Capability::Syslog),
    ("CAP_WAKE_ALARM", Capability::WakeAlarm),
    ("CAP_BLOCK_SUSPEND", Capability::BlockSuspend),
    ("CAP_AUDIT_READ", Capability::AuditRead),
    ("CAP_PERFMON", Capability::Perfmon),
    ("CAP_BPF", Capability::Bpf),
    ("CAP_CHECKPOINT_RESTORE", Capability::CheckpointRestore),
];

/// The kernel's name of the capability with this number.
pub fn capability_name(number: usize) -> Option<&'static str> {
    ALL.get(number).map(|(name, _)| *name)
}

/// A set of capabilities as the kernel's bit mask: bit n is capability number n.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// No capability.
    pub const EMPTY: Self = Self(0);
    /// Every capability that Hoist knows, up to `CAP_CHECKPOINT_RESTORE` (Linux 5.9).
    pub const ALL: Self = Self((1 << ALL.len()) - 1);
    /// The fourteen capabilities that docker leaves to a container.
    pub const DOCKER_DEFAULT: Self = Self(
        1 << 0 // CHOWN
            | 1 << 1 // DAC_OVERRIDE
            | 1 << 3 // FOWNER
            | 1 << 4 // FSETID
            | 1 << 5 // KILL
            | 1 << 6 // SETGID
            | 1 << 7 // SETUID
            | 1 << 8 // SETPCAP
            | 1 << 10 // NET_BIND_SERVICE
            | 1 << 13 // NET_RAW
            | 1 << 18 // SYS_CHROOT
            | 1 << 27 // MKNOD
            | 1 << 29 // AUDIT_WRITE
            | 1 << 31, // SETFCAP
    );

    /// The set with these bits; bits beyond the last known capability are kept.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The kernel's bit mask.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `capability` is in it.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability_number(capability)) != 0
    }

    /// What is in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one and not in `other`.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The known capabilities in it, by rising number.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        self.entries().map(|(_, capability)| *capability)
    }

    /// Their names, `CAP_CHOWN` and so on, by rising number.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.entries().map(|(name, _)| *name)
    }

    /// The OCI runtime spec's form.
    pub fn to_oci(self) -> Capabilities {
        self.iter().collect()
    }

    fn entries(self) -> impl Iterator<Item = &'static (&'static str, Capability)> {
        ALL.iter()
            .enumerate()
            .filter(move |(number, _)| self.0 & (1 << number) != 0)
            .map(|(_, entry)| entry)
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(
            capabilities
                .into_iter()
                .fold(0, |bits, one| bits | 1 << capability_number(one)),
        )
    }
}

impl From<&Capabilities> for CapabilitySet {
    fn from(capabilities: &Capabilities) -> Self {
        capabilities.iter().copied().collect()
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for CapabilitySet {
    /// The list of names.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

/// The kernel's number of a capability, 0 to 40.
pub fn capability_number(capability: Capability) -> u32 {
    // Every variant stands in the table, which a test holds against the enumeration.
    ALL.iter()
        .position(|(_, known)| *known == capability)
        .unwrap_or_default() as u32
}

/// A text that names no capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no capability: use a name of capabilities(7), such as NET_ADMIN or CAP_NET_ADMIN"
)]
pub struct UnknownCapability(pub String);

/// The capability of that name, in any case, with or without `CAP_`.
///
/// # Errors
/// [`UnknownCapability`] where there is none of that name.
pub fn parse_capability(text: &str) -> Result<Capability, UnknownCapability> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    ALL.iter()
        .find(|(known, _)| known.strip_prefix("CAP_") == Some(name))
        .map(|(_, capability)| *capability)
        .ok_or_else(|| UnknownCapability(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_capability_as_the_oci_types_do() {
        for (number, (name, capability)) in ALL.iter().enumerate() {
            assert_eq!(*name, format!("CAP_{capability}"));
            assert_eq!(capability_number(*capability), number as u32);
            assert_eq!(
                serde_json::to_value(capability).unwrap(),
                serde_json::Value::from(*name)
            );
        }
        assert_eq!(capability_number(Capability::SysAdmin), 21);
        assert_eq!(capability_number(Capability::CheckpointRestore), 40);
        assert_eq!(CapabilitySet::ALL.bits(), 0x1ff_ffff_ffff);
    }

    #[test]
    fn docker_leaves_fourteen() {
        assert_eq!(CapabilitySet::DOCKER_DEFAULT.bits(), 0xa804_25fb);
        assert_eq!(CapabilitySet::DOCKER_DEFAULT.iter().count(), 14);
    }

    #[test]
    fn names_are_taken_in_any_case_with_and_without_the_prefix() {
        for text in ["NET_ADMIN", "CAP_NET_ADMIN", "net_admin", "cap_Net_Admin"] {
            assert_eq!(parse_capability(text), Ok(Capability::NetAdmin));
        }
        for text in ["", "CAP_", "ALL", "CAP_CAP_CHOWN", "NET ADMIN", "ſETUID"] {
            assert!(parse_capability(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_set_goes_through_the_oci_form_and_back() {
        for set in [
            CapabilitySet::EMPTY,
            CapabilitySet::DOCKER_DEFAULT,
            CapabilitySet::ALL,
        ] {
            assert_eq!(CapabilitySet::from(&set.to_oci()), set);
        }
    }
}
