//! Steps that make the container's root: a directory, layers, or this machine's own system directories.

use std::ffi::CStr;
use std::path::Path;

use hoist_init::wire::{Slot, Step};
use hoist_spec::{RootSource, WritableLayer};

use super::constants::attribute;
use super::program::{Steps, c_string, list_of_texts};
use super::served::{self, Servers};
use super::{Context, PlanError};
use crate::features::LayerMethod;
use crate::root_facts::{HostEntryKind, HostRoot, KeptLayer};

/// The directory in a [`WritableLayer::Folder`] that holds a copy of all layers with what the container wrote, where they could
/// not be put together otherwise.
pub(crate) const COPY: &str = "copy";
/// The directory there that holds what the container wrote over its layers: overlayfs' `upperdir`.
pub(crate) const UPPER: &str = "upper";
/// overlayfs' `workdir`.
pub(super) const WORK: &str = "work";

const SCRATCH_OPTIONS: [&str; 2] = ["mode", "700"];
const ROOT_OPTIONS: [&str; 2] = ["mode", "755"];

/// Appends the steps that make the root, put it in [`Slot::ROOT`] and attach it.
pub(crate) fn make(
    steps: &mut Steps,
    servers: &mut Servers,
    source: &RootSource,
    read_only: bool,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    match source {
        RootSource::Directory(path) => {
            let path = c_string("rootfs", &path.display().to_string())?;
            steps.push(Step::OpenRoot {
                path: &path,
                attributes: 0,
            });
            steps.push(Step::AttachRoot {});
        }
        RootSource::Layers { layers, writable } => {
            let layers: Vec<String> = layers
                .iter()
                .map(|layer| layer.display().to_string())
                .collect();
            layered(steps, servers, &layers, writable, context)?;
            close_layer_slots(steps);
            steps.push(Step::AttachRoot {});
        }
        RootSource::Unisolated => {
            return Err(PlanError::unsupported(
                "a container without isolation",
                "it is no container of the kernel's",
            ));
        }
        RootSource::Host => {
            let host = context.facts.host_root.as_ref().ok_or_else(|| {
                PlanError::unsupported(
                    "this machine's own root",
                    "its directories were not looked at",
                )
            })?;
            compose_host(steps, servers, host, read_only, context)?;
        }
    }
    Ok(())
}

/// Layers as one root, by whatever this host lets the container have.
fn layered(
    steps: &mut Steps,
    servers: &mut Servers,
    layers: &[String],
    writable: &WritableLayer,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    // What was written to a copy is there and nowhere else.
    let method = match context.facts.kept_layer {
        Some(KeptLayer::Copy) => LayerMethod::Copy,
        _ => context.features.layer_method(),
    };
    match (method, writable) {
        (LayerMethod::Overlay, writable) => {
            open_writable(steps, writable)?;
            overlay_in(steps, UPPER, WORK, layers, Slot::ROOT, context)
        }
        (LayerMethod::Fuse(program), writable) => served::show(
            steps,
            servers,
            program,
            layers,
            writable,
            Slot::ROOT,
            context,
        ),
        (LayerMethod::Copy, WritableLayer::Ephemeral) => {
            make_memory_root(steps)?;
            steps.push(Step::CopyLayers {
                layers: list_of_texts("layer", layers)?.as_list(),
                tree: Slot::ROOT,
                name: c"",
            });
            Ok(())
        }
        (LayerMethod::Copy, WritableLayer::Folder(folder)) => {
            open_writable(steps, writable)?;
            let written = folder.join(UPPER).display().to_string();
            let written = (context.facts.kept_layer == Some(KeptLayer::Upper)).then_some(&written);
            let all = list_of_texts("layer", written.into_iter().chain(layers))?;
            steps.push(Step::CopyLayers {
                layers: all.as_list(),
                tree: Slot::SCRATCH,
                name: &c_string("layer folder", COPY)?,
            });
            let copy = folder.join(COPY).display().to_string();
            steps.push(Step::OpenRoot {
                path: &c_string("layer folder", &copy)?,
                attributes: 0,
            });
            Ok(())
        }
    }
}

/// Opens what receives the container's writes.
fn open_writable(steps: &mut Steps, writable: &WritableLayer) -> Result<(), PlanError> {
    match writable {
        WritableLayer::Ephemeral => make_scratch(steps),
        WritableLayer::Folder(folder) => open_folder(steps, folder),
    }
}

pub(super) fn open_folder(steps: &mut Steps, folder: &Path) -> Result<(), PlanError> {
    steps.push(Step::OpenFolder {
        path: &c_string("layer folder", &folder.display().to_string())?,
        out: Slot::SCRATCH,
    });
    Ok(())
}

/// Makes the directories of a writable layer.
pub(super) fn make_writable(steps: &mut Steps, upper: &str, work: &str) -> Result<(), PlanError> {
    for (name, mode, slot) in [(upper, 0o755, Slot::UPPER), (work, 0o700, Slot::WORK)] {
        let path = c_string("layer", name)?;
        steps.push(Step::MakeDirectory {
            root: Slot::SCRATCH,
            path: &path,
            mode,
            out: slot,
        });
    }
    Ok(())
}

fn make_memory_root(steps: &mut Steps) -> Result<(), PlanError> {
    make_memory(steps, c"hoist-root", ROOT_OPTIONS, Slot::ROOT)
}

fn make_memory(
    steps: &mut Steps,
    source: &CStr,
    options: [&str; 2],
    out: Slot,
) -> Result<(), PlanError> {
    let options = list_of_texts("option", options)?;
    steps.push(Step::NewFilesystem {
        kind: c"tmpfs",
        source,
        options: options.as_list(),
        attributes: 0,
        out,
    });
    Ok(())
}

/// The file system of a writable layer that is thrown away, attached nowhere.
pub(super) fn make_detached_scratch(steps: &mut Steps) -> Result<(), PlanError> {
    make_memory(steps, c"hoist-layer", SCRATCH_OPTIONS, Slot::SCRATCH)
}

fn make_scratch(steps: &mut Steps) -> Result<(), PlanError> {
    make_detached_scratch(steps)?;
    steps.push(Step::AttachScratch {});
    Ok(())
}

fn overlay_in(
    steps: &mut Steps,
    upper: &str,
    work: &str,
    layers: &[String],
    out: Slot,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    make_writable(steps, upper, work)?;
    let layers = list_of_texts("layer", layers)?;
    steps.push(Step::NewOverlay {
        layers: layers.as_list(),
        upper: Slot::UPPER,
        work: Slot::WORK,
        user_attributes: context.in_user_namespace(),
        append: context.features.overlay_lower_append,
        attributes: 0,
        out,
    });
    Ok(())
}

/// A tmpfs with an overlay per system directory: overlayfs shows no mounts below a lower directory, and the kernel refuses `/`
/// as one in a user namespace, so the root cannot be one overlay. Where no overlay can be had, a root that is to be read only
/// has the directories themselves.
fn compose_host(
    steps: &mut Steps,
    servers: &mut Servers,
    host: &HostRoot,
    read_only: bool,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    make_memory_root(steps)?;
    let method = context.features.layer_method();
    match method {
        LayerMethod::Overlay => make_scratch(steps)?,
        LayerMethod::Fuse(_) => {}
        LayerMethod::Copy if read_only => {}
        LayerMethod::Copy => {
            return Err(PlanError::Unsupported {
                what: "this machine's own root, to be written to".to_owned(),
                reason: "there is nothing here to keep apart what is written, and it is not copied for a container".to_owned(),
                remedy: Some(
                    "give --read-only, with --tmpfs or -v for what is written; or --rootfs or --layer; or see what \
                     `hoist info` says of layers"
                        .to_owned(),
                ),
            });
        }
    }
    steps.push(Step::AttachRoot {});
    let mut overlays = 0;
    for entry in &host.entries {
        let path = c_string("path", &entry.path)?;
        match &entry.kind {
            HostEntryKind::Directory { mode } => {
                steps.push(Step::MakeDirectory {
                    root: Slot::ROOT,
                    path: &path,
                    mode: *mode as u16,
                    out: Slot::NONE,
                });
            }
            HostEntryKind::Link(content) => {
                let (directory, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
                let slot = if directory.is_empty() {
                    Slot::ROOT
                } else {
                    let directory = c_string("path", directory)?;
                    steps.push(Step::MakeDirectory {
                        root: Slot::ROOT,
                        path: &directory,
                        mode: 0o755,
                        out: Slot::DIRECTORY,
                    });
                    Slot::DIRECTORY
                };
                let (name, content) = (c_string("path", name)?, c_string("link", content)?);
                steps.push(Step::MakeLink {
                    directory: slot,
                    name: &name,
                    content: &content,
                    may_exist: false,
                });
            }
            HostEntryKind::Overlay if method != LayerMethod::Copy => {
                overlays += 1;
                let layers = [entry.path.clone()];
                let out = Slot::DIRECTORY;
                if let LayerMethod::Fuse(program) = method {
                    let writable = WritableLayer::Ephemeral;
                    served::show(steps, servers, program, &layers, &writable, out, context)?;
                } else {
                    let (upper, work) = (format!("upper{overlays}"), format!("work{overlays}"));
                    overlay_in(steps, &upper, &work, &layers, out, context)?;
                }
                steps.push(Step::MountDetached {
                    mount: Slot::DIRECTORY,
                    target: &path,
                });
            }
            HostEntryKind::Overlay | HostEntryKind::BindFile | HostEntryKind::BindDirectory => {
                steps.push(Step::Bind {
                    source: &path,
                    tree: Slot::NONE,
                    target: &path,
                    recursive: true,
                    set: attribute::RDONLY,
                    clear: 0,
                    attributes_recursive: true,
                    propagation: 0,
                    device: false,
                    below: c"",
                    copy_up: false,
                });
            }
        }
    }
    close_layer_slots(steps);
    Ok(())
}

pub(super) fn close_layer_slots(steps: &mut Steps) {
    for slot in [Slot::SCRATCH, Slot::UPPER, Slot::WORK, Slot::DIRECTORY] {
        steps.push(Step::CloseSlot { slot });
    }
}

/// Appends the steps that make the finished root read-only; file systems mounted in it stay as they are.
pub(crate) fn make_read_only(
    steps: &mut Steps,
    source: &RootSource,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    let composed = match (source, &context.facts.host_root) {
        // What could not be put together is there as it is, and was never to be written to.
        (RootSource::Host, Some(_)) if context.features.layer_method() == LayerMethod::Copy => &[],
        (RootSource::Host, Some(host)) => host.entries.as_slice(),
        _ => &[],
    };
    for entry in composed
        .iter()
        .filter(|entry| entry.kind == HostEntryKind::Overlay)
    {
        steps.push(Step::MakeReadOnly {
            path: &c_string("path", &entry.path)?,
        });
    }
    steps.push(Step::MakeMountReadOnly {
        mount: Slot::ROOT,
        target: c"/",
    });
    Ok(())
}
