//! What an OCI runtime's `features` tells of this backend (OCI runtime spec, "Features Structure"): names only.

use hoist_spec::{CapabilitySet, capability_name};

use crate::plan::known_options;

/// The seccomp actions that a profile may ask for.
pub const SECCOMP_ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// The comparisons of arguments that a profile may ask for.
pub const SECCOMP_OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// The architectures whose calls a filter can tell on this machine.
#[cfg(target_arch = "aarch64")]
pub const SECCOMP_ARCHITECTURES: [&str; 2] = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];
/// The architectures whose calls a filter can tell on this machine.
#[cfg(not(target_arch = "aarch64"))]
pub const SECCOMP_ARCHITECTURES: [&str; 3] = ["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"];

/// The flags that a profile may ask for.
pub const SECCOMP_FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// The modes of `linux.memoryPolicy`.
pub const MEMORY_POLICY_MODES: [&str; 7] = [
    "MPOL_BIND",
    "MPOL_DEFAULT",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// The flags of `linux.memoryPolicy`.
pub const MEMORY_POLICY_FLAGS: [&str; 3] = [
    "MPOL_F_NUMA_BALANCING",
    "MPOL_F_RELATIVE_NODES",
    "MPOL_F_STATIC_NODES",
];

/// The mount options that are known, apart from those that a file system itself takes.
pub fn mount_options() -> Vec<String> {
    known_options()
}

/// The capabilities that are known.
pub fn capability_names() -> Vec<&'static str> {
    (0..64)
        .filter(|number| CapabilitySet::ALL.bits() & 1 << number != 0)
        .filter_map(capability_name)
        .collect()
}

#[cfg(test)]
mod tests {
    use hoist_spec::oci::{MemoryPolicyFlagType, MemoryPolicyModeType};

    use super::*;

    #[test]
    fn memory_policies_are_called_as_a_spec_calls_them() {
        for mode in MEMORY_POLICY_MODES {
            serde_json::from_value::<MemoryPolicyModeType>(mode.into()).unwrap();
        }
        for flag in MEMORY_POLICY_FLAGS {
            serde_json::from_value::<MemoryPolicyFlagType>(flag.into()).unwrap();
        }
    }
}
