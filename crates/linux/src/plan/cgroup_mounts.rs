//! The mount of type `cgroup`, put together from the host's hierarchies.

use hoist_init::wire::{Covered, Slot, Step};

use super::constants::{attribute, namespace};
use super::mount_options::Options;
use super::mounts::{bind, label};
use super::program::{Descriptors, Steps, c_string, list_of_texts};
use super::{Context, PlanError};
use crate::cgroup::layout::{Hierarchy, Version};

/// The container's view of its cgroups: on a v2 host one file system; else a tmpfs with one per hierarchy, as on the host.
pub(super) fn make(
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
