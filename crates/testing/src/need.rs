//! What a test needs of the machine, looked at once when the first test asks.

use std::{
    collections::HashMap,
    fmt, fs,
    path::Path,
    process::Command,
    sync::{Mutex, OnceLock},
};

use crate::probe::{self, sys};

/// Something that not every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The effective user is root with CAP_SYS_ADMIN.
    Root,
    /// The effective user is not root.
    OrdinaryUser,
    /// Containers can be made: as root, or as another user in a user namespace.
    Namespaces,
    /// A user namespace can be made and what containers need can be done inside it.
    UserNamespaces,
    /// A cgroup v1 hierarchy with the memory controller that this user may write.
    CgroupV1,
    /// The unified cgroup v2 hierarchy with its controllers.
    CgroupV2,
    /// cgroup v1 controllers and a cgroup v2 hierarchy side by side.
    Hybrid,
    /// A container's memory can be limited: [`Need::CgroupV1`] or [`Need::CgroupV2`].
    Limits,
    /// A docker daemon that answers.
    Docker,
    /// The next process id can be chosen (`/proc/sys/kernel/ns_last_pid`).
    ChosenPids,
    /// systemd is the machine's first process (sd_booted(3)).
    Systemd,
    /// criu works with this kernel (criu(8), `check`).
    Criu,
    /// A kernel that runs with AppArmor.
    AppArmor,
    /// A kernel that runs with SELinux and enforces the tests' own policy (`xtask/src/vm/policy.cil`).
    SeLinux,
    /// The same with the reference policy and its types for containers, and the tests are not confined by it.
    ReferencePolicy,
    /// A program on `PATH`.
    Tool(&'static str),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::OrdinaryUser => "user",
            Self::Namespaces => "namespaces",
            Self::UserNamespaces => "userns",
            Self::CgroupV1 => "cgroup-v1",
            Self::CgroupV2 => "cgroup-v2",
            Self::Hybrid => "hybrid",
            Self::Limits => "limits",
            Self::Docker => "docker",
            Self::ChosenPids => "chosen-pids",
            Self::Systemd => "systemd",
            Self::Criu => "checkpoints",
            Self::AppArmor => "apparmor",
            Self::SeLinux => "selinux",
            Self::ReferencePolicy => "reference-policy",
            Self::Tool(name) => name,
        })
    }
}

impl Need {
    /// Why this need is not met here, in clear words; `None` where it is met.
    pub fn missing(self) -> Option<String> {
        static SEEN: OnceLock<Mutex<HashMap<Need, Option<String>>>> = OnceLock::new();
        let seen = SEEN.get_or_init(Mutex::default);
        // Held while it is looked: two looks at once would be in each other's way.
        let mut seen = seen.lock().unwrap();
        seen.entry(self).or_insert_with(|| self.look()).clone()
    }

    /// Whether `HOIST_TESTS_MUST_RUN` (names with commas between) promises that it is met here.
    pub fn is_promised(self) -> bool {
        std::env::var("HOIST_TESTS_MUST_RUN").is_ok_and(|promises| {
            promises
                .split(',')
                .any(|promise| promise.trim() == self.to_string())
        })
    }

    fn look(self) -> Option<String> {
        match self {
            Self::Root => {
                (!probe::is_administrator()).then(|| "it needs root with CAP_SYS_ADMIN".to_owned())
            }
            Self::OrdinaryUser => {
                (sys::effective_uid() == 0).then(|| "it needs a user other than root".to_owned())
            }
            Self::Namespaces => try_namespaces("any"),
            Self::UserNamespaces => try_namespaces("user"),
            Self::CgroupV1 => cgroup_v1(),
            Self::CgroupV2 => cgroup_v2(),
            Self::Hybrid => cgroup_v1().or_else(|| {
                filesystem_at_some_mount("cgroup2")
                    .is_none()
                    .then(|| "no cgroup v2 hierarchy is mounted beside v1".to_owned())
            }),
            Self::Limits => cgroup_v1()
                .and_then(|first| cgroup_v2().map(|second| format!("{first}, and {second}"))),
            Self::Docker => {
                (!succeeds("docker", &["version"])).then(|| "no docker daemon answers".to_owned())
            }
            Self::ChosenPids => {
                let file = "/proc/sys/kernel/ns_last_pid";
                fs::OpenOptions::new()
                    .write(true)
                    .open(file)
                    .err()
                    .map(|error| format!("{file} cannot be written: {error}"))
            }
            Self::Systemd => (!Path::new("/run/systemd/system").is_dir())
                .then(|| "systemd is not this machine's first process".to_owned()),
            Self::Criu => match std::process::Command::new("criu").arg("check").output() {
                Ok(check) if check.status.success() => None,
                Ok(check) => Some(format!(
                    "criu does not work with this kernel: {}",
                    String::from_utf8_lossy(&check.stderr)
                        .lines()
                        .next()
                        .unwrap_or_default()
                )),
                Err(error) => Some(format!("criu cannot be started: {error}")),
            },
            Self::AppArmor => {
                let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
                let is_enabled = enabled.is_ok_and(|text| text.trim() == "Y");
                (!is_enabled).then(|| "the kernel runs without AppArmor".to_owned())
            }
            // No other policy has a type of this name.
            Self::SeLinux => selinux("system_u:system_r:other_container_t:s0"),
            Self::ReferencePolicy => selinux("system_u:system_r:container_engine_t:s0"),
            Self::Tool(name) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                (!std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
                    .then(|| format!("{name} is not on PATH"))
            }
        }
    }
}

/// Why SELinux does not enforce the policy that knows this label.
fn selinux(label: &str) -> Option<String> {
    let folder = Path::new("/sys/fs/selinux");
    match fs::read_to_string(folder.join("enforce")).as_deref() {
        Ok("1") => {}
        Ok(_) => return Some("SELinux enforces nothing".to_owned()),
        Err(_) => return Some("the kernel runs without SELinux".to_owned()),
    }
    fs::write(folder.join("context"), label)
        .err()
        .map(|_| "SELinux runs with another policy than these tests want".to_owned())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Tries it in a process of its own: namespaces once made cannot be left.
fn try_namespaces(kind: &str) -> Option<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["probe", "namespaces", kind])
        .output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "containers cannot be made here: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("the probe cannot be started: {error}")),
    }
}

/// The mount point of the first file system of this type that has every one of `options` among its own.
fn filesystem_with(kind: &str, option: &str) -> Option<String> {
    probe::report::mounts()?
        .into_iter()
        .find(|mount| {
            mount.kind == kind
                && (option.is_empty() || mount.super_options.split(',').any(|word| word == option))
        })
        .map(|mount| mount.target)
}

fn filesystem_at_some_mount(kind: &str) -> Option<String> {
    filesystem_with(kind, "")
}

fn cgroup_v1() -> Option<String> {
    let Some(target) = filesystem_with("cgroup", "memory") else {
        return Some("no cgroup v1 memory hierarchy is mounted".to_owned());
    };
    (!writable(Path::new(&target))).then(|| format!("this user may not make cgroups in {target}"))
}

fn cgroup_v2() -> Option<String> {
    let Some(target) = filesystem_at_some_mount("cgroup2") else {
        return Some("no cgroup v2 hierarchy is mounted".to_owned());
    };
    let controllers =
        fs::read_to_string(Path::new(&target).join("cgroup.controllers")).unwrap_or_default();
    if !controllers.split_whitespace().any(|name| name == "memory") {
        return Some(format!("{target} has no memory controller"));
    }
    (!writable(Path::new(&target))).then(|| format!("this user may not make cgroups in {target}"))
}

fn writable(folder: &Path) -> bool {
    let name = folder.join(format!("hoist-need-{}", std::process::id()));
    fs::create_dir(&name)
        .and_then(|()| fs::remove_dir(&name))
        .is_ok()
}
