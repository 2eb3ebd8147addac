//! What an ordinary user's layers can be put together by.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;

use super::accounts::program;

/// The program that does in user space what overlayfs does in the kernel.
pub(super) const FUSE_OVERLAYFS: &str = "fuse-overlayfs";

/// Whether the kernel has overlayfs, as a part of it or as a module that is loaded or can be. The user's mount loads it.
pub(super) fn is_there() -> bool {
    let listed = |text: String| text.lines().any(|line| line.ends_with("\toverlay"));
    // Where it cannot be read, the mount will tell.
    fs::read_to_string("/proc/filesystems").map_or(true, listed) || is_a_module()
}

/// Whether it is among the modules of the running kernel (modules.alias(5), depmod(8)).
fn is_a_module() -> bool {
    let Ok(release) = rustix::system::uname().release().to_owned().into_string() else {
        return false;
    };
    let names = PathBuf::from("/lib/modules")
        .join(release)
        .join("modules.dep");
    fs::read_to_string(names).is_ok_and(|text| {
        text.lines().any(|line| {
            line.split(':')
                .next()
                .is_some_and(|path| path.contains("/overlay.ko"))
        })
    })
}

/// Where fuse-overlayfs is, where it can be used.
pub(super) fn fuse_program() -> Option<PathBuf> {
    program(FUSE_OVERLAYFS).filter(|_| device().is_ok())
}

/// Opens a connection that nobody uses.
pub(super) fn device() -> std::io::Result<()> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    opened.map(drop)
}
