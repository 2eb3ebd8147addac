//! `checkpoint`: a container written down by criu.

use std::path::{Component, Path, PathBuf};

use hoist_linux::runtime::{CheckpointOptions, Criu, CriuOptions, ManageCgroups, PageServer};

use super::{delete, only_id};
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `checkpoint` and `restore`.
pub(super) const COMMON: [Flag; 10] = [
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
    Flag::switch("lazy-pages", "hand memory over when it is first used"),
];

/// Flags of `checkpoint` alone.
pub(super) const FLAGS: [Flag; 7] = [
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
    Flag::with_value(
        "page-server",
        "ADDRESS:PORT",
        "send memory there; with --lazy-pages, hand it out there",
    ),
    Flag::with_value(
        "status-fd",
        "FD",
        "tell this descriptor that memory is handed out",
    ),
];

pub(crate) fn checkpoint(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = only_id("checkpoint", arguments)?;
    let container = global.container(id)?;
    let common = common(arguments)?;
    let (page_server, status_fd) = pages(arguments, common.lazy_pages)?;
    let options = CheckpointOptions {
        common,
        parent_path: arguments.value("parent-path").map(PathBuf::from),
        leave_running: arguments.has("leave-running"),
        pre_dump: arguments.has("pre-dump"),
        tcp_skip_in_flight: arguments.has("tcp-skip-in-flight"),
        link_remap: arguments.has("link-remap"),
        page_server,
        status_fd,
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

/// Where memory goes, and who is told.
fn pages(
    arguments: &Arguments,
    lazy_pages: bool,
) -> Result<(Option<PageServer>, Option<u32>), Failure> {
    let given = |name| arguments.value(name).filter(|value| !value.is_empty());
    let page_server = given("page-server")
        .map(|text| {
            PageServer::of(text).ok_or_else(|| {
                Failure::usage(format!("--page-server {text:?}: it is not ADDRESS:PORT"))
            })
        })
        .transpose()?;
    if lazy_pages && page_server.is_none() {
        return Err(Failure::usage(
            "--lazy-pages: --page-server ADDRESS:PORT must say where memory is handed out",
        ));
    }
    let Some(descriptor) = arguments.number::<u32>("status-fd")? else {
        return Ok((page_server, None));
    };
    if !lazy_pages {
        return Err(Failure::usage(
            "--status-fd: there is nothing to tell without --lazy-pages",
        ));
    }
    match is_the_callers(descriptor) {
        true => Ok((page_server, Some(descriptor))),
        false => Err(Failure::usage(format!(
            "--status-fd {descriptor}: the caller has left no such descriptor open"
        ))),
    }
}

/// Whether a descriptor is one that this program has from its caller: its own are closed on execve(2).
fn is_the_callers(descriptor: u32) -> bool {
    const CLOEXEC: u32 = 0o2_000_000;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"));
    let flags = info.ok().and_then(|info| {
        let mut lines = info.lines();
        let flags = lines.find_map(|line| line.strip_prefix("flags:"))?;
        u32::from_str_radix(flags.trim(), 8).ok()
    });
    flags.is_some_and(|flags| flags & CLOEXEC == 0)
}

/// What both commands have in common.
pub(super) fn common(arguments: &Arguments) -> Result<CriuOptions, Failure> {
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
        lazy_pages: arguments.has("lazy-pages"),
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
