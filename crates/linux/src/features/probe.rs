//! What is tried out for the report: each namespace, file system and call, in a child process of its own.

use std::{ffi::CStr, io};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, open, openat2},
    io::{Errno, write},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
        fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change,
        move_mount,
    },
    process::{PidfdFlags, fchdir, getpid, pidfd_open},
    thread::UnshareFlags,
};

use super::{
    HostFeatures,
    child::{knows_call, try_in_child, unshare},
};

/// Tries things out as a container of this process would meet them: directly where it is privileged, else in a
/// user namespace.
pub(super) struct Probe {
    privileged: bool,
    uid_map: String,
    gid_map: String,
}

impl Probe {
    pub(super) fn new(host: &HostFeatures) -> Self {
        Self {
            privileged: host.privileged,
            uid_map: format!("0 {} 1", host.uid),
            gid_map: format!("0 {} 1", host.gid),
        }
    }

    /// A user namespace in which root can mount: a security module may let it be made and forbid the rest.
    pub(super) fn user_namespace(&self) -> io::Result<()> {
        try_in_child(|| {
            unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
            self.become_root()?;
            make_private()
        })
    }

    /// A namespace of this kind.
    pub(super) fn namespace(&self, kind: UnshareFlags) -> io::Result<()> {
        try_in_child(|| self.enter(kind))
    }

    /// An overlay with a writable layer on a tmpfs.
    pub(super) fn overlay(&self) -> io::Result<()> {
        try_in_child(|| {
            self.enter(UnshareFlags::NEWNS)?;
            make_private()?;
            let layers = file_system(c"tmpfs")?;
            for name in [c"lower", c"upper", c"work"] {
                mkdirat(&layers, name, Mode::RWXU)?;
            }
            // Anywhere will do: this mount namespace ends with the child, and the layers are named from within.
            move_mount(
                &layers,
                c"",
                CWD,
                c"/proc",
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
            )?;
            fchdir(&layers)?;
            let overlay = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
            for (option, layer) in [
                (c"lowerdir", c"lower"),
                (c"upperdir", c"upper"),
                (c"workdir", c"work"),
            ] {
                fsconfig_set_string(&overlay, option, layer)?;
            }
            if !self.privileged {
                fsconfig_set_flag(&overlay, c"userxattr")?;
            }
            fsconfig_create(&overlay)
        })
    }

    /// A new procfs for a new pid namespace. The kernel refuses it where files of the only one that is seen are
    /// covered, as docker does in its containers.
    pub(super) fn procfs(&self) -> io::Result<()> {
        try_in_child(|| {
            self.enter(UnshareFlags::NEWNS | UnshareFlags::NEWPID)?;
            // A procfs shows the pid namespace of who mounts it, and only a child is in the new one.
            try_in_child(|| file_system(c"proc").map(drop))
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })
    }

    /// The new mount calls.
    pub(super) fn fsopen(&self) -> io::Result<()> {
        try_in_child(|| {
            self.enter(UnshareFlags::NEWNS)?;
            file_system(c"tmpfs").map(drop)
        })
    }

    /// mount_setattr(2).
    pub(super) fn mount_setattr(&self) -> io::Result<()> {
        try_in_child(|| {
            self.enter(UnshareFlags::NEWNS)?;
            knows_call(libc::SYS_mount_setattr)
        })
    }

    fn enter(&self, kind: UnshareFlags) -> Result<(), Errno> {
        if self.privileged {
            return unshare(kind);
        }
        unshare(UnshareFlags::NEWUSER | kind)?;
        self.become_root()
    }

    fn become_root(&self) -> Result<(), Errno> {
        put(c"/proc/self/setgroups", "deny")?;
        put(c"/proc/self/uid_map", &self.uid_map)?;
        put(c"/proc/self/gid_map", &self.gid_map)
    }
}

/// openat2(2).
pub(super) fn openat2_call() -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(CWD, c".", flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
    Ok(())
}

/// pidfd_open(2).
pub(super) fn pidfd_call() -> io::Result<()> {
    pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(())
}

/// clone3(2).
pub(super) fn clone3_call() -> io::Result<()> {
    Ok(knows_call(libc::SYS_clone3)?)
}

/// seccomp(2).
pub(super) fn seccomp_call() -> io::Result<()> {
    Ok(knows_call(libc::SYS_seccomp)?)
}

/// A new file system of this type, attached nowhere.
fn file_system(name: &CStr) -> Result<OwnedFd, Errno> {
    let context = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

/// Nothing that is mounted from here on is seen outside.
fn make_private() -> Result<(), Errno> {
    mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
}

fn put(path: &CStr, text: &str) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write(&file, text.as_bytes()).map(drop)
}
