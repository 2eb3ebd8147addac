//! Which cgroup hierarchies a host has, as a value; and its pure assembly from what the kernel tells.
//!
//! Looking at the host is `detect`'s work.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where hierarchies are mounted on every distribution (file-hierarchy(7)).
const ROOT: &str = "/sys/fs/cgroup";

/// The version of a hierarchy's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// `cgroup`: one hierarchy for one or a few controllers.
    V1,
    /// `cgroup2`: the unified hierarchy.
    V2,
}

/// What a host's hierarchies are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only v1 hierarchies.
    V1,
    /// Only the unified hierarchy.
    V2,
    /// Both.
    Hybrid,
    /// None that can be used.
    None,
}

/// Below which directory of each hierarchy a container's cgroup is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The root of the mount: for a privileged Hoist, whatever cgroup it was started in.
    Mount,
    /// The cgroup of the calling process: for one that only has a delegated part of the tree.
    Own,
}

/// One usable hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Its controllers; a v1 hierarchy without any has its name here (`name=systemd`).
    pub controllers: Vec<String>,
    /// Its interface.
    pub version: Version,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// The cgroup of the process that looked, from the root of its cgroup namespace.
    pub own_path: String,
}

impl Hierarchy {
    /// The directory of the cgroup `name` below `base`.
    pub fn directory(&self, base: Base, name: &str) -> PathBuf {
        // Not `join`: a plan is also shown on Windows, where that puts backslashes.
        let mount = self.mount_point.display();
        let own = match base {
            Base::Mount => "",
            Base::Own => self.own_path.trim_matches('/'),
        };
        PathBuf::from(match own {
            "" => format!("{mount}/{name}"),
            own => format!("{mount}/{own}/{name}"),
        })
    }

    /// What to call it in messages: `memory`, `cpu,cpuacct`, `name=systemd`, `cgroup2`.
    pub fn label(&self) -> String {
        match self.version {
            Version::V1 => self.controllers.join(","),
            Version::V2 => "cgroup2".to_owned(),
        }
    }

    fn offers(&self, v1: &str, v2: &str) -> bool {
        let name = match self.version {
            Version::V1 => v1,
            Version::V2 => v2,
        };
        self.controllers.iter().any(|controller| controller == name)
    }
}

/// A hierarchy that exists and cannot be used here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusable {
    /// As [`Hierarchy::controllers`]; empty for the unified hierarchy, whose controllers could not be looked up.
    pub controllers: Vec<String>,
    /// Why.
    pub reason: String,
}

/// The cgroup hierarchies of a host, as one process sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Those a container's cgroup is made in; [`Write::hierarchy`](super::Write::hierarchy) counts from here.
    pub hierarchies: Vec<Hierarchy>,
    /// The others.
    pub unusable: Vec<Unusable>,
}

/// What is found at a path where a hierarchy may be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The interface of the hierarchy that is mounted there.
    pub version: Version,
    /// Whether the mount cannot be written to.
    pub read_only: bool,
}

impl Layout {
    /// What the usable hierarchies are together.
    pub fn kind(&self) -> Kind {
        let has = |version| {
            self.hierarchies
                .iter()
                .any(|hierarchy| hierarchy.version == version)
        };
        match (has(Version::V1), has(Version::V2)) {
            (true, true) => Kind::Hybrid,
            (true, false) => Kind::V1,
            (false, true) => Kind::V2,
            (false, false) => Kind::None,
        }
    }

    /// Keeps the hierarchies that `look` does not refuse; of the others its reason is kept.
    pub fn keep(&mut self, look: impl Fn(&Hierarchy) -> Result<(), String>) {
        let unusable = &mut self.unusable;
        self.hierarchies.retain(|hierarchy| {
            look(hierarchy)
                .map_err(|reason| {
                    unusable.push(Unusable {
                        controllers: match hierarchy.version {
                            Version::V1 => hierarchy.controllers.clone(),
                            Version::V2 => Vec::new(),
                        },
                        reason,
                    });
                })
                .is_ok()
        });
    }

    /// The index of the unified hierarchy.
    pub fn unified(&self) -> Option<usize> {
        self.hierarchies
            .iter()
            .position(|hierarchy| hierarchy.version == Version::V2)
    }

    /// The index of the hierarchy with the controller called `v1` or `v2` there; where there is none, the reason.
    pub fn find(&self, v1: &str, v2: &str) -> Result<usize, String> {
        if let Some(index) = self
            .hierarchies
            .iter()
            .position(|hierarchy| hierarchy.offers(v1, v2))
        {
            return Ok(index);
        }
        let unusable = self.unusable.iter().find(|unusable| {
            unusable.controllers.is_empty() || unusable.controllers.iter().any(|name| name == v1)
        });
        Err(match unusable {
            Some(unusable) => unusable.reason.clone(),
            None if self.hierarchies.is_empty() => "no cgroup hierarchy is mounted".to_owned(),
            None => "no mounted cgroup hierarchy has it".to_owned(),
        })
    }

    /// Puts a layout together from the text of `/proc/self/cgroup` (cgroups(7)), from what `look` finds at a path, and
    /// from the text of a `cgroup.controllers`.
    pub fn assemble(
        memberships: &str,
        look: &dyn Fn(&Path) -> Option<Mounted>,
        controllers_at: &dyn Fn(&Path) -> String,
    ) -> Self {
        let mut layout = Self::default();
        for line in memberships.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(number), Some(names), Some(own_path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let (version, candidates) = if number == "0" {
                (
                    Version::V2,
                    vec![
                        PathBuf::from(ROOT),
                        PathBuf::from(format!("{ROOT}/unified")),
                    ],
                )
            } else {
                (Version::V1, v1_candidates(names))
            };
            let mut controllers: Vec<String> = names
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect();
            let found = candidates.iter().find_map(|path| {
                look(path)
                    .filter(|mounted| mounted.version == version)
                    .map(|mounted| (path, mounted))
            });
            match found {
                Some((path, mounted)) if !mounted.read_only => {
                    if version == Version::V2 {
                        controllers = controllers_at(path)
                            .split_ascii_whitespace()
                            .map(str::to_owned)
                            .collect();
                    }
                    layout.hierarchies.push(Hierarchy {
                        controllers,
                        version,
                        mount_point: path.clone(),
                        own_path: own_path.to_owned(),
                    });
                }
                Some((path, _)) => layout.unusable.push(Unusable {
                    controllers,
                    reason: format!(
                        "its cgroup hierarchy is mounted read-only at {}",
                        path.display()
                    ),
                }),
                // A v1 host has the unified hierarchy too, unmounted: no controller is missing for that.
                None if version == Version::V2 && !layout.hierarchies.is_empty() => {}
                None => layout.unusable.push(Unusable {
                    controllers,
                    reason: format!(
                        "its cgroup hierarchy is not mounted at {}",
                        candidates
                            .first()
                            .map_or(Path::new(ROOT), PathBuf::as_path)
                            .display()
                    ),
                }),
            }
        }
        layout
    }
}

/// `cpu,cpuacct` is mounted at a directory of that name, or at one named after a single controller, which may be a
/// symbolic link; `name=systemd` at `systemd`.
fn v1_candidates(names: &str) -> Vec<PathBuf> {
    let at = |name: &str| PathBuf::from(format!("{ROOT}/{name}"));
    let whole = names.strip_prefix("name=").unwrap_or(names);
    let mut candidates = vec![at(whole)];
    if whole.contains(',') {
        candidates.extend(whole.split(',').map(at));
    }
    candidates
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    type Mounts<'a> = &'a [(&'a str, Version, bool)];

    fn assemble(memberships: &str, mounts: Mounts<'_>, controllers: &str) -> Layout {
        Layout::assemble(
            memberships,
            &|path| {
                mounts.iter().find(|(at, _, _)| Path::new(at) == path).map(
                    |(_, version, read_only)| Mounted {
                        version: *version,
                        read_only: *read_only,
                    },
                )
            },
            &|_| controllers.to_owned(),
        )
    }

    pub(crate) fn v2_only() -> Layout {
        assemble(
            "0::/user.slice/session-1.scope\n",
            &[("/sys/fs/cgroup", Version::V2, false)],
            "cpuset cpu io memory hugetlb pids rdma misc\n",
        )
    }

    pub(crate) fn hybrid() -> Layout {
        assemble(
            "3:cpu,cpuacct:/a\n2:memory:/b\n1:name=systemd:/c\n4:devices:/\n5:pids:/\n6:freezer:/\n7:blkio:/\n8:cpuset:/\n0::/d\n",
            &[
                ("/sys/fs/cgroup/cpu", Version::V1, false),
                ("/sys/fs/cgroup/memory", Version::V1, false),
                ("/sys/fs/cgroup/systemd", Version::V1, false),
                ("/sys/fs/cgroup/devices", Version::V1, false),
                ("/sys/fs/cgroup/pids", Version::V1, false),
                ("/sys/fs/cgroup/freezer", Version::V1, false),
                ("/sys/fs/cgroup/blkio", Version::V1, false),
                ("/sys/fs/cgroup/cpuset", Version::V1, false),
                ("/sys/fs/cgroup/unified", Version::V2, false),
            ],
            "hugetlb\n",
        )
    }

    #[test]
    fn a_v2_host_has_one_hierarchy_with_the_controllers_it_lists() {
        let layout = v2_only();
        assert_eq!(layout.kind(), Kind::V2);
        assert_eq!(layout.find("memory", "memory"), Ok(0));
        assert_eq!(layout.find("blkio", "io"), Ok(0));
        assert!(layout.find("devices", "devices").is_err());
        assert_eq!(
            layout.hierarchies[0].directory(Base::Own, "hoist/a"),
            Path::new("/sys/fs/cgroup/user.slice/session-1.scope/hoist/a")
        );
    }

    #[test]
    fn a_hybrid_host_has_v1_controllers_and_the_unified_hierarchy() {
        let layout = hybrid();
        assert_eq!(layout.kind(), Kind::Hybrid);
        let cpu = layout.find("cpu", "cpu").unwrap();
        assert_eq!(
            layout.hierarchies[cpu].mount_point,
            Path::new("/sys/fs/cgroup/cpu")
        );
        assert_eq!(layout.find("cpuacct", "cpu"), Ok(cpu));
        assert_eq!(layout.find("hugetlb", "hugetlb"), Ok(8));
        assert_eq!(layout.hierarchies[2].controllers, ["name=systemd"]);
        assert_eq!(layout.unified(), Some(8));
    }

    #[test]
    fn a_v1_host_does_not_miss_the_unmounted_unified_hierarchy() {
        let layout = assemble(
            "1:memory:/\n0::/\n",
            &[("/sys/fs/cgroup/memory", Version::V1, false)],
            "",
        );
        assert_eq!(layout.kind(), Kind::V1);
        assert_eq!(layout.unusable, []);
    }

    #[test]
    fn a_directory_of_the_right_name_that_is_no_cgroup_mount_is_not_used() {
        let layout = assemble("1:memory:/\n", &[], "");
        assert_eq!(layout.kind(), Kind::None);
        assert_eq!(
            layout.find("memory", "memory").unwrap_err(),
            "its cgroup hierarchy is not mounted at /sys/fs/cgroup/memory"
        );
    }

    #[test]
    fn a_read_only_hierarchy_is_remembered_with_its_reason() {
        let layout = assemble("0::/\n", &[("/sys/fs/cgroup", Version::V2, true)], "");
        assert_eq!(layout.kind(), Kind::None);
        let reason = layout.find("pids", "pids").unwrap_err();
        assert!(
            reason.contains("mounted read-only at /sys/fs/cgroup"),
            "{reason}"
        );
    }

    #[test]
    fn a_host_without_cgroups_has_none() {
        let layout = assemble("", &[], "");
        assert_eq!(layout.kind(), Kind::None);
        assert!(layout.find("cpu", "cpu").is_err());
    }

    #[test]
    fn a_cgroup_path_may_contain_colons() {
        let layout = assemble(
            "0::/a:b\n",
            &[("/sys/fs/cgroup/unified", Version::V2, false)],
            "",
        );
        assert_eq!(layout.hierarchies[0].own_path, "/a:b");
    }
}
