//! Starting a program in a mount namespace of its own: what is mounted there goes with it, however it ends.
#![allow(unsafe_code, reason = "unshare(2) has no safe wrapper")]

use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;

use rustix::mount::{
    MountFlags, MountPropagationFlags, mount_bind_recursive, mount_change, mount_remount,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// What is mounted for it.
pub(super) struct Mounts<'a> {
    /// A directory, and where it is seen.
    pub(super) root: (&'a Path, &'a Path),
    /// That cannot be written to.
    pub(super) is_read_only: bool,
    /// The unified hierarchy, and where criu looks for it: a link would lead into the container's root by then.
    pub(super) hierarchy: Option<(&'a Path, &'a Path)>,
}

/// Starts the program. This program's own mounts are as before.
pub(super) fn spawn(mounts: &Mounts<'_>, command: &mut Command) -> io::Result<Child> {
    // A mount namespace is a thread's own, and this one does nothing else.
    let thread = thread::scope(|scope| scope.spawn(|| enter_and_spawn(mounts, command)).join());
    thread.unwrap_or_else(|_| Err(io::Error::other("the thread that starts it failed")))
}

fn enter_and_spawn(mounts: &Mounts<'_>, command: &mut Command) -> io::Result<Child> {
    // SAFETY: the flag touches this thread's mount namespace and its current directory, and no descriptor.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )?;
    let (source, target) = mounts.root;
    mount_bind_recursive(source, target)?;
    if mounts.is_read_only {
        mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, "")?;
    }
    if let Some((hierarchy, place)) = mounts.hierarchy {
        mount_bind_recursive(hierarchy, place)?;
    }
    command.spawn()
}
