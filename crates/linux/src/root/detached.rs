//! The root of a container that does not run, put together from its layers and attached nowhere.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

use super::{RootError, UPPER, by_handle, directory};

/// The folder beside [`UPPER`] that overlayfs works in.
const WORK: &str = "work";

/// Mounts layers, the top-most first, with a folder for writes over them. The caller must have CAP_SYS_ADMIN, and see to it
/// that nobody else mounts that folder meanwhile.
pub(crate) fn overlay(
    layers: &[PathBuf],
    folder: &Path,
    append: bool,
) -> Result<OwnedFd, RootError> {
    let upper = made(&folder.join(UPPER), 0o755)?;
    let work = made(&folder.join(WORK), 0o700)?;
    let layers = layers
        .iter()
        .map(|layer| directory(layer))
        .collect::<Result<Vec<_>, _>>()?;
    mount(&layers, &upper, &work, append).map_err(|errno| RootError::Host {
        operation: "mount the layers over",
        path: folder.to_owned(),
        source: errno.into(),
    })
}

fn mount(
    layers: &[OwnedFd],
    upper: &OwnedFd,
    work: &OwnedFd,
    append: bool,
) -> Result<OwnedFd, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    if append {
        for layer in layers {
            fsconfig_set_string(context, "lowerdir+", by_handle(layer))?;
        }
    } else {
        // The kernel takes at most 255 characters here, which is some fifteen layers, and says so.
        let names: Vec<String> = layers
            .iter()
            .map(|layer| format!("/proc/self/fd/{}", layer.as_raw_fd()))
            .collect();
        fsconfig_set_string(context, "lowerdir", names.join(":"))?;
    }
    fsconfig_set_string(context, "upperdir", by_handle(upper))?;
    fsconfig_set_string(context, "workdir", by_handle(work))?;
    fsconfig_create(context)?;
    fsmount(
        context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NODEV,
    )
}

/// A directory of the folder for writes, as a start makes it.
fn made(path: &Path, mode: u32) -> Result<OwnedFd, RootError> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(RootError::Host {
            operation: "make",
            path: path.to_owned(),
            source,
        }),
        _ => directory(path),
    }
}
