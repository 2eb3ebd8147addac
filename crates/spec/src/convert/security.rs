//! Docker's security options and capabilities.

use crate::{CapabilitySet, Command, Fault, Faults, check::is_all, parse_capability};

/// Which seccomp filter is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeccompChoice<'a> {
    /// The built-in profile.
    Default,
    /// No filter.
    Unconfined,
    /// The text of a profile; on a command line, the name of its file.
    Profile(&'a str),
}

/// One security option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecurityOption<'a> {
    NoNewPrivileges(bool),
    Seccomp(SeccompChoice<'a>),
    SystemPathsUnconfined,
    /// The AppArmor profile that confines it; none where it is unconfined, as every container is that asks for nothing.
    AppArmor(Option<&'a str>),
    /// Asks for no more than there is: no container has an SELinux label.
    NoLabel,
}

impl<'a> SecurityOption<'a> {
    /// Reads one option; docker's older `name:value` is taken too.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .or_else(|| text.split_once(':'))
            .map_or((text, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("no-new-privileges", None | Some("true")) => Ok(Self::NoNewPrivileges(true)),
            ("no-new-privileges", Some("false")) => Ok(Self::NoNewPrivileges(false)),
            ("no-new-privileges", Some(_)) => Err("is neither true nor false".to_owned()),
            ("seccomp", Some("unconfined")) => Ok(Self::Seccomp(SeccompChoice::Unconfined)),
            ("seccomp", Some("builtin")) => Ok(Self::Seccomp(SeccompChoice::Default)),
            ("seccomp", Some(profile)) if !profile.is_empty() => {
                Ok(Self::Seccomp(SeccompChoice::Profile(profile)))
            }
            ("systempaths", Some("unconfined")) => Ok(Self::SystemPathsUnconfined),
            ("apparmor", Some("unconfined")) => Ok(Self::AppArmor(None)),
            ("apparmor", Some(profile)) if !profile.is_empty() => {
                crate::check::one_line(profile)?;
                Ok(Self::AppArmor(Some(profile)))
            }
            ("label", Some("disable")) => Ok(Self::NoLabel),
            ("label", Some(_)) => Err(
                "changes a part of an SELinux label, whose other parts only the policy of the machine knows, and Hoist does not read that; \
                 only label=disable is taken"
                    .to_owned(),
            ),
            _ => Err(
                "is no security option: use no-new-privileges, seccomp=…, systempaths=unconfined, \
                 apparmor=… or label=disable"
                    .to_owned(),
            ),
        }
    }
}

/// What a command's security options and capabilities come to.
pub(super) struct Security<'a> {
    pub(super) no_new_privileges: bool,
    pub(super) seccomp: SeccompChoice<'a>,
    /// Whether the kernel's system files are hidden and protected.
    pub(super) system_paths: bool,
    /// The AppArmor profile.
    pub(super) apparmor: Option<&'a str>,
    pub(super) capabilities: CapabilitySet,
}

impl<'a> Security<'a> {
    /// Of a command; of two options of a kind the later counts.
    ///
    /// # Errors
    /// Each option that is none.
    pub(super) fn of(command: &'a Command) -> Result<Self, Faults> {
        let mut security = Self {
            no_new_privileges: false,
            seccomp: SeccompChoice::Default,
            system_paths: true,
            apparmor: None,
            capabilities: capabilities(&command.cap_add, &command.cap_drop),
        };
        if command.privileged {
            security.seccomp = SeccompChoice::Unconfined;
            security.system_paths = false;
            security.capabilities = capabilities(&["ALL".to_owned()], &command.cap_drop);
        }
        let mut faults = Faults::default();
        for (index, text) in command.security_opt.iter().enumerate() {
            match SecurityOption::parse(text) {
                Ok(SecurityOption::NoNewPrivileges(set)) => security.no_new_privileges = set,
                Ok(SecurityOption::Seccomp(choice)) => security.seccomp = choice,
                Ok(SecurityOption::SystemPathsUnconfined) => security.system_paths = false,
                Ok(SecurityOption::AppArmor(profile)) => security.apparmor = profile,
                Ok(SecurityOption::NoLabel) => {}
                Err(reason) => faults.push(Fault::of_value(
                    format!("security_opt[{index}]"),
                    text,
                    reason,
                )),
            }
        }
        faults.into_result(security)
    }
}

/// Docker's rule: `ALL` added means all but those taken away; `ALL` taken away, only those added; else the
/// default ones without those taken away, and those added. Names that are none are faults elsewhere.
fn capabilities(add: &[String], drop: &[String]) -> CapabilitySet {
    let all = |names: &[String]| names.iter().any(|name| is_all(name));
    let set = |names: &[String]| -> CapabilitySet {
        names
            .iter()
            .filter_map(|name| parse_capability(name).ok())
            .collect()
    };
    if all(add) {
        CapabilitySet::ALL.difference(set(drop))
    } else if all(drop) {
        set(add)
    } else {
        CapabilitySet::DOCKER_DEFAULT
            .difference(set(drop))
            .union(set(add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Capability;

    fn caps(add: &[&str], drop: &[&str]) -> CapabilitySet {
        let texts = |names: &[&str]| -> Vec<_> { names.iter().map(|n| (*n).to_owned()).collect() };
        capabilities(&texts(add), &texts(drop))
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        assert_eq!(caps(&[], &[]), CapabilitySet::DOCKER_DEFAULT);
        assert_eq!(caps(&[], &["all"]), CapabilitySet::EMPTY);
        assert_eq!(caps(&["ALL"], &[]), CapabilitySet::ALL);
        assert!(!caps(&["ALL"], &["sys_admin"]).contains(Capability::SysAdmin));
        assert_eq!(
            caps(&["CAP_NET_ADMIN"], &["ALL"])
                .names()
                .collect::<Vec<_>>(),
            ["CAP_NET_ADMIN"]
        );
        let both = caps(&["SYS_TIME", "KILL"], &["CHOWN", "KILL"]);
        assert!(both.contains(Capability::SysTime) && both.contains(Capability::Kill));
        assert!(!both.contains(Capability::Chown));
        assert_eq!(both.iter().count(), 14);
    }

    #[test]
    fn options_are_read_with_an_equals_sign_and_with_a_colon() {
        for (text, option) in [
            ("no-new-privileges", SecurityOption::NoNewPrivileges(true)),
            (
                "no-new-privileges:true",
                SecurityOption::NoNewPrivileges(true),
            ),
            (
                "no-new-privileges=false",
                SecurityOption::NoNewPrivileges(false),
            ),
            (
                "seccomp:unconfined",
                SecurityOption::Seccomp(SeccompChoice::Unconfined),
            ),
            (
                "seccomp=builtin",
                SecurityOption::Seccomp(SeccompChoice::Default),
            ),
            (
                "seccomp=a:b=c",
                SecurityOption::Seccomp(SeccompChoice::Profile("a:b=c")),
            ),
            (
                "systempaths=unconfined",
                SecurityOption::SystemPathsUnconfined,
            ),
            ("label=disable", SecurityOption::NoLabel),
            ("apparmor=unconfined", SecurityOption::AppArmor(None)),
            ("apparmor:mine", SecurityOption::AppArmor(Some("mine"))),
        ] {
            assert_eq!(SecurityOption::parse(text), Ok(option), "{text}");
        }
        for text in [
            "",
            "seccomp",
            "seccomp=",
            "apparmor=",
            "apparmor=a\nb",
            "label=type:y",
            "no-new-privileges=1",
            "x",
        ] {
            assert!(SecurityOption::parse(text).is_err(), "{text}");
        }
    }
}
