//! Seccomp: which filter a container's processes get.
//!
//! `compiler` turns a profile into a program, `program` lays its instructions out, `table` knows
//! the numbers of system calls. All of it is pure and builds on every operating system; installing
//! a filter is the helper's work. The filter of the default profile with docker's default
//! capabilities, which nearly every container gets, is compiled when Hoist is built.

mod compiler;
mod program;
mod table;

#[cfg(test)]
mod tests;

use hoist_spec::SeccompPolicy;
use hoist_spec::oci::LinuxSeccomp;
use hoist_spec::seccomp::{DECIDING_CAPABILITIES, DEFAULT_CAPABILITIES, default_profile};

pub use compiler::{Filter, SeccompError};
pub use program::Instruction;
use table::Host;

/// Made by the build script.
#[allow(dead_code, reason = "each host uses its own table, tests use all")]
mod numbers {
    use super::table::SyscallTable;

    include!(concat!(env!("OUT_DIR"), "/syscall_tables.rs"));
}

/// Made by the build script; empty for a target without tables.
const DEFAULT_PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default_seccomp.bpf"));

#[cfg(target_arch = "x86_64")]
const HOST: Option<Host<'static>> = Some(Host {
    abis: table::X86_ABIS,
    syscalls: numbers::X86,
});
#[cfg(target_arch = "aarch64")]
const HOST: Option<Host<'static>> = Some(Host {
    abis: table::ARM_ABIS,
    syscalls: numbers::ARM,
});
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const HOST: Option<Host<'static>> = None;

/// The filter for a container; `None` where it gets none.
///
/// `profile` is `linux.seccomp` of the OCI document, used with [`SeccompPolicy::Oci`] only.
/// `capabilities` is the bounding set as a bit mask, used with [`SeccompPolicy::Default`] only;
/// where it agrees with docker's in what the default profile depends on, nothing is compiled.
///
/// # Errors
///
/// [`SeccompError`]: a profile that makes no sense or a filter that grows too long. The default
/// profile fails on hosts other than x86-64 and 64-bit Arm only.
pub fn filter_for(
    policy: SeccompPolicy,
    profile: Option<&LinuxSeccomp>,
    capabilities: u64,
) -> Result<Option<Filter>, SeccompError> {
    let Some(profile) = (match policy {
        SeccompPolicy::Unconfined => None,
        SeccompPolicy::Default => Some(None),
        SeccompPolicy::Oci => profile.map(Some),
    }) else {
        return Ok(None);
    };
    let host = HOST.ok_or(SeccompError::UnsupportedHost)?;
    let filter = match profile {
        Some(profile) => compiler::compile(profile, &host)?,
        None if is_built_in(capabilities) => built_in(),
        None => compile_default(capabilities, &host)?,
    };
    Ok(Some(filter))
}

fn is_built_in(capabilities: u64) -> bool {
    (capabilities ^ DEFAULT_CAPABILITIES) & DECIDING_CAPABILITIES == 0
}

fn built_in() -> Filter {
    let (instructions, _) = DEFAULT_PROGRAM.as_chunks();
    Filter {
        program: instructions
            .iter()
            .map(|bytes| Instruction::from_bytes(*bytes))
            .collect(),
        flags: compiler::flag::SPEC_ALLOW,
        notify: false,
        ignored: Vec::new(),
    }
}

fn compile_default(capabilities: u64, host: &Host<'_>) -> Result<Filter, SeccompError> {
    let filter = compiler::compile(&default_profile(capabilities, host.abis[0].arch), host)?;
    Ok(Filter {
        // The profile names the calls of every architecture: that some are strange here means
        // nothing.
        ignored: Vec::new(),
        ..filter
    })
}
