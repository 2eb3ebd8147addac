//! The report of what this host can do, with the reason and the remedy for what it cannot.

use std::{fs, io};

use hoist_compute::{Feature, Features, errno};
use rustix::thread::UnshareFlags;

use super::{
    HostFeatures, KernelVersion, NO_CGROUP_OF_USER,
    accounts::{may_map, program, subordinate_ids},
    probe::{self, Probe},
};
use crate::cgroup::layout::{Kind, Version};

/// Why a thing cannot be had, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The reason, as a clause.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// Why this machine lets its ordinary users make no user namespace, as far as its settings tell.
///
/// For the error of a start that failed to make one.
pub fn user_namespace_obstacle() -> Option<Obstacle> {
    const SETTINGS: [(&str, &str, &str, &str); 3] = [
        (
            "/proc/sys/user/max_user_namespaces",
            "0",
            "the setting user.max_user_namespaces is 0",
            "as root: sysctl -w user.max_user_namespaces=15000",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "the setting kernel.unprivileged_userns_clone is 0",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "AppArmor restricts user namespaces of ordinary users",
            "give hoist an AppArmor profile with the rule `userns,`, or as root: \
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ];
    SETTINGS
        .into_iter()
        .find(|(path, value, ..)| setting(path).as_deref() == Some(value))
        .map(|(_, _, reason, remedy)| Obstacle {
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        })
}

impl HostFeatures {
    /// Tries out what containers of this process need. Takes some milliseconds and child processes; nothing of
    /// this host is changed.
    pub fn report(&self) -> Features {
        let probe = Probe::new(self);
        let mut list = List(Vec::new());
        self.about_process(&mut list);
        let user_namespace = probe.user_namespace();
        let namespaces = self.privileged || user_namespace.is_ok();
        list.push(user_namespaces(user_namespace));
        for (name, kind) in [
            ("mount namespaces", UnshareFlags::NEWNS),
            ("pid namespaces", UnshareFlags::NEWPID),
            ("network namespaces", UnshareFlags::NEWNET),
            ("ipc namespaces", UnshareFlags::NEWIPC),
            ("uts namespaces", UnshareFlags::NEWUTS),
            ("cgroup namespaces", UnshareFlags::NEWCGROUP),
            ("time namespaces", UnshareFlags::NEWTIME),
        ] {
            list.tried(name, namespaces, || probe.namespace(kind));
        }
        list.tried("overlayfs", namespaces, || probe.overlay());
        list.tried("procfs", namespaces, || probe.procfs());
        list.tried("fsopen", namespaces, || probe.fsopen());
        list.tried("mount_setattr", namespaces, || probe.mount_setattr());
        list.tried("openat2", true, probe::openat2_call);
        list.tried("clone3", true, probe::clone3_call);
        list.tried("pidfd", true, probe::pidfd_call);
        list.tried("seccomp", true, probe::seccomp_call);
        list.push(memfd_exec());
        self.about_layers(&mut list);
        list.push(Feature {
            name: "id-mapped mounts",
            available: self.privileged,
            detail: match self.privileged {
                true => String::new(),
                false => "only root may map the ids of mounts".to_owned(),
            },
            remedy: None,
        });
        list.push(security_modules());
        self.about_cgroups(&mut list);
        list.push(self.id_maps());
        Features {
            backend: "linux",
            features: list.0,
        }
    }

    fn about_process(&self, list: &mut List) {
        let oldest = KernelVersion::OLDEST;
        list.push(Feature {
            name: "kernel",
            available: self.kernel >= oldest,
            detail: format!("version {}", self.kernel),
            remedy: (self.kernel < oldest).then(|| format!("use Linux {oldest} or newer")),
        });
        list.push(Feature {
            name: "root privileges",
            available: self.privileged,
            detail: match (self.privileged, self.initial_user_namespace) {
                (true, true) => "root with CAP_SYS_ADMIN".to_owned(),
                (true, false) => "root of a user namespace".to_owned(),
                (false, _) if self.uid == 0 => "root without CAP_SYS_ADMIN".to_owned(),
                (false, _) => format!("user {}: containers get a user namespace", self.uid),
            },
            remedy: None,
        });
    }

    /// What layers are put together by.
    fn about_layers(&self, list: &mut List) {
        let is_there = program("fuse-overlayfs").is_some();
        list.push(Feature {
            name: "fuse-overlayfs",
            available: false,
            detail: match is_there {
                true => {
                    "installed, and not used: layers are put together by the kernel's overlayfs"
                        .to_owned()
                }
                false => "not used: layers are put together by the kernel's overlayfs".to_owned(),
            },
            remedy: (!self.privileged && !self.overlay_userxattr).then(|| {
                "use Linux 5.11 or newer, whose overlayfs an ordinary user may mount".to_owned()
            }),
        });
    }

    fn about_cgroups(&self, list: &mut List) {
        let kind = self.cgroup.kind();
        let mut reasons: Vec<&str> = self
            .cgroup
            .unusable
            .iter()
            .map(|unusable| unusable.reason.as_str())
            .collect();
        reasons.dedup();
        list.push(Feature {
            name: "cgroups",
            available: kind != Kind::None,
            detail: match kind {
                Kind::V1 => "version 1".to_owned(),
                Kind::V2 => "version 2".to_owned(),
                Kind::Hybrid => "versions 1 and 2 (hybrid)".to_owned(),
                Kind::None if reasons.is_empty() => "no hierarchy is mounted".to_owned(),
                Kind::None => reasons.join("; "),
            },
            remedy: (kind == Kind::None)
                .then(|| "mount the cgroup hierarchies below /sys/fs/cgroup".to_owned()),
        });
        for hierarchy in &self.cgroup.hierarchies {
            let controllers = match hierarchy.controllers.is_empty() {
                true => "no controllers".to_owned(),
                false => hierarchy.controllers.join(", "),
            };
            list.push(Feature {
                name: match hierarchy.version {
                    Version::V1 => "cgroup v1 hierarchy",
                    Version::V2 => "cgroup v2 hierarchy",
                },
                available: true,
                detail: format!("{}: {controllers}", hierarchy.mount_point.display()),
                remedy: None,
            });
        }
        for (name, v1, v2) in [
            ("cgroup memory limits", "memory", "memory"),
            ("cgroup cpu limits", "cpu", "cpu"),
            ("cgroup cpusets", "cpuset", "cpuset"),
            ("cgroup pids limits", "pids", "pids"),
            ("cgroup block io weights", "blkio", "io"),
        ] {
            let found = if self.privileged {
                self.cgroup.find(v1, v2)
            } else {
                Err(NO_CGROUP_OF_USER.to_owned())
            };
            list.push(Feature {
                name,
                available: found.is_ok(),
                detail: match found {
                    Ok(index) => self
                        .cgroup
                        .hierarchies
                        .get(index)
                        .map(|hierarchy| hierarchy.mount_point.display().to_string())
                        .unwrap_or_default(),
                    Err(reason) => reason,
                },
                remedy: None,
            });
        }
        let into_cgroup = self.privileged && self.cgroup.unified().is_some();
        list.push(Feature {
            name: "CLONE_INTO_CGROUP",
            available: into_cgroup,
            detail: if into_cgroup {
                "a process is born in its cgroup of version 2".to_owned()
            } else if !self.privileged {
                NO_CGROUP_OF_USER.to_owned()
            } else {
                "there is no cgroup hierarchy of version 2".to_owned()
            },
            remedy: None,
        });
    }

    /// Whether a container of an ordinary user can have more than one user.
    fn id_maps(&self) -> Feature {
        let name = "sub-ids";
        if self.privileged {
            return Feature {
                name,
                available: true,
                detail: "not needed by root".to_owned(),
                remedy: None,
            };
        }
        let missing: Vec<_> = ["newuidmap", "newgidmap"]
            .into_iter()
            .filter(|helper| program(helper).is_none())
            .collect();
        let powerless: Vec<_> = ["newuidmap", "newgidmap"]
            .into_iter()
            .filter(|helper| program(helper).is_some_and(|path| !may_map(&path)))
            .collect();
        let count = |path| -> u64 {
            let lent = subordinate_ids(path, self.uid);
            lent.iter().map(|range| u64::from(range.count)).sum()
        };
        let (uids, gids) = (count("/etc/subuid"), count("/etc/subgid"));
        let (detail, remedy) = if !missing.is_empty() {
            (
                format!(
                    "{} is not installed: one id is mapped",
                    missing.join(" and ")
                ),
                Some("install the package uidmap (shadow-utils)".to_owned()),
            )
        } else if !powerless.is_empty() {
            let names = powerless.join(" and ");
            (
                format!("{names} may map nothing: one id is mapped"),
                Some(format!(
                    "as root: give it the set-user-id bit, or cap_setuid and cap_setgid ({names})"
                )),
            )
        } else if uids == 0 || gids == 0 {
            (
                format!(
                    "/etc/subuid and /etc/subgid lend user {} nothing: one id is mapped",
                    self.uid
                ),
                Some(
                    "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"
                        .to_owned(),
                ),
            )
        } else {
            (format!("{uids} user ids, {gids} group ids"), None)
        };
        Feature {
            name,
            available: remedy.is_none(),
            detail,
            remedy,
        }
    }
}

struct List(Vec<Feature>);

impl List {
    fn push(&mut self, feature: Feature) {
        self.0.push(feature);
    }

    /// What an attempt showed; where it needs namespaces and there are none, it is not made.
    fn tried(
        &mut self,
        name: &'static str,
        possible: bool,
        attempt: impl FnOnce() -> io::Result<()>,
    ) {
        let outcome = if possible {
            attempt().map_err(|error| words(&error))
        } else {
            Err("user namespaces are needed for it".to_owned())
        };
        self.push(Feature {
            name,
            available: outcome.is_ok(),
            detail: outcome.err().unwrap_or_default(),
            remedy: None,
        });
    }
}

fn user_namespaces(outcome: io::Result<()>) -> Feature {
    let (detail, remedy) = match &outcome {
        Ok(()) => (String::new(), None),
        Err(error) => match user_namespace_obstacle() {
            Some(obstacle) => (obstacle.reason, Some(obstacle.remedy)),
            None => (
                words(error),
                Some(
                    "a seccomp filter, a security module or a chroot forbids them, as in an unprivileged \
                     container; run hoist as root outside of it"
                        .to_owned(),
                ),
            ),
        },
    };
    Feature {
        name: "user namespaces",
        available: outcome.is_ok(),
        detail,
        remedy,
    }
}

/// Whether the sealed helper, an executable memfd, may be run (`vm.memfd_noexec`, admin-guide/sysctl/vm.rst).
fn memfd_exec() -> Feature {
    let forbidden = setting("/proc/sys/vm/memfd_noexec").as_deref() == Some("2");
    Feature {
        name: "executable memfd",
        available: !forbidden,
        detail: if forbidden {
            "the setting vm.memfd_noexec is 2".to_owned()
        } else {
            String::new()
        },
        remedy: forbidden.then(|| "as root: sysctl -w vm.memfd_noexec=1".to_owned()),
    }
}

/// The security modules that are at work, in their order (`/sys/kernel/security/lsm`).
fn security_modules() -> Feature {
    let listed = setting("/sys/kernel/security/lsm").filter(|list| !list.is_empty());
    let own = setting("/proc/self/attr/current")
        .map(|label| label.trim_end_matches('\0').to_owned())
        .filter(|label| !label.is_empty());
    let mut detail = match &listed {
        Some(list) => list.replace(',', ", "),
        None => "which are at work cannot be told: securityfs is not mounted".to_owned(),
    };
    if let Some(label) = own {
        detail.push_str(&format!("; this process runs as {label}"));
    }
    Feature {
        name: "security modules",
        available: listed.is_some(),
        detail,
        remedy: listed
            .is_none()
            .then(|| "as root: mount -t securityfs securityfs /sys/kernel/security".to_owned()),
    }
}

fn setting(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => errno::describe(number),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_this_host_is_told_and_what_is_missing_has_a_reason() {
        let features = HostFeatures::quick().unwrap().report().features;
        for name in [
            "kernel",
            "user namespaces",
            "overlayfs",
            "cgroups",
            "sub-ids",
        ] {
            assert!(
                features.iter().any(|feature| feature.name == name),
                "{name}"
            );
        }
        for feature in &features {
            assert!(
                feature.available || !feature.detail.is_empty(),
                "{}",
                feature.name
            );
        }
    }

    #[test]
    fn without_any_namespace_what_needs_one_is_said_to_need_it() {
        let mut list = List(Vec::new());
        list.tried("overlayfs", false, || Ok(()));
        assert!(!list.0[0].available);
        assert!(list.0[0].detail.contains("user namespaces"));
    }
}
