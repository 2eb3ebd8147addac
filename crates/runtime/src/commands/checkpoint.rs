//! `checkpoint`: a container written down by criu.

use std::path::{Component, Path, PathBuf};

use hoist_linux::runtime::{CheckpointOptions, Criu, CriuOptions, ManageCgroups};

use super::{delete, only_id};
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `checkpoint` and `restore`.
pub(super) const COMMON: [Flag; 9] = [
    Flag::with_value(
        "image-path",
        "DIR",
        "where the checkpoint is (default: checkpoint)",
    ),
    Flag::with_value("work-path", "DIR", "where criu's log goes"),
    Flag::switch("tcp-established", "keep established TCP connections"),
    Flag::switch("ext-unix-sk", "allow unix sockets with a peer outside"),
    Flag::switch("shell-job", "allow a session of somebody else's"),
    Flag::switch("file-locks", "keep file locks"),
    Flag::with_value(
        "manage-cgroups-mode",
        "MODE",
        "soft (default), full, strict or ignore",
    ),
    Flag::with_value("empty-ns", "KIND", "make this namespace empty: network"),
    Flag::switch("auto-dedup", "remove memory that is written down twice"),
];

/// Flags of `checkpoint` alone.
pub(super) const FLAGS: [Flag; 8] = [
    Flag::with_value(
        "parent-path",
        "DIR",
        "an earlier checkpoint, seen from the image path",
    ),
    Flag::switch("leave-running", "let the container go on"),
    Flag::switch(
        "tcp-skip-in-flight",
        "leave out connections that are being made",
    ),
    Flag::switch("link-remap", "give files without a name one"),
    Flag::switch(
        "pre-dump",
        "write memory alone, and let the container go on",
    ),
    Flag::switch("lazy-pages", "refused"),
    Flag::with_value("page-server", "ADDRESS", "refused"),
    Flag::with_value("status-fd", "FD", "refused"),
];

pub(crate) fn checkpoint(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = only_id("checkpoint", arguments)?;
    let container = global.container(id)?;
    let options = CheckpointOptions {
        common: common("checkpoint", arguments)?,
        parent_path: arguments.value("parent-path").map(PathBuf::from),
        leave_running: arguments.has("leave-running"),
        pre_dump: arguments.has("pre-dump"),
        tcp_skip_in_flight: arguments.has("tcp-skip-in-flight"),
        link_remap: arguments.has("link-remap"),
    };
    if let Some(parent) = &options.parent_path {
        check_parent(&options.common.image_path, parent)?;
    }
    let criu = working("checkpoint", global)?;
    container.checkpoint(&criu, &options)?;
    if !options.leave_running && !options.pre_dump {
        // As runc has it: the checkpoint takes its place.
        delete::remove(&container, &mut global.log)?;
    }
    Ok(0)
}

/// The program, which works on this host.
pub(super) fn working(command: &str, global: &Global) -> Result<Criu, Failure> {
    let criu = Criu::new(global.criu.as_deref());
    criu.check()
        .map_err(|reason| Failure::new(format!("{command} is not supported: {reason}")))?;
    Ok(criu)
}

/// What both commands have in common.
pub(super) fn common(command: &str, arguments: &Arguments) -> Result<CriuOptions, Failure> {
    for name in ["lazy-pages", "page-server", "status-fd"] {
        let is_given = arguments.value(name).is_some_and(|value| value != "false");
        if is_given {
            return Err(Failure::usage(format!(
                "{command}: --{name} is not supported: memory is written to the image path, and no second criu serves it"
            )));
        }
    }
    let mode = arguments.value("manage-cgroups-mode").unwrap_or_default();
    let empty: Vec<&str> = arguments.values("empty-ns").collect();
    if let Some(kind) = empty.iter().find(|kind| **kind != "network") {
        return Err(Failure::usage(format!(
            "namespace {kind:?} is not supported"
        )));
    }
    Ok(CriuOptions {
        image_path: path(arguments.value("image-path").unwrap_or("checkpoint"))?,
        work_path: arguments
            .value("work-path")
            .filter(|path| !path.is_empty())
            .map(path)
            .transpose()?,
        tcp_established: arguments.has("tcp-established"),
        ext_unix_sk: arguments.has("ext-unix-sk"),
        shell_job: arguments.has("shell-job"),
        file_locks: arguments.has("file-locks"),
        auto_dedup: arguments.has("auto-dedup"),
        empty_network: !empty.is_empty(),
        manage_cgroups: ManageCgroups::of(mode)
            .ok_or_else(|| Failure::usage("Invalid manage-cgroups-mode value"))?,
    })
}

/// Without links and from the root: criu changes its working folder.
fn path(path: &str) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("path {path:?}: {error}")))
}

fn check_parent(image: &Path, parent: &Path) -> Result<(), Failure> {
    let shown = parent.display();
    if parent.is_absolute() {
        return Err(Failure::usage(format!(
            "--parent-path {shown}: it is not relative to --image-path"
        )));
    }
    // The image's own folder may not be there yet.
    let mut seen = image.to_owned();
    for part in parent.components() {
        match part {
            Component::ParentDir => _ = seen.pop(),
            part => seen.push(part),
        }
    }
    match seen.is_dir() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "--parent-path {shown}: there is no such folder, seen from {}",
            image.display()
        ))),
    }
}
