//! Private procfs handles: no path of the container's `/proc`, which the container's maker may have built, is ever
//! written to.

use core::ffi::CStr;

use hoist_init::label;
use hoist_init::wire::Call;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

use super::fault::{At, Fault, Result};

/// As long as a security module tells a label (`PAGE_SIZE`).
const LONGEST_LABEL: usize = 4096;

/// A detached procfs of the process's pid namespace; with only the processes in it where `processes_only`.
fn open(processes_only: bool) -> Result<OwnedFd> {
    let context = fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC).at(Call::Fsopen)?;
    if processes_only {
        fsconfig_set_string(context.as_fd(), c"subset", c"pid").at(Call::Fsconfig)?;
    }
    fsconfig_create(context.as_fd()).at(Call::Fsconfig)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).at(Call::Fsmount)
}

fn write(procfs: &OwnedFd, path: &CStr, value: &CStr, resolve: ResolveFlags) -> Result<()> {
    let file = openat2(
        procfs,
        path,
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV | resolve,
    )
    .at(Call::Openat2)?;
    rustix::io::write(&file, value.to_bytes()).at(Call::Write)?;
    Ok(())
}

/// Writes to files of the process's own directory.
#[derive(Default)]
pub(crate) struct OwnProcess(Option<OwnedFd>);

impl OwnProcess {
    /// Writes `value` to `/proc/self/FILE`, a label that the process has from its execve(2) on, and reads it back.
    pub(crate) fn write_label(&mut self, file: &CStr, value: &CStr) -> Result<()> {
        if self.0.is_none() {
            let procfs = open(true)?;
            let own = openat2(
                procfs.as_fd(),
                c"self",
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            )
            .at(Call::Openat2)?;
            self.0 = Some(own);
        }
        match &self.0 {
            Some(own) => {
                write(own, file, value, ResolveFlags::NO_SYMLINKS)?;
                verify_label(own, file, value)
            }
            None => Ok(()),
        }
    }
}

fn verify_label(own: &OwnedFd, file: &CStr, value: &CStr) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let file = openat2(own, file, flags, Mode::empty(), resolve).at(Call::Verify)?;
    let mut told = [0_u8; LONGEST_LABEL];
    let length = rustix::io::read(&file, &mut told).at(Call::Verify)?;
    match is_label(&told[..length], value.to_bytes()) {
        true => Ok(()),
        false => Err(Fault::mismatch()),
    }
}

/// Whether a security module tells the label that was written. AppArmor is told what to do with its profile, and tells the
/// profile's mode behind it; SELinux has a spelling of its own, and may end it with a NUL.
fn is_label(told: &[u8], written: &[u8]) -> bool {
    let end = told.iter().position(|byte| matches!(byte, b'\n' | 0));
    let told = &told[..end.unwrap_or(told.len())];
    match written.strip_prefix(b"exec ") {
        Some(profile) => told
            .strip_prefix(profile)
            .is_some_and(|mode| mode.is_empty() || mode.starts_with(b" (")),
        None => label::is_same(told, written),
    }
}

/// Writes `value` to `/proc/sys/PATH`, through a procfs that is closed again at once.
pub(crate) fn write_sysctl(path: &CStr, value: &CStr) -> Result<()> {
    let procfs = open(false)?;
    let parameters = openat2(
        procfs.as_fd(),
        c"sys",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
    .at(Call::Openat2)?;
    write(&parameters, path, value, ResolveFlags::NO_SYMLINKS)
}

/// Writes to `/proc/self/FILE` of the host's procfs, before any namespace was entered.
pub(crate) fn write_on_host(file: &CStr, value: &CStr) -> Result<()> {
    let own = openat2(
        rustix::fs::CWD,
        c"/proc/self",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    )
    .at(Call::Openat2)?;
    write(&own, file, value, ResolveFlags::NO_SYMLINKS)
}
