//! Steps for the mounts of a spec.

use std::path::Path;

use hoist_init::wire::{Covered, Slot, Step};
use hoist_spec::oci::Mount;

use super::constants::{namespace, propagation};
use super::mount_options::Options;
use super::program::{Descriptors, Steps, TreeIds, c_string, list_of_texts};
use super::user_namespace::mappings;
use super::{Context, IdMaps, PlanError, cgroup_mounts};
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
            "cgroup" | "cgroup2" => {
                cgroup_mounts::make(steps, descriptors, &target, &options, context)?
            }
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
    let label = label_of_root(kind, context);
    steps.push(Step::Mount {
        kind: &c_string("mount type", kind)?,
        source: &c_string("mount source", source)?,
        options: data.as_list(),
        attributes: options.set,
        propagation: options.propagation,
        target: &c_string("mount target", target)?,
        no_links: must_be_real(target),
        covered: covered(kind, options),
        out: match label {
            Some(_) => Slot::DIRECTORY,
            None => slot_of(target),
        },
    });
    if let Some(label) = label {
        steps.push(Step::LabelMount {
            mount: Slot::DIRECTORY,
            target: &c_string("mount target", target)?,
            label: &c_string("mount label", label)?,
        });
    }
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
pub(super) fn label<'a>(
    kind: &str,
    options: &Options,
    context: &Context<'a>,
) -> impl Iterator<Item = &'a str> {
    let labels_itself = matches!(kind, "proc" | "sysfs" | "mqueue");
    let has_one = options.data.iter().any(|(key, _)| key == "context");
    let label = context.mount_label.filter(|_| !labels_itself && !has_one);
    label.into_iter().flat_map(|label| ["context", label])
}

/// The label that a file system's root gets once it is mounted: queues are there before somebody mounts them, and take no label then.
/// Those of a namespace that is shared keep theirs.
fn label_of_root<'a>(kind: &str, context: &Context<'a>) -> Option<&'a str> {
    let is_own = kind == "mqueue" && context.namespaces.makes(namespace::IPC);
    context.mount_label.filter(|_| is_own)
}

/// The process whose root a source is below (`/proc/PID/root/…`), and where below it.
pub(crate) fn of_another_process(source: &str) -> Option<(u32, &str)> {
    let (pid, below) = source.strip_prefix("/proc/")?.split_once("/root/")?;
    Some((pid.parse().ok()?, below))
}

pub(super) fn bind(
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
