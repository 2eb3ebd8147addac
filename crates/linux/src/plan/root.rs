//! Steps that make the container's root: a directory, layers, or this machine's own system directories.

use hoist_init::wire::{Slot, Step};
use hoist_spec::{RootSource, WritableLayer};

use super::constants::attribute;
use super::program::{ListBytes, Steps, c_string};
use super::{Context, PlanError};
use crate::root_facts::{HostEntryKind, HostRoot};

const SCRATCH_OPTIONS: [&str; 2] = ["mode", "700"];
const ROOT_OPTIONS: [&str; 2] = ["mode", "755"];

/// Appends the steps that make the root, put it in [`Slot::ROOT`] and attach it.
pub(crate) fn make(
    steps: &mut Steps,
    source: &RootSource,
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
            match writable {
                WritableLayer::Ephemeral => make_scratch(steps)?,
                WritableLayer::Folder(folder) => {
                    let path = c_string("layer folder", &folder.display().to_string())?;
                    steps.push(Step::OpenFolder {
                        path: &path,
                        out: Slot::SCRATCH,
                    });
                }
            }
            overlay_in(steps, "upper", "work", &layers, Slot::ROOT, context)?;
            close_layer_slots(steps);
            steps.push(Step::AttachRoot {});
        }
        RootSource::Host => {
            let host = context.facts.host_root.as_ref().ok_or_else(|| {
                PlanError::unsupported(
                    "this machine's own root",
                    "its directories were not looked at",
                )
            })?;
            compose_host(steps, host, context)?;
        }
    }
    Ok(())
}

fn make_scratch(steps: &mut Steps) -> Result<(), PlanError> {
    let options = ListBytes::of_texts("option", SCRATCH_OPTIONS)?;
    steps.push(Step::NewFilesystem {
        kind: c"tmpfs",
        source: c"hoist-layer",
        options: options.as_list(),
        attributes: 0,
        out: Slot::SCRATCH,
    });
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
    for (name, mode, slot) in [(upper, 0o755, Slot::UPPER), (work, 0o700, Slot::WORK)] {
        let path = c_string("layer", name)?;
        steps.push(Step::MakeDirectory {
            root: Slot::SCRATCH,
            path: &path,
            mode,
            out: slot,
        });
    }
    let layers = ListBytes::of_texts("layer", layers)?;
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
/// as one in a user namespace, so the root cannot be one overlay.
fn compose_host(
    steps: &mut Steps,
    host: &HostRoot,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    let options = ListBytes::of_texts("option", ROOT_OPTIONS)?;
    steps.push(Step::NewFilesystem {
        kind: c"tmpfs",
        source: c"hoist-root",
        options: options.as_list(),
        attributes: 0,
        out: Slot::ROOT,
    });
    make_scratch(steps)?;
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
            HostEntryKind::Overlay => {
                overlays += 1;
                let (upper, work) = (format!("upper{overlays}"), format!("work{overlays}"));
                let layers = [entry.path.clone()];
                overlay_in(steps, &upper, &work, &layers, Slot::DIRECTORY, context)?;
                steps.push(Step::MountDetached {
                    mount: Slot::DIRECTORY,
                    target: &path,
                });
            }
            HostEntryKind::BindFile | HostEntryKind::BindDirectory => {
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

fn close_layer_slots(steps: &mut Steps) {
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
