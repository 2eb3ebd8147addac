//! How a program is found, and with which environment and limits it starts, as docker and the kernel have it.

use crate::oci::{PosixRlimitType, Process};
use crate::user::Identity;

/// `$PATH` where the environment has none, as docker has it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The spec's environment, with `HOME` where it has none.
pub fn environment(oci: &Process, identity: &Identity) -> Vec<String> {
    let mut environment = oci.env().clone().unwrap_or_default();
    if !environment.iter().any(|entry| entry.starts_with("HOME=")) {
        environment.push(format!("HOME={}", identity.home));
    }
    environment
}

/// The paths to try for a program: its own where it has a slash, else one per absolute directory of the environment's `$PATH`.
pub fn candidates(program: &str, environment: &[String]) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    environment
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH)
        .split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| format!("{}/{program}", directory.trim_end_matches('/')))
        .collect()
}

/// `RLIMIT_*` (getrlimit(2), x86 and ARM numbering).
pub fn rlimit_number(kind: PosixRlimitType) -> u32 {
    match kind {
        PosixRlimitType::RlimitCpu => 0,
        PosixRlimitType::RlimitFsize => 1,
        PosixRlimitType::RlimitData => 2,
        PosixRlimitType::RlimitStack => 3,
        PosixRlimitType::RlimitCore => 4,
        PosixRlimitType::RlimitRss => 5,
        PosixRlimitType::RlimitNproc => 6,
        PosixRlimitType::RlimitNofile => 7,
        PosixRlimitType::RlimitMemlock => 8,
        PosixRlimitType::RlimitAs => 9,
        PosixRlimitType::RlimitLocks => 10,
        PosixRlimitType::RlimitSigpending => 11,
        PosixRlimitType::RlimitMsgqueue => 12,
        PosixRlimitType::RlimitNice => 13,
        PosixRlimitType::RlimitRtprio => 14,
        PosixRlimitType::RlimitRttime => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_a_slash_is_looked_for_along_the_path() {
        let along = |program, path: &str| candidates(program, &[format!("PATH={path}")]);
        assert_eq!(
            along("sh", "/usr/bin:bin::/bin/"),
            ["/usr/bin/sh", "/bin/sh"]
        );
        assert_eq!(along("./sh", "/usr/bin"), ["./sh"]);
        assert_eq!(along("/bin/sh", "/usr/bin"), ["/bin/sh"]);
        assert_eq!(candidates("sh", &[])[0], "/usr/local/sbin/sh");
    }
}
