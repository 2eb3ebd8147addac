//! Mounts that are added to a running container, and taken away again: by the helper, which joins the container's mount
//! namespace and resolves the target in its root.

use std::path::Path;

use hoist_init::wire::{Slot, Step};
use hoist_spec::oci::Mount;

use super::constants::{namespace, propagation};
use super::mount_options::Options;
use super::mounts::{refuse_covering_proc, tree_ids};
use super::program::{Descriptor, Descriptors, Steps, c_string, list_of_texts};
use super::{Namespaces, Plan, PlanError, RunningContainer};
use crate::features::HostFeatures;

/// Plans to mount a bind mount or a tmpfs in a running container. A privileged caller copies mounts of this machine itself;
/// others only the container's user namespace lets do so.
///
/// # Errors
///
/// As [`super::plan`].
pub(crate) fn plan_mount(
    mount: &Mount,
    container: &RunningContainer,
    features: &HostFeatures,
) -> Result<Plan, PlanError> {
    let target = mount.destination().display().to_string();
    let options = Options::read(mount)?;
    refuse_covering_proc(mount, &target, &options)?;
    let mut steps = Steps::default();
    let mut descriptors = Descriptors::default();
    let pidfd = descriptors.add(Descriptor::ContainerProcess);
    let user = container.namespaces & namespace::USER;
    let enter = |steps: &mut Steps, namespaces| {
        steps.push(Step::EnterProcess { pidfd, namespaces });
        if namespaces & namespace::USER != 0 {
            steps.push(Step::BecomeRoot {});
        }
    };
    let slot = match mount.typ().as_deref() {
        Some(kind) if !options.bind && options.id_mapped.is_some() => {
            return Err(PlanError::unsupported(
                format!("map the ids of the mount on {target}"),
                format!("it is a new {kind}; a bind mount can have them mapped"),
            ));
        }
        Some("tmpfs") if !options.bind => {
            enter(&mut steps, user | namespace::MOUNT);
            let mut words: Vec<&str> = Vec::new();
            for (key, value) in &options.data {
                words.extend([key.as_str(), value.as_str()]);
            }
            let words = list_of_texts("mount option", words)?;
            steps.push(Step::NewFilesystem {
                kind: c"tmpfs",
                source: c"tmpfs",
                options: words.as_list(),
                attributes: options.set,
                out: Slot::DIRECTORY,
            });
            Slot::DIRECTORY
        }
        kind if options.bind || matches!(kind, None | Some("bind" | "none")) => {
            let source = mount.source().as_deref().map(Path::display);
            let source = source
                .ok_or_else(|| PlanError::invalid("mount", &target, "a bind mount needs a source"))?
                .to_string();
            let recursive = options.recursive;
            let ids = tree_ids(
                mount,
                &target,
                &options,
                container.id_maps.as_ref(),
                features,
            )?;
            let tree = match features.privileged {
                true => {
                    let tree = descriptors.add_tree(&source, recursive, ids)?;
                    enter(&mut steps, user | namespace::MOUNT);
                    tree
                }
                false => {
                    enter(&mut steps, user);
                    steps.push(Step::NewMountNamespace {});
                    steps.push(Step::CloneTree {
                        source: &c_string("mount source", &source)?,
                        recursive,
                        out: Slot::DIRECTORY,
                    });
                    enter(&mut steps, namespace::MOUNT);
                    Slot::DIRECTORY
                }
            };
            steps.push(Step::ShapeTree {
                tree,
                recursive,
                set: options.set,
                clear: options.clear,
                attributes_recursive: options.attributes_recursive,
                propagation: match options.propagation {
                    0 => propagation::PRIVATE,
                    given => given,
                },
            });
            tree
        }
        kind => {
            return Err(PlanError::unsupported(
                format!("add a mount of type {}", kind.unwrap_or_default()),
                "a running container can be given bind mounts and tmpfs",
            ));
        }
    };
    steps.push(Step::OpenEnteredRoot {});
    steps.push(Step::AddMount {
        mount: slot,
        target: &c_string("mount target", &target)?,
    });
    Ok(operation(steps, descriptors))
}

/// Plans to take away the mount that the kernel calls `id`, if it is still the one on `target`.
///
/// # Errors
///
/// As [`super::plan`].
pub(crate) fn plan_unmount(
    target: &str,
    id: u64,
    container: &RunningContainer,
) -> Result<Plan, PlanError> {
    let mut steps = Steps::default();
    let mut descriptors = Descriptors::default();
    let pidfd = descriptors.add(Descriptor::ContainerProcess);
    let user = container.namespaces & namespace::USER;
    let namespaces = user | namespace::MOUNT;
    steps.push(Step::EnterProcess { pidfd, namespaces });
    if user != 0 {
        steps.push(Step::BecomeRoot {});
    }
    steps.push(Step::OpenEnteredRoot {});
    steps.push(Step::RemoveMount {
        target: &c_string("mount target", target)?,
        id,
    });
    Ok(operation(steps, descriptors))
}

/// Plans to make a user namespace for ids to be mapped by.
pub(crate) fn plan_user_namespace() -> Plan {
    let mut steps = Steps::default();
    steps.push(Step::NewUserNamespace {});
    operation(steps, Descriptors::default())
}

/// A plan that makes nothing of a container's.
pub(super) fn operation(steps: Steps, descriptors: Descriptors) -> Plan {
    Plan {
        cgroup: None,
        net_devices: Vec::new(),
        rdt: None,
        servers: Vec::new(),
        id_maps: None,
        namespaces: Namespaces::default(),
        descriptors: descriptors.0,
        program: steps,
    }
}

#[cfg(test)]
mod tests {
    use hoist_spec::oci::MountBuilder;

    use super::*;
    use crate::features::KernelVersion;

    fn words(mount: &Mount, namespaces: u32, privileged: bool) -> Vec<String> {
        let container = RunningContainer {
            setgroups_denied: false,
            namespaces,
            id_maps: None,
            cgroup: Vec::new(),
            keyring: None,
        };
        let features = HostFeatures {
            privileged,
            ..HostFeatures::assume(KernelVersion::OLDEST)
        };
        let plan = plan_mount(mount, &container, &features).unwrap();
        let steps = plan.steps().into_iter();
        steps
            .filter(|step| step.index.is_some())
            .map(|step| step.words)
            .collect()
    }

    fn mount(kind: &str, target: &str, options: &[&str]) -> Mount {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        MountBuilder::default()
            .typ(kind)
            .source("/srv/data")
            .destination(target)
            .options(options)
            .build()
            .unwrap()
    }

    #[test]
    fn root_copies_the_source_before_it_enters_and_a_user_after() {
        let bind = mount("bind", "/data", &["rbind", "rro"]);
        assert_eq!(
            words(&bind, namespace::MOUNT, true),
            [
                "enter the container's mnt namespace",
                "set the attributes of the copy (read-only)",
                "take the container's root",
                "mount it on /data",
            ]
        );
        assert_eq!(
            words(&bind, namespace::MOUNT | namespace::USER, false),
            [
                "enter the container's user namespace",
                "become root of the user namespace",
                "make a mount namespace",
                "copy the mount of /srv/data",
                "enter the container's mnt namespace",
                "set the attributes of the copy (read-only)",
                "take the container's root",
                "mount it on /data",
            ]
        );
    }

    #[test]
    fn what_is_neither_bind_nor_tmpfs_and_what_hides_proc_is_refused() {
        let container = RunningContainer {
            setgroups_denied: false,
            namespaces: namespace::MOUNT,
            id_maps: None,
            cgroup: Vec::new(),
            keyring: None,
        };
        for refused in [
            mount("overlay", "/data", &[]),
            mount("bind", "/proc/self", &["bind"]),
            mount("tmpfs", "/proc", &[]),
        ] {
            assert!(
                plan_mount(
                    &refused,
                    &container,
                    &HostFeatures::assume(KernelVersion::OLDEST)
                )
                .is_err(),
                "{refused:?}"
            );
        }
    }
}
