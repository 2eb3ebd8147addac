//! Layers that are shown through FUSE, by a program that runs outside of the container.
//!
//! The container's process mounts the file system and hands its connection to the owner, which starts the server: in the
//! container's user namespace, so that files get the ids of that, and otherwise outside, where no process of the container sees
//! it and it sees the layers. It ends by itself when the file system does, with the container's mount namespace: the kernel
//! closes its connection.

use std::path::Path;

use hoist_init::wire::{List, Slot, Step};
use hoist_spec::WritableLayer;

use super::added::operation;
use super::constants::{namespace, propagation};
use super::program::{Descriptor, Descriptors, Steps, c_string, list_of_texts};
use super::root::{
    UPPER, WORK, close_layer_slots, make_detached_scratch, make_writable, open_folder,
};
use super::{Context, Plan, PlanError};
use crate::features::HostFeatures;

/// The plans of the servers, by the number that their step has for them.
pub(crate) type Servers = Vec<Plan>;

/// Where a writable layer that is thrown away is in the server's own mount namespace.
const SCRATCH: &str = "/sys";
/// The number at which the server finds its connection: the first behind the standard streams.
const CONNECTION: &str = "/dev/fd/3";
/// What it may do within the user namespace: everything about files, whoever owns them (capabilities(7): CHOWN, DAC_OVERRIDE,
/// DAC_READ_SEARCH, FOWNER, FSETID, MKNOD, SETFCAP).
const CAPABILITIES: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 27 | 1 << 31;

/// Appends the step that mounts `layers`, and plans their server.
pub(super) fn show(
    steps: &mut Steps,
    servers: &mut Servers,
    program: &Path,
    layers: &[String],
    writable: &WritableLayer,
    out: Slot,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    let number = u8::try_from(servers.len()).map_err(|_| {
        PlanError::unsupported(
            "this machine's own root",
            "it is put together from more directories than fuse-overlayfs can be started for",
        )
    })?;
    servers.push(server(program, layers, writable)?);
    steps.push(Step::NewServedLayers {
        layers: list_of_texts("layer", layers)?.as_list(),
        server: number,
        // Where there is but one user inside, the owner, who is the same outside, may look at its files, too.
        everybody: context
            .id_maps
            .is_none_or(|maps| !maps.is_own_ids(context.features.uid, context.features.gid)),
        out,
    });
    Ok(())
}

/// What the owner does when the container's process asks for the server.
fn server(program: &Path, layers: &[String], writable: &WritableLayer) -> Result<Plan, PlanError> {
    let folder = match writable {
        WritableLayer::Ephemeral => SCRATCH.to_owned(),
        WritableLayer::Folder(folder) => folder.display().to_string(),
    };
    let options = format!(
        "lowerdir={},upperdir={folder}/{UPPER},workdir={folder}/{WORK}",
        layers.join(":")
    );
    for path in layers.iter().chain([&folder]) {
        if path.contains([':', ',', '\\']) {
            return Err(PlanError::unsupported(
                format!("layer {path}"),
                "fuse-overlayfs takes no path with a colon, a comma or a backslash",
            ));
        }
    }
    let mut steps = Steps::default();
    let mut descriptors = Descriptors::default();
    let pidfd = descriptors.add(Descriptor::ContainerProcess);
    let connection = descriptors.add(Descriptor::Preserved(0));
    steps.push(Step::EnterProcess {
        pidfd,
        namespaces: namespace::USER,
    });
    steps.push(Step::BecomeRoot {});
    steps.push(Step::Clone {
        namespaces: namespace::MOUNT,
        cgroup: Slot::NONE,
    });
    steps.push(Step::NewSession {});
    steps.push(Step::SetPropagation {
        propagation: propagation::PRIVATE,
    });
    match writable {
        WritableLayer::Ephemeral => {
            make_detached_scratch(&mut steps)?;
            steps.push(Step::AttachOver {
                mount: Slot::SCRATCH,
                path: &c_string("layer folder", SCRATCH)?,
            });
        }
        WritableLayer::Folder(folder) => open_folder(&mut steps, folder)?,
    }
    make_writable(&mut steps, UPPER, WORK)?;
    close_layer_slots(&mut steps);
    steps.push(Step::ChangeDirectory { path: c"/" });
    steps.push(Step::SetIdentity {
        uid: 0,
        gid: 0,
        groups: List::EMPTY,
        set_groups: false,
        bounding: CAPABILITIES,
        no_new_privileges: true,
    });
    steps.push(Step::AwaitRelease {});
    steps.push(Step::PlaceDescriptors {
        first: connection,
        count: 1,
    });
    steps.push(Step::CloseDescriptors {
        keep_control: false,
        preserved: 1,
    });
    steps.push(Step::SetCapabilities {
        effective: CAPABILITIES,
        permitted: CAPABILITIES,
        inheritable: 0,
        ambient: 0,
    });
    let program = program.display().to_string();
    let arguments = [&program, "-f", "-o", &options, CONNECTION];
    steps.push(Step::Execute {
        candidates: list_of_texts("fuse-overlayfs", [&program])?.as_list(),
        arguments: list_of_texts("layer", arguments)?.as_list(),
        environment: List::EMPTY,
        init: false,
    });
    // Having entered the user namespace, it lets nobody look into it: there is nothing of it to compare.
    Ok(operation(steps, descriptors))
}

/// Plans to open files of a running container for an owner whom its file system does not let in.
pub(crate) fn plan_lend(paths: &[&str]) -> Result<Plan, PlanError> {
    let mut steps = Steps::default();
    let mut descriptors = Descriptors::default();
    let pidfd = descriptors.add(Descriptor::ContainerProcess);
    let tree = descriptors.add(Descriptor::Preserved(0));
    steps.push(Step::EnterProcess {
        pidfd,
        namespaces: namespace::USER,
    });
    steps.push(Step::BecomeRoot {});
    steps.push(Step::LendFiles {
        tree,
        paths: list_of_texts("path", paths)?.as_list(),
    });
    Ok(operation(steps, descriptors))
}

/// Plans to copy the mounts of a directory in another mount namespace, that of a process.
pub(crate) fn plan_lend_tree(path: &str) -> Result<Plan, PlanError> {
    let mut steps = Steps::default();
    let mut descriptors = Descriptors::default();
    let pidfd = descriptors.add(Descriptor::ContainerProcess);
    steps.push(Step::EnterProcess {
        pidfd,
        namespaces: namespace::MOUNT,
    });
    steps.push(Step::CopyTree {
        path: &c_string("mount source", path)?,
        out: Slot::DIRECTORY,
    });
    steps.push(Step::LendTree {
        tree: Slot::DIRECTORY,
    });
    Ok(operation(steps, descriptors))
}

/// Plans to put kept layers together while their container does not run, in a user namespace with the container's ids: an ordinary
/// user may mount nowhere else.
pub(crate) fn plan_lend_overlay(
    layers: &[String],
    folder: &Path,
    features: &HostFeatures,
) -> Result<Plan, PlanError> {
    let mut steps = Steps::default();
    let mut descriptors = Descriptors::default();
    let users = descriptors.add(Descriptor::Preserved(0));
    steps.push(Step::EnterNamespace {
        namespace: users,
        kind: namespace::USER,
        path: c"",
    });
    steps.push(Step::BecomeRoot {});
    steps.push(Step::NewMountNamespace {});
    open_folder(&mut steps, folder)?;
    make_writable(&mut steps, UPPER, WORK)?;
    steps.push(Step::NewOverlay {
        layers: list_of_texts("layer", layers)?.as_list(),
        upper: Slot::UPPER,
        work: Slot::WORK,
        user_attributes: true,
        append: features.overlay_lower_append,
        attributes: 0,
        out: Slot::ROOT,
    });
    steps.push(Step::LendTree { tree: Slot::ROOT });
    Ok(operation(steps, descriptors))
}
