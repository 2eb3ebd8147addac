//! A seccomp profile of one's own, in docker's format: OCI's with conditions, which are decided here.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use serde::Deserialize;

use crate::{CapabilitySet, Fault, Faults, json, parse_capability};

/// The oldest kernel that Hoist runs on: what a profile says of older ones is decided.
const OLDEST_KERNEL: (u32, u32) = (5, 10);

/// Each architecture by Rust's name, the Go name that profiles use, and the kernel's.
const ARCHITECTURES: [(&str, &str, Arch); 9] = [
    ("x86_64", "amd64", Arch::ScmpArchX86_64),
    ("x86", "386", Arch::ScmpArchX86),
    ("aarch64", "arm64", Arch::ScmpArchAarch64),
    ("arm", "arm", Arch::ScmpArchArm),
    ("riscv64", "riscv64", Arch::ScmpArchRiscv64),
    ("s390x", "s390x", Arch::ScmpArchS390x),
    ("powerpc64", "ppc64", Arch::ScmpArchPpc64),
    ("powerpc64le", "ppc64le", Arch::ScmpArchPpc64le),
    ("loongarch64", "loong64", Arch::ScmpArchLoongarch64),
];

/// The architecture that this program was built for, where seccomp knows it.
pub fn native_architecture() -> Option<Arch> {
    native().map(|(_, _, architecture)| architecture)
}

fn native() -> Option<(&'static str, &'static str, Arch)> {
    // Rust tells the byte orders of a PowerPC apart elsewhere.
    let little_endian_power = cfg!(all(target_arch = "powerpc64", target_endian = "little"));
    let name = if little_endian_power {
        "powerpc64le"
    } else {
        std::env::consts::ARCH
    };
    ARCHITECTURES.into_iter().find(|(rust, _, _)| *rust == name)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    #[serde(default)]
    arch_map: Vec<ArchitectureGroup>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<std::path::PathBuf>,
    listener_metadata: Option<String>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArchitectureGroup {
    architecture: Arch,
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Vec<String>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// The profile in `text` for a container with these capabilities on this machine's architecture.
///
/// # Errors
/// Everything in it that cannot be understood, below `security_opt`.
pub(super) fn resolve(text: &str, capabilities: CapabilitySet) -> Result<LinuxSeccomp, Faults> {
    let profile: Profile = json::read(text, "profile").map_err(|faults| {
        faults
            .into_iter()
            .map(|fault| Fault {
                field: format!("security_opt: seccomp: {}", fault.field),
                ..fault
            })
            .fold(Faults::default(), |mut all, fault| {
                all.push(fault);
                all
            })
    })?;
    let mut faults = Faults::default();
    let mut calls = Vec::new();
    for (index, rule) in profile.syscalls.into_iter().enumerate() {
        let decided = applies(&rule, capabilities).map_err(|reason| {
            Fault::new(format!("security_opt: seccomp: syscalls[{index}]"), reason)
        });
        if faults.keep(decided) != Some(true) {
            continue;
        }
        let mut names = rule.names;
        if !rule.name.is_empty() {
            names.push(rule.name);
        }
        let mut call = LinuxSyscall::default();
        call.set_names(names)
            .set_action(rule.action)
            .set_errno_ret(rule.errno_ret)
            .set_args(rule.args.filter(|args| !args.is_empty()));
        calls.push(call);
    }
    let group = profile
        .arch_map
        .into_iter()
        .find(|group| Some(group.architecture) == native_architecture());
    let architectures = match (profile.architectures, group) {
        (Some(listed), _) => Some(listed),
        (None, Some(group)) => {
            let mut all = vec![group.architecture];
            all.extend(group.sub_architectures.into_iter().flatten());
            Some(all)
        }
        (None, None) => None,
    };
    let mut seccomp = LinuxSeccomp::default();
    seccomp
        .set_default_action(profile.default_action)
        .set_default_errno_ret(profile.default_errno_ret)
        .set_architectures(architectures)
        .set_flags(profile.flags)
        .set_listener_path(profile.listener_path)
        .set_listener_metadata(profile.listener_metadata)
        .set_syscalls(Some(calls));
    faults.into_result(seccomp)
}

/// Whether a rule counts: every condition to include it holds, and none to exclude it.
fn applies(rule: &Rule, capabilities: CapabilitySet) -> Result<bool, String> {
    let held = |names: &[String]| -> Result<Vec<bool>, String> {
        names
            .iter()
            .map(|name| {
                parse_capability(name)
                    .map(|one| capabilities.contains(one))
                    .map_err(|error| error.to_string())
            })
            .collect()
    };
    let here =
        |names: &[String]| native().is_some_and(|(_, name, _)| names.iter().any(|one| one == name));
    let mut applies = true;
    if let Some(includes) = &rule.includes {
        applies &= held(&includes.caps)?.into_iter().all(|has| has);
        applies &= includes.arches.is_empty() || here(&includes.arches);
        if let Some(version) = &includes.min_kernel {
            kernel_is_new_enough(version)?;
        }
    }
    if let Some(excludes) = &rule.excludes {
        applies &= !held(&excludes.caps)?.into_iter().any(|has| has);
        applies &= !here(&excludes.arches);
        if let Some(version) = &excludes.min_kernel {
            kernel_is_new_enough(version)?;
            applies = false;
        }
    }
    Ok(applies)
}

/// `Ok` where every kernel that Hoist runs on is at least of that version; for a newer one the answer
/// would depend on a machine that is not known here.
fn kernel_is_new_enough(version: &str) -> Result<(), String> {
    let parsed = version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match parsed {
        Some(version) if version <= OLDEST_KERNEL => Ok(()),
        Some(_) => Err(format!(
            "has a minKernel of {version}: only versions up to {}.{} can be decided",
            OLDEST_KERNEL.0, OLDEST_KERNEL.1
        )),
        None => Err(format!(
            "has a minKernel of {version:?}, which is no version such as 4.8"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO",
  "defaultErrnoRet": 1,
  "archMap": [
    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}
  ],
  "syscalls": [
    {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "always"},
    {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["nowhere"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["vax"]}},
    {"name": "old", "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["vax"]}}
  ]
}"#;

    fn names(capabilities: CapabilitySet) -> Vec<String> {
        let profile = resolve(PROFILE, capabilities).unwrap();
        let calls = profile.syscalls().clone().unwrap();
        calls.iter().flat_map(|call| call.names().clone()).collect()
    }

    #[test]
    fn conditions_are_decided_for_the_containers_capabilities() {
        assert_eq!(
            names(CapabilitySet::DOCKER_DEFAULT),
            ["read", "write", "ptrace", "clone3", "old"]
        );
        assert_eq!(
            names(CapabilitySet::ALL),
            ["read", "write", "ptrace", "bpf", "old"]
        );
    }

    #[test]
    fn the_architectures_are_those_of_this_machine() {
        let profile = resolve(PROFILE, CapabilitySet::EMPTY).unwrap();
        let architectures = profile.architectures().clone().unwrap_or_default();
        assert_eq!(architectures.first().copied(), native_architecture());
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        let faults = resolve(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscals": [], "syscalls": [{"action": "ALLOW"}]}"#,
            CapabilitySet::EMPTY,
        )
        .unwrap_err()
        .to_string();
        assert!(
            faults.contains("seccomp: syscals: unknown field"),
            "{faults}"
        );
        assert!(
            faults.contains("seccomp: syscalls[0].action: unknown variant"),
            "{faults}"
        );

        let faults = resolve(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                {"names": [], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.1"}},
                {"names": [], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_X"]}}]}"#,
            CapabilitySet::EMPTY,
        )
        .unwrap_err();
        assert_eq!(faults.len(), 2);
    }
}
