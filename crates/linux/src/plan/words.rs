//! A plan in words: one line per step, with who does it.

use std::fmt;

use hoist_init::wire::{List, Step};
use serde::Serialize;

use super::constants::{attribute, propagation};
use super::{CgroupPlace, NAMESPACE_KINDS, Plan};
use crate::cgroup::layout::Version;

/// Who carries a step out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// The owner: the command, or the program that uses the library.
    Owner,
    /// The helper, before the container's process is there.
    Helper,
    /// The container's process, before it executes its program.
    Process,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Owner => "owner",
            Self::Helper => "helper",
            Self::Process => "process",
        })
    }
}

/// One step of a plan, for people and tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// Who carries it out.
    pub lane: Lane,
    /// What sort of step it is: `mount`, `set_identity`.
    pub name: String,
    /// What it does: `mount proc on /proc (nosuid, nodev, noexec)`.
    pub words: String,
    /// Its index in the helper's program; none for the owner's steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

impl Plan {
    /// The steps in the order in which they are carried out.
    pub fn steps(&self) -> Vec<PlannedStep> {
        let owner = |name: &str, words: String| PlannedStep {
            lane: Lane::Owner,
            name: name.to_owned(),
            words,
            index: None,
        };
        let mut steps = Vec::new();
        let (early, late): (Vec<_>, Vec<_>) = self
            .cgroup
            .iter()
            .flat_map(|cgroup| &cgroup.places)
            .partition(|place| place.version == Version::V2);
        let make =
            |place: &&CgroupPlace| owner("make_cgroup", format!("make cgroup {}", place.directory));
        let mut limits = Vec::new();
        if let Some(cgroup) = &self.cgroup {
            limits.extend(
                cgroup
                    .limits
                    .writes
                    .iter()
                    .map(|write| owner("set_limit", write.words())),
            );
            if cgroup.limits.device_program.is_some() {
                let words = "attach the device program to the cgroup".to_owned();
                limits.push(owner("attach_device_program", words));
            }
        }
        steps.extend(early.iter().map(make));
        if late.is_empty() {
            steps.append(&mut limits);
        }
        steps.push(owner(
            "start_helper",
            "start the sealed helper and hand it the plan".to_owned(),
        ));
        let mut lane = Lane::Helper;
        for (index, step) in (0..).zip(self.program.iter()) {
            let name = snake_case(step.name());
            steps.push(PlannedStep {
                lane,
                name,
                words: words(&step),
                index: Some(index),
            });
            match step {
                Step::Clone { .. } => {
                    lane = Lane::Process;
                    steps.extend(late.iter().map(make));
                    steps.append(&mut limits);
                    if let Some(maps) = &self.id_maps {
                        let (users, groups) = (maps.users.len(), maps.groups.len());
                        let words = format!("write id maps ({users} of users, {groups} of groups)");
                        steps.push(owner("write_id_maps", words));
                    }
                }
                Step::NewServedLayers { server, .. } => {
                    let plan = self.servers.get(usize::from(server));
                    let last = plan.and_then(|plan| plan.program.iter().last());
                    let words = last.as_ref().map(words).unwrap_or_default();
                    steps.push(owner(
                        "start_server",
                        format!("{words} in the user namespace, for the layers"),
                    ));
                }
                Step::AwaitRelease {} => {
                    steps.push(owner(
                        "verify",
                        "compare cgroup, namespaces and id maps with the plan".to_owned(),
                    ));
                    steps.push(owner("release", "let the process go".to_owned()));
                }
                _ => {}
            }
        }
        steps
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// What a step does, in words.
pub(crate) fn words(step: &Step<'_>) -> String {
    match *step {
        Step::EnterProcess { namespaces, .. } => {
            format!("enter the container's {}", namespace_names(namespaces))
        }
        Step::EnterNamespace { kind, path, .. } => {
            format!("enter the {} {}", namespace_names(kind), text(path))
        }
        Step::NewTimeNamespace { .. } => "make a time namespace".to_owned(),
        Step::Clone { namespaces: 0, .. } => "clone the process".to_owned(),
        Step::Clone { namespaces, .. } => {
            format!("clone the process with new {}", namespace_names(namespaces))
        }
        Step::AwaitIdMaps {} => "await the id maps".to_owned(),
        Step::NewSession {} => "make a session".to_owned(),
        Step::JoinCgroup { path, .. } => format!("join cgroup {}", text(path)),
        Step::NewCgroupNamespace {} => "make a cgroup namespace".to_owned(),
        Step::SetPropagation { propagation } => {
            format!("make every mount {}", propagation_name(propagation))
        }
        Step::OpenRoot { path, .. } => format!("take {} as root", text(path)),
        Step::OpenFolder { path, .. } => format!("open layer folder {}", text(path)),
        Step::NewFilesystem { kind, source, .. } => format!("make {} {}", text(kind), text(source)),
        Step::MakeDirectory { path, mode, .. } => {
            format!("make directory {} ({mode:04o})", text(path))
        }
        Step::MakeFile { path, mode } => format!("make file {} ({mode:04o})", text(path)),
        Step::NewOverlay { layers, .. } => match layers
            .iter::<&std::ffi::CStr>()
            .collect::<Vec<_>>()
            .as_slice()
        {
            [one] => format!("make an overlay over {}", text(one)),
            many => format!("make an overlay of {} layers", many.len()),
        },
        Step::NewServedLayers { layers, .. } => match layers.count {
            1 => format!("have {} shown by fuse-overlayfs", list_first(layers)),
            count => format!("have {count} layers shown by fuse-overlayfs"),
        },
        Step::AttachOver { path, .. } => format!("attach it over {}", text(path)),
        Step::TellPlaced {} => "tell the owner that it is in its cgroup".to_owned(),
        Step::AdoptOrphans {} => "adopt what its descendants leave behind".to_owned(),
        Step::LendTree { .. } => "hand the copy over".to_owned(),
        Step::LendFiles { paths, .. } => format!("read {} in the container", list_first(paths)),
        Step::CopyLayers { layers, .. } => match layers.count {
            1 => format!("copy layer {}", list_first(layers)),
            count => format!("copy {count} layers"),
        },
        Step::AttachRoot {} => "attach the root".to_owned(),
        Step::CopyTree { path, .. } => format!("copy the mounts of {}", text(path)),
        Step::TakeRoot { path, .. } => format!("take {} as root, read-only", text(path)),
        Step::AttachTree { target, .. } => format!("mount the copy on {}", text(target)),
        Step::AttachScratch {} => "attach the writable layer below the root".to_owned(),
        Step::Mount {
            kind,
            target,
            attributes,
            options,
            ..
        } => {
            format!(
                "mount {} on {}{}",
                text(kind),
                text(target),
                in_brackets(attributes, 0, Some(options))
            )
        }
        Step::MountDetached { target, .. } => format!("mount it on {}", text(target)),
        Step::Bind {
            source,
            target,
            recursive,
            set,
            clear,
            ..
        } => {
            let verb = if recursive {
                "bind recursively"
            } else {
                "bind"
            };
            format!(
                "{verb} {} on {}{}",
                text(source),
                text(target),
                in_brackets(set, clear, None)
            )
        }
        Step::MakeDevice {
            path, major, minor, ..
        } => format!("make device /dev/{} ({major}:{minor})", text(path)),
        Step::MakeLink { name, content, .. } => format!("link {} to {}", text(name), text(content)),
        Step::Mask { path, .. } => format!("mask {}", text(path)),
        Step::LabelMount { target, label, .. } => {
            format!("give {} the mount label {}", text(target), text(label))
        }
        Step::MakeReadOnly { path } => format!("make {} read-only", text(path)),
        Step::MakeMountReadOnly { target, .. } => {
            format!("make the mount on {} read-only", text(target))
        }
        Step::PivotRoot {} => "pivot to the root and let go of the host's".to_owned(),
        Step::SetHostname { name } => format!("set hostname {}", text(name)),
        Step::SetDomainname { name } => format!("set domain name {}", text(name)),
        Step::LoopbackUp {} => "bring loopback up".to_owned(),
        Step::SetSysctl { path, value } => format!(
            "set sysctl {} = {}",
            text(path).replace('/', "."),
            text(value)
        ),
        Step::SetLimit {
            resource,
            soft,
            hard,
        } => {
            format!(
                "set limit {} to {} (hard {})",
                resource_name(resource),
                bound(soft),
                bound(hard)
            )
        }
        Step::WriteOwnProcess { file, value } if file == c"attr/exec" => {
            format!(
                "have the program run under the SELinux label {}",
                text(value)
            )
        }
        Step::WriteOwnProcess { file, value } if file == c"attr/keycreate" => {
            format!("make keys under the SELinux label {}", text(value))
        }
        Step::WriteOwnProcess { file, value } | Step::WriteOnHost { file, value } => {
            format!("set {} to {}", text(file), text(value))
        }
        Step::SetUmask { mask } => format!("set umask {mask:04o}"),
        Step::OpenConsole { .. } => "open a console".to_owned(),
        Step::ChangeDirectory { path } => format!("change to working directory {}", text(path)),
        Step::SetIdentity {
            uid,
            gid,
            groups,
            bounding,
            no_new_privileges,
            ..
        } => format!(
            "become user {uid}, group {gid}, {} supplementary groups, {} capabilities at most{}",
            groups.count,
            bounding.count_ones(),
            if no_new_privileges {
                ", no new privileges"
            } else {
                ""
            }
        ),
        Step::BecomeRoot {} => "become root of the user namespace".to_owned(),
        Step::NewMountNamespace {} => "make a mount namespace".to_owned(),
        Step::CloneTree { source, .. } => format!("copy the mount of {}", text(source)),
        Step::ShapeTree { set, clear, .. } => {
            let attributes = in_brackets(set, clear, None);
            format!("set the attributes of the copy{attributes}")
        }
        Step::NewUserNamespace {} => "make a user namespace".to_owned(),
        Step::OpenEnteredRoot {} => "take the container's root".to_owned(),
        Step::AddMount { target, .. } => format!("mount it on {}", text(target)),
        Step::RemoveMount { target, .. } => format!("take the mount off {}", text(target)),
        Step::AwaitRelease {} => "await release".to_owned(),
        // Of a process without isolation; no plan here has them.
        Step::Keep { .. } => "fork the process and keep it".to_owned(),
        Step::TakeTerminal { .. } => "take the terminal".to_owned(),
        Step::CloseDescriptors { .. } => "close every other descriptor at execve".to_owned(),
        Step::LoadSeccomp { filter, .. } => {
            format!("load a seccomp filter of {} instructions", filter.len() / 8)
        }
        Step::SetCapabilities { effective, .. } => {
            format!("keep {} capabilities", effective.count_ones())
        }
        Step::Execute {
            candidates,
            arguments,
            init,
            ..
        } => {
            let program = match candidates.count {
                1 => list_first(candidates),
                _ => format!("{} from PATH", list_first(arguments)),
            };
            if init {
                format!("execute {program} below an init process")
            } else {
                format!("execute {program}")
            }
        }
        Step::FailHere { errno } => format!("fail with {}", hoist_compute::errno::describe(errno)),
        Step::DieHere {} => "die".to_owned(),
        Step::LoseOwnerHere {} => "kill the owner".to_owned(),
        Step::ReceiveDescriptors {} => "await the cgroup".to_owned(),
        Step::CloseSlot { .. } => "close a handle".to_owned(),
        Step::AwaitHooks {} => "await the hooks of the host's namespaces".to_owned(),
        Step::RunHook { kind, path, .. } => format!("run {} hook {}", text(kind), text(path)),
        Step::FindProgram { name, .. } => format!("find {}", text(name)),
        Step::AwaitStart { .. } => "await the start".to_owned(),
        Step::NewKeyring { name } => format!("join a new session keyring {}", text(name)),
        Step::SetRootPropagation { propagation, .. } => {
            format!("make the root {}", propagation_name(propagation))
        }
        Step::SetPersonality { personality } => format!("set personality {personality:#x}"),
        Step::SetScheduler { .. } => "set the scheduler".to_owned(),
        Step::SetIoPriority { .. } => "set the I/O priority".to_owned(),
        Step::SetMemoryPolicy { .. } => "set the memory policy".to_owned(),
        Step::SetAffinity { .. } => "set the CPUs to run on".to_owned(),
        Step::OwnStreams { uid } => format!("give the standard streams to user {uid}"),
        Step::ChangeRoot {} => "change to the root, without pivot_root".to_owned(),
        Step::PlaceDescriptors { count, .. } => {
            format!("hand {count} descriptors to the program, from 3 on")
        }
    }
}

/// Text of a plan. It was UTF-8 when the plan was made.
pub(crate) fn text(text: &std::ffi::CStr) -> std::borrow::Cow<'_, str> {
    text.to_string_lossy()
}

/// The first element of a list of strings.
pub(crate) fn list_first(list: List<'_>) -> String {
    list.iter::<&std::ffi::CStr>()
        .next()
        .map(|first| text(first).into_owned())
        .unwrap_or_default()
}

pub(crate) fn namespace_names(kinds: u32) -> String {
    let names: Vec<_> = NAMESPACE_KINDS
        .iter()
        .filter(|(kind, _)| kinds & kind != 0)
        .map(|(_, name)| *name)
        .collect();
    let noun = if names.len() == 1 {
        "namespace"
    } else {
        "namespaces"
    };
    format!("{} {noun}", names.join(", "))
}

fn propagation_name(kind: u32) -> &'static str {
    match kind {
        propagation::SHARED => "shared",
        propagation::SLAVE => "a slave of the host's",
        propagation::UNBINDABLE => "unbindable",
        _ => "private",
    }
}

fn in_brackets(set: u32, clear: u32, data: Option<List<'_>>) -> String {
    const NAMES: [(u32, &str, &str); 6] = [
        (attribute::RDONLY, "read-only", "writable"),
        (attribute::NOSUID, "nosuid", "suid"),
        (attribute::NODEV, "nodev", "dev"),
        (attribute::NOEXEC, "noexec", "exec"),
        (attribute::NODIRATIME, "nodiratime", "diratime"),
        (attribute::NOSYMFOLLOW, "nosymfollow", "symfollow"),
    ];
    let mut all: Vec<String> = Vec::new();
    for (bit, name, contrary) in NAMES {
        if set & bit != 0 {
            all.push(name.to_owned());
        } else if clear & bit != 0 {
            all.push(contrary.to_owned());
        }
    }
    match set & attribute::ATIME {
        attribute::NOATIME => all.push("noatime".to_owned()),
        attribute::STRICTATIME => all.push("strictatime".to_owned()),
        _ => {}
    }
    let mut words = data
        .into_iter()
        .flat_map(|data| data.iter::<&std::ffi::CStr>());
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        all.push(if value.is_empty() {
            text(key).into_owned()
        } else {
            format!("{}={}", text(key), text(value))
        });
    }
    if all.is_empty() {
        String::new()
    } else {
        format!(" ({})", all.join(", "))
    }
}

fn resource_name(resource: u32) -> &'static str {
    const NAMES: [&str; 16] = [
        "cpu",
        "fsize",
        "data",
        "stack",
        "core",
        "rss",
        "nproc",
        "nofile",
        "memlock",
        "as",
        "locks",
        "sigpending",
        "msgqueue",
        "nice",
        "rtprio",
        "rttime",
    ];
    NAMES.get(resource as usize).copied().unwrap_or("unknown")
}

fn bound(value: u64) -> String {
    if value == u64::MAX {
        "unlimited".to_owned()
    } else {
        value.to_string()
    }
}
