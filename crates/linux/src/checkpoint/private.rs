//! Starting a program in a mount namespace of its own: what is mounted there goes with it, however it ends.
#![allow(
    unsafe_code,
    reason = "neither unshare(2) nor what is done between fork and exec has a safe wrapper"
)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;

use rustix::fs::{CWD, StatVfsMountFlags, statvfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, mount_bind_recursive, mount_change,
    mount_remount, move_mount,
};
use rustix::thread::{UnshareFlags, set_no_new_privs, unshare_unsafe};

/// What is mounted for it.
pub(super) struct Mounts<'a> {
    /// A directory, and where it is seen.
    pub(super) root: (&'a Path, &'a Path),
    /// That cannot be written to.
    pub(super) is_read_only: bool,
    /// The unified hierarchy, and where criu looks for it: a link would lead into the container's root by then.
    pub(super) hierarchy: Option<(&'a Path, &'a Path)>,
    /// A file system that is attached nowhere, and where it is to be.
    pub(super) devpts: Option<(&'a OwnedFd, &'a Path)>,
}

/// What else of the program is not as its caller's, nor of what it starts.
pub(super) struct Bounds {
    /// It gains no privileges (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    pub(super) no_new_privileges: bool,
    /// It is in these cgroups: their `cgroup.procs`, open for writing.
    pub(super) cgroups: Vec<File>,
    /// Its cgroup namespace begins there.
    pub(super) own_cgroup_namespace: bool,
}

/// Starts the program. This program's own mounts and rights are as before.
pub(super) fn spawn(
    mounts: &Mounts<'_>,
    bounds: Bounds,
    command: &mut Command,
) -> io::Result<Child> {
    let Bounds {
        no_new_privileges,
        cgroups,
        own_cgroup_namespace,
    } = bounds;
    if !cgroups.is_empty() {
        let enter = move || {
            // 0 is who writes (cgroups(7)).
            let mut files = cgroups.iter();
            files.try_for_each(|mut file| file.write_all(b"0"))?;
            if own_cgroup_namespace {
                // SAFETY: the flag touches no memory and no descriptor.
                unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec it only calls write(2) and unshare(2), and neither allocates nor takes a lock.
        unsafe { command.pre_exec(enter) };
    }
    // Both are a thread's own, and this one does nothing else.
    let start = || {
        enter(mounts)?;
        if no_new_privileges {
            set_no_new_privs(true)?;
        }
        command.spawn()
    };
    let thread = thread::scope(|scope| scope.spawn(start).join());
    thread.unwrap_or_else(|_| Err(io::Error::other("the thread that starts it failed")))
}

fn enter(mounts: &Mounts<'_>) -> io::Result<()> {
    // SAFETY: the flag touches this thread's mount namespace and its current directory, and no descriptor.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )?;
    let (source, target) = mounts.root;
    mount_bind_recursive(source, target)?;
    if mounts.is_read_only {
        let flags = restrictions(target)? | MountFlags::BIND | MountFlags::RDONLY;
        mount_remount(target, flags, "")?;
    }
    if let Some((hierarchy, place)) = mounts.hierarchy {
        mount_bind_recursive(hierarchy, place)?;
    }
    if let Some((devpts, place)) = mounts.devpts {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(devpts, "", CWD, place, flags)?;
    }
    Ok(())
}

/// What a mount forbids already, which a remount would allow again (mount(2), `MS_REMOUNT`).
fn restrictions(path: &Path) -> io::Result<MountFlags> {
    let has = statvfs(path)?.f_flag;
    let known = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
    ];
    let set = known.iter().filter(|(flag, _)| has.contains(*flag));
    Ok(set.fold(MountFlags::empty(), |flags, (_, flag)| flags | *flag))
}
