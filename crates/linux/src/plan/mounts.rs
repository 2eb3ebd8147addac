//! Steps for the mounts of a spec: their OCI options read, and `cgroup` put together from the host's hierarchies.

use std::path::Path;

use hoist_init::wire::{Covered, Slot, Step};
use hoist_spec::oci::Mount;

use super::constants::{attribute, namespace, propagation};
use super::program::{Descriptors, Steps, TreeIds, c_string, list_of_texts};
use super::user_namespace::{IdMapping, mappings};
use super::{Context, IdMaps, PlanError};
use crate::cgroup::layout::{Hierarchy, Version};
use crate::features::HostFeatures;

/// Appends a step per mount, or several for `cgroup`.
pub(crate) fn make(
    steps: &mut Steps,
    descriptors: &mut Descriptors,
    mounts: &[Mount],
    context: &Context<'_>,
) -> Result<(), PlanError> {
    for mount in mounts {
        let target = mount.destination().display().to_string();
        if context.facts.climbing_targets.contains(&target) {
            return Err(PlanError::invalid(
                "mount target",
                target,
                "a symbolic link in the root leads out of the root",
            ));
        }
        let options = Options::read(mount)?;
        refuse_covering_proc(mount, &target, &options)?;
        let source = mount
            .source()
            .as_ref()
            .map(|source| source.display().to_string());
        let kind = match mount.typ().as_deref() {
            _ if options.bind => "bind",
            None | Some("none") => "bind",
            Some(kind) => kind,
        };
        match kind {
            "bind" => {
                let source = source.ok_or_else(|| {
                    PlanError::invalid("mount", &target, "a bind mount needs a source")
                })?;
                let ids = tree_ids(mount, &target, &options, context.id_maps, context.features)?;
                bind(steps, descriptors, &source, &target, &options, ids, context)?;
            }
            "cgroup" | "cgroup2" => cgroups(steps, descriptors, &target, &options, context)?,
            // A sysfs shows the network namespace it was mounted in, and is refused in one that belongs to the host.
            "sysfs"
                if context.in_user_namespace() && !context.namespaces.makes(namespace::NETWORK) =>
            {
                let options = Options {
                    recursive: true,
                    ..options
                };
                bind(steps, descriptors, "/sys", &target, &options, None, context)?;
            }
            // The same with message queues and the namespace of those.
            "mqueue"
                if context.in_user_namespace() && !context.namespaces.makes(namespace::IPC) =>
            {
                bind(
                    steps,
                    descriptors,
                    "/dev/mqueue",
                    &target,
                    &options,
                    None,
                    context,
                )?;
            }
            kind if options.id_mapped.is_some() => {
                return Err(PlanError::unsupported(
                    format!("map the ids of the mount on {target}"),
                    format!("it is a new {kind}; a bind mount can have them mapped"),
                ));
            }
            kind => filesystem(
                steps,
                kind,
                source.as_deref().unwrap_or(kind),
                &target,
                &options,
                context,
            )?,
        }
    }
    Ok(())
}

/// Files of `/proc` that tools which show a container its own limits put theirs over; none of them is written to.
const COVERABLE_IN_PROC: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
];

/// Refuses to put something else where the container expects what the kernel tells (CVE-2019-16884, CVE-2019-19921).
pub(crate) fn refuse_covering_proc(
    mount: &Mount,
    target: &str,
    options: &Options,
) -> Result<(), PlanError> {
    let parts: Vec<&str> = target
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let Some((&"proc", below)) = parts.split_first() else {
        return Ok(());
    };
    let source = mount.source().as_deref();
    let is_proc = match options.bind {
        true => source.is_some_and(|source| source == Path::new("/proc")),
        false => mount.typ().as_deref() == Some("proc"),
    };
    let below = below.join("/");
    if is_proc && below.is_empty() || COVERABLE_IN_PROC.contains(&below.as_str()) {
        return Ok(());
    }
    Err(PlanError::invalid(
        "mount target",
        target,
        "it is inside /proc, which tells what the kernel knows and must be the kernel's",
    ))
}

/// The handle that later steps need of a mount.
fn slot_of(target: &str) -> Slot {
    match target.trim_end_matches('/') {
        "/dev" => Slot::DEV,
        "/dev/pts" => Slot::DEVPTS,
        _ => Slot::NONE,
    }
}

/// A tmpfs without a mode of its own has that of the directory it covers; with `tmpcopyup`, what is in that, too.
fn covered(kind: &str, options: &Options) -> Covered {
    let has_mode = options.data.iter().any(|(key, _)| key == "mode");
    match (kind, options.copy_up, has_mode) {
        ("tmpfs", true, _) => Covered::Content,
        ("tmpfs", false, false) => Covered::Mode,
        _ => Covered::Ignored,
    }
}

/// Targets that must be directories of the root's own: whoever leads them elsewhere by a link leads the mounts below them,
/// too.
fn must_be_real(target: &str) -> bool {
    matches!(target.trim_end_matches('/'), "/proc" | "/sys" | "/dev")
}

fn filesystem(
    steps: &mut Steps,
    kind: &str,
    source: &str,
    target: &str,
    options: &Options,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    let data = options.data.iter().filter(|(key, value)| {
        // In a user namespace a file system cannot be given to ids that have no number outside.
        let id = value.parse().unwrap_or_default();
        match (key.as_str(), context.id_maps) {
            ("uid", Some(maps)) => maps.maps_user(id),
            ("gid", Some(maps)) => maps.maps_group(id),
            _ => true,
        }
    });
    let words = data.flat_map(|(key, value)| [key.as_str(), value.as_str()]);
    let words = words.chain(label(kind, options, context));
    let data = list_of_texts("mount option", words)?;
    steps.push(Step::Mount {
        kind: &c_string("mount type", kind)?,
        source: &c_string("mount source", source)?,
        options: data.as_list(),
        attributes: options.set,
        propagation: options.propagation,
        target: &c_string("mount target", target)?,
        no_links: must_be_real(target),
        covered: covered(kind, options),
        out: slot_of(target),
    });
    Ok(())
}

/// How the ids of a bind mount are to be mapped: as the mount says, or as the container's own are.
pub(crate) fn tree_ids(
    mount: &Mount,
    target: &str,
    options: &Options,
    id_maps: Option<&IdMaps>,
    features: &HostFeatures,
) -> Result<Option<TreeIds>, PlanError> {
    let (users, groups) = match &options.own_maps {
        Some(maps) => (maps.users.clone(), maps.groups.clone()),
        None => (
            mappings(mount.uid_mappings().as_deref()),
            mappings(mount.gid_mappings().as_deref()),
        ),
    };
    let recursive = match options.id_mapped {
        Some(recursive) => recursive,
        None if users.is_empty() && groups.is_empty() => return Ok(None),
        None => options.recursive,
    };
    let what = format!("map the ids of the mount on {target}");
    if users.is_empty() != groups.is_empty() {
        return Err(PlanError::invalid(
            "mount",
            target,
            "it needs mappings of both users and groups, or of neither",
        ));
    }
    let maps = match (users.is_empty(), id_maps) {
        (false, _) => IdMaps {
            users,
            groups,
            deny_setgroups: false,
        },
        (true, Some(maps)) => maps.clone(),
        (true, None) => {
            return Err(PlanError::unsupported(
                what,
                "neither the mount nor a user namespace of the container's says how",
            ));
        }
    };
    if !features.privileged {
        return Err(PlanError::unsupported(
            what,
            "only root may, with CAP_SYS_ADMIN where the file system was mounted",
        ));
    }
    Ok(Some(TreeIds { maps, recursive }))
}

/// The label of everything in a file system. Those that the kernel itself labels, file by file, take none.
fn label<'a>(
    kind: &str,
    options: &Options,
    context: &Context<'a>,
) -> impl Iterator<Item = &'a str> {
    let labels_itself = matches!(kind, "proc" | "sysfs" | "mqueue");
    let has_one = options.data.iter().any(|(key, _)| key == "context");
    let label = context.mount_label.filter(|_| !labels_itself && !has_one);
    label.into_iter().flat_map(|label| ["context", label])
}

/// The process whose root a source is below (`/proc/PID/root/…`), and where below it.
pub(crate) fn of_another_process(source: &str) -> Option<(u32, &str)> {
    let (pid, below) = source.strip_prefix("/proc/")?.split_once("/root/")?;
    Some((pid.parse().ok()?, below))
}

fn bind(
    steps: &mut Steps,
    descriptors: &mut Descriptors,
    source: &str,
    target: &str,
    options: &Options,
    ids: Option<TreeIds>,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    let is_shared = options.propagation == propagation::SHARED;
    if (is_shared || ids.is_some()) && !options.below.is_empty() {
        return Err(PlanError::unsupported(
            format!("share a part of {source}, or map its ids"),
            "only a whole source can be",
        ));
    }
    let is_elsewhere = context.features.privileged && of_another_process(source).is_some();
    // A copy made in the container's own namespace would take mounts and hand none on to the host's, its maker may map no ids
    // there, and there is no way from it into another process's: those are made beforehand.
    let tree = match is_shared || ids.is_some() || is_elsewhere {
        true => descriptors.add_tree(source, options.recursive, ids)?,
        false => Slot::NONE,
    };
    steps.push(Step::Bind {
        source: &c_string("mount source", source)?,
        tree,
        target: &c_string("mount target", target)?,
        recursive: options.recursive,
        set: options.set,
        clear: options.clear,
        attributes_recursive: options.attributes_recursive,
        propagation: if options.propagation == 0 {
            propagation::PRIVATE
        } else {
            options.propagation
        },
        device: false,
        below: &c_string("mount option", &options.below)?,
        copy_up: options.copy_up,
    });
    Ok(())
}

/// The container's view of its cgroups: on a v2 host one file system; else a tmpfs with one per hierarchy, as on the host.
fn cgroups(
    steps: &mut Steps,
    descriptors: &mut Descriptors,
    target: &str,
    options: &Options,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    let hierarchies = &context.features.cgroup.hierarchies;
    let own_namespace = context.namespaces.makes(namespace::CGROUP);
    if let [only] = hierarchies.as_slice()
        && only.version == Version::V2
    {
        return hierarchy(
            steps,
            descriptors,
            only,
            target,
            options,
            own_namespace,
            context,
        );
    }
    let label = label("tmpfs", options, context);
    let words = ["mode", "755"].into_iter().chain(label);
    let words = list_of_texts("mount option", words)?;
    let text = c_string("mount target", target)?;
    steps.push(Step::Mount {
        kind: c"tmpfs",
        source: c"tmpfs",
        options: words.as_list(),
        attributes: options.set & !attribute::RDONLY,
        propagation: options.propagation,
        target: &text,
        no_links: false,
        covered: Covered::Ignored,
        out: Slot::DIRECTORY,
    });
    for one in hierarchies {
        let name = match one.version {
            Version::V2 => "unified".to_owned(),
            Version::V1 => one.label().trim_start_matches("name=").to_owned(),
        };
        hierarchy(
            steps,
            descriptors,
            one,
            &format!("{target}/{name}"),
            options,
            own_namespace,
            context,
        )?;
        // Programs look for a controller by its own name.
        for controller in one
            .controllers
            .iter()
            .filter(|_| one.version == Version::V1 && one.controllers.len() > 1)
        {
            steps.push(Step::MakeLink {
                directory: Slot::DIRECTORY,
                name: &c_string("controller", controller)?,
                content: &c_string("controller", &name)?,
                may_exist: true,
            });
        }
    }
    if options.set & attribute::RDONLY != 0 {
        steps.push(Step::MakeMountReadOnly {
            mount: Slot::DIRECTORY,
            target: &text,
        });
    }
    steps.push(Step::CloseSlot {
        slot: Slot::DIRECTORY,
    });
    Ok(())
}

fn hierarchy(
    steps: &mut Steps,
    descriptors: &mut Descriptors,
    hierarchy: &Hierarchy,
    target: &str,
    options: &Options,
    own_namespace: bool,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    // Without a cgroup namespace the file system would show the whole host's tree: only the container's own part is shown. With
    // one, a new mount of a v1 hierarchy shows just the same, but is a superblock more, and the kernel walks every cgroup of
    // the hierarchy for it.
    let part = context
        .cgroup
        .filter(|_| !own_namespace || hierarchy.version == Version::V1)
        .and_then(|cgroup| cgroup.part_of(hierarchy));
    if let Some(source) = part {
        return bind(
            steps,
            descriptors,
            source,
            target,
            &Options {
                recursive: false,
                ..options.clone()
            },
            None,
            context,
        );
    }
    if !own_namespace {
        return Err(PlanError::unsupported(
            "mount cgroup",
            "the container has neither a cgroup of its own nor a cgroup namespace",
        ));
    }
    let (kind, words) = match hierarchy.version {
        Version::V2 => (c"cgroup2", Vec::new()),
        Version::V1 => (c"cgroup", v1_options(hierarchy)),
    };
    let words = list_of_texts("mount option", words)?;
    steps.push(Step::Mount {
        kind,
        source: c"cgroup",
        options: words.as_list(),
        attributes: options.set,
        propagation: options.propagation,
        target: &c_string("mount target", target)?,
        no_links: false,
        covered: Covered::Ignored,
        out: Slot::NONE,
    });
    Ok(())
}

/// A v1 hierarchy is told by its controllers, each a flag, or by its name (cgroups(7)).
fn v1_options(hierarchy: &Hierarchy) -> Vec<&str> {
    let mut words = Vec::new();
    for controller in &hierarchy.controllers {
        match controller.strip_prefix("name=") {
            Some(name) => words.extend(["none", "", "name", name]),
            None => words.extend([controller.as_str(), ""]),
        }
    }
    words
}

/// The options of one mount, sorted (OCI runtime spec, `mounts`, "options").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) bind: bool,
    pub(crate) recursive: bool,
    pub(crate) set: u32,
    pub(crate) clear: u32,
    pub(crate) attributes_recursive: bool,
    pub(crate) propagation: u32,
    pub(crate) copy_up: bool,
    /// The ids of its files are mapped; on what is mounted below, too, where true.
    pub(crate) id_mapped: Option<bool>,
    /// How, where the option says so itself.
    pub(crate) own_maps: Option<IdMaps>,
    /// What below the source is bound (mount(8), `X-mount.subdir`).
    pub(crate) below: String,
    pub(crate) data: Vec<(String, String)>,
}

/// Options that change one attribute: the bits to clear, then those to set.
const ATTRIBUTES: [(&str, u32, u32); 18] = [
    ("ro", 0, attribute::RDONLY),
    ("rw", attribute::RDONLY, 0),
    ("nosuid", 0, attribute::NOSUID),
    ("suid", attribute::NOSUID, 0),
    ("nodev", 0, attribute::NODEV),
    ("dev", attribute::NODEV, 0),
    ("noexec", 0, attribute::NOEXEC),
    ("exec", attribute::NOEXEC, 0),
    ("noatime", attribute::ATIME, attribute::NOATIME),
    ("atime", attribute::ATIME, 0),
    ("relatime", attribute::ATIME, 0),
    ("norelatime", attribute::ATIME, 0),
    ("strictatime", attribute::ATIME, attribute::STRICTATIME),
    ("nostrictatime", attribute::ATIME, 0),
    ("nodiratime", 0, attribute::NODIRATIME),
    ("diratime", attribute::NODIRATIME, 0),
    ("nosymfollow", 0, attribute::NOSYMFOLLOW),
    ("symfollow", attribute::NOSYMFOLLOW, 0),
];

/// Options of a file system as a whole. A bind mount has those of its file system, which others use, too.
const OF_FILE_SYSTEMS: [&str; 3] = ["dirsync", "lazytime", "sync"];

/// Options that ask for what is so anyway, or that the kernel has given up: of no effect, as with runc.
const WITHOUT_EFFECT: [&str; 11] = [
    "acl",
    "async",
    "defaults",
    "iversion",
    "loud",
    "mand",
    "noacl",
    "noiversion",
    "nolazytime",
    "nomand",
    "silent",
];

const PROPAGATIONS: [(&str, u32); 4] = [
    ("private", propagation::PRIVATE),
    ("slave", propagation::SLAVE),
    ("shared", propagation::SHARED),
    ("unbindable", propagation::UNBINDABLE),
];

/// Every option that is known to mean something else than data for the file system.
pub(crate) fn known_options() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().map(|(name, _, _)| *name);
    let propagations = PROPAGATIONS.iter().map(|(name, _)| *name);
    let mut all: Vec<String> = attributes
        .chain(propagations)
        .flat_map(|name| [name.to_owned(), format!("r{name}")])
        .chain(
            OF_FILE_SYSTEMS
                .iter()
                .chain(&WITHOUT_EFFECT)
                .map(|name| (*name).to_owned()),
        )
        .chain(["bind", "rbind", "tmpcopyup", "idmap", "ridmap"].map(str::to_owned))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl Options {
    pub(crate) fn read(mount: &Mount) -> Result<Self, PlanError> {
        let words = || mount.options().iter().flatten();
        let mut options = Self {
            // Other options mean something else then, wherever they stand.
            bind: matches!(mount.typ().as_deref(), None | Some("none" | "bind"))
                || words().any(|word| matches!(&**word, "bind" | "rbind")),
            ..Self::default()
        };
        for word in words() {
            options.read_one(word, mount)?;
        }
        Ok(options)
    }

    fn read_one(&mut self, word: &str, mount: &Mount) -> Result<(), PlanError> {
        if let Some((_, clear, set)) = ATTRIBUTES.iter().find(|(name, _, _)| *name == word) {
            self.change(*clear, *set);
            return Ok(());
        }
        // `rro` and the like: the same for everything mounted below. (`rw` and `relatime` were found above.)
        if let Some((_, clear, set)) = word
            .strip_prefix('r')
            .and_then(|rest| ATTRIBUTES.iter().find(|(name, _, _)| *name == rest))
        {
            self.change(*clear, *set);
            self.attributes_recursive = true;
            return Ok(());
        }
        let plain = word.strip_prefix('r').unwrap_or(word);
        if let Some((_, kind)) = PROPAGATIONS.iter().find(|(name, _)| *name == plain) {
            self.propagation = *kind;
            return Ok(());
        }
        match word {
            "bind" => {}
            "rbind" => self.recursive = true,
            "tmpcopyup" => self.copy_up = true,
            word if WITHOUT_EFFECT.contains(&word) => {}
            word if self.bind && OF_FILE_SYSTEMS.contains(&word) => {}
            "idmap" => self.id_mapped = Some(false),
            "ridmap" => self.id_mapped = Some(true),
            "copy-symlink" => {
                return Err(PlanError::unsupported(
                    format!("mount option {word} of {}", mount.destination().display()),
                    "it is not there yet",
                ));
            }
            "remount" => {
                return Err(PlanError::unsupported(
                    format!("mount option {word} of {}", mount.destination().display()),
                    "every mount is made anew: give its options where it is made",
                ));
            }
            data => {
                let (key, value) = data.split_once('=').unwrap_or((data, ""));
                if key == "X-mount.subdir" && self.bind {
                    value.clone_into(&mut self.below);
                    return Ok(());
                }
                if let ("idmap" | "ridmap", true) = (key, self.bind) {
                    let target = mount.destination().display().to_string();
                    let maps = own_maps(value).map_err(|reason| {
                        PlanError::invalid("mount option", format!("{word} of {target}"), reason)
                    })?;
                    (self.id_mapped, self.own_maps) = (Some(key == "ridmap"), Some(maps));
                    return Ok(());
                }
                self.data.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }

    fn change(&mut self, clear: u32, set: u32) {
        self.set = self.set & !clear | set;
        // The kernel wants the whole field of access times cleared before one of its values is set.
        let whole = if (clear | set) & attribute::ATIME != 0 {
            attribute::ATIME
        } else {
            0
        };
        self.clear = (self.clear | clear | whole) & !(set & !attribute::ATIME);
    }
}

/// `uids=0-1000-1#1-2000-9;gids=0-1000-1`, as podman and crun have it: from an id of the file system, to one of the host, how many.
fn own_maps(text: &str) -> Result<IdMaps, String> {
    const FORM: &str = "write uids=INSIDE-OUTSIDE-COUNT[#…];gids=INSIDE-OUTSIDE-COUNT[#…]";
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for part in text.split(';') {
        let (kind, list) = part.split_once('=').ok_or(FORM)?;
        let maps = match kind {
            "uids" => &mut users,
            "gids" => &mut groups,
            _ => return Err(FORM.to_owned()),
        };
        for one in list.split('#') {
            if one.starts_with('@') {
                return Err(
                    "maps that are relative to the container's are not there yet".to_owned(),
                );
            }
            let numbers: Vec<u32> = one
                .split('-')
                .map(|number| number.parse().map_err(|_| FORM.to_owned()))
                .collect::<Result<_, _>>()?;
            let &[inside, outside, count] = numbers.as_slice() else {
                return Err(FORM.to_owned());
            };
            let ends = [inside, outside].map(|first| first.checked_add(count));
            if count == 0 || ends.contains(&None) {
                return Err("a map has no ids, or some that there are not".to_owned());
            }
            maps.push(IdMapping {
                inside,
                outside,
                count,
            });
        }
    }
    match users.is_empty() || groups.is_empty() {
        true => Err(FORM.to_owned()),
        false => Ok(IdMaps {
            users,
            groups,
            deny_setgroups: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use hoist_spec::oci::MountBuilder;

    use super::*;

    fn of(kind: &str, words: &[&str]) -> Result<Options, PlanError> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mount = MountBuilder::default().destination("/x").typ(kind);
        Options::read(&mount.options(words).build().unwrap())
    }

    fn read(words: &[&str]) -> Options {
        of("tmpfs", words).unwrap()
    }

    #[test]
    fn options_of_a_file_system_reach_it_and_no_bind_mount_wherever_they_stand() {
        let all = ["sync", "dirsync", "lazytime"];
        let given: Vec<_> = read(&all).data.into_iter().map(|(key, _)| key).collect();
        assert_eq!(given, all);
        for bound in [
            of("bind", &all),
            of("none", &all),
            of("tmpfs", &["sync", "dirsync", "lazytime", "rbind"]),
        ] {
            let bound = bound.unwrap();
            assert!(bound.bind && bound.data.is_empty(), "{bound:?}");
        }
    }

    #[test]
    fn every_option_that_features_tell_is_read_and_is_no_data_of_a_bind_mount() {
        for word in known_options() {
            let options = of("bind", &[&word]).unwrap();
            assert_eq!(options.data, [], "{word}");
            let options = read(&[&word]);
            let is_data = OF_FILE_SYSTEMS.contains(&word.as_str());
            assert_eq!(options.data.is_empty(), !is_data, "{word}");
        }
        assert!(of("tmpfs", &["remount"]).is_err());
    }

    #[test]
    fn links_are_followed_again_by_the_contrary_option() {
        assert_eq!(read(&["nosymfollow"]).set, attribute::NOSYMFOLLOW);
        let options = read(&["nosymfollow", "rsymfollow"]);
        assert_eq!((options.set, options.clear), (0, attribute::NOSYMFOLLOW));
        assert!(options.attributes_recursive);
    }

    #[test]
    fn the_maps_of_a_mount_are_read_from_its_option() {
        let options = read(&["rbind", "ridmap=uids=0-1000-1#1-2000-9;gids=0-7-1"]);
        assert_eq!(options.id_mapped, Some(true));
        let maps = options.own_maps.unwrap();
        let numbers = |maps: &[IdMapping]| -> Vec<(u32, u32, u32)> {
            let all = maps.iter();
            all.map(|map| (map.inside, map.outside, map.count))
                .collect()
        };
        assert_eq!(numbers(&maps.users), [(0, 1000, 1), (1, 2000, 9)]);
        assert_eq!(numbers(&maps.groups), [(0, 7, 1)]);
        for wrong in [
            "",
            "uids=0-1-1",
            "uids=0-1-1;gids=",
            "uids=0-1;gids=0-1-1",
            "uids=0-1-0;gids=0-1-1",
            "uids=0-4294967295-2;gids=0-1-1",
            "uids=@0-1-1;gids=0-1-1",
            "users=0-1-1;gids=0-1-1",
        ] {
            assert!(own_maps(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn attributes_data_and_propagation_are_told_apart() {
        let options = read(&["nosuid", "ro", "size=64m", "rslave", "noswap"]);
        assert_eq!(options.set, attribute::NOSUID | attribute::RDONLY);
        assert_eq!(options.propagation, propagation::SLAVE);
        assert_eq!(
            options.data,
            [
                ("size".into(), "64m".into()),
                ("noswap".into(), String::new())
            ]
        );
        assert!(!options.attributes_recursive);
    }

    #[test]
    fn the_last_of_two_contrary_options_holds() {
        assert_eq!(read(&["ro", "rw"]).set, 0);
        assert_eq!(read(&["ro", "rw"]).clear, attribute::RDONLY);
        assert_eq!(read(&["rw", "ro"]).set, attribute::RDONLY);
        assert_eq!(read(&["rw", "ro"]).clear, 0);
        assert_eq!(
            read(&["noatime", "strictatime"]).set,
            attribute::STRICTATIME
        );
    }

    #[test]
    fn the_recursive_form_reaches_everything_below() {
        let options = read(&["rbind", "rro"]);
        assert!(options.bind && options.recursive && options.attributes_recursive);
        assert_eq!(options.set, attribute::RDONLY);
    }
}
