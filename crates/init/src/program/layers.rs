//! A root of layers where the kernel's overlayfs is not for this user: through a FUSE file system that a program outside of the
//! container serves, or by a copy.

use core::ffi::CStr;

use hoist_init::wire::{Call, List, Message, MessageKind};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, open, renameat, statat};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsconfig_set_flag, fsconfig_set_string, fsopen};

use super::fault::{At, Fault, Result};
use super::mounts::{self, Text};
use super::{control, copy};

/// A detached FUSE file system whose connection the owner has given to its server (linux/fuse.rst).
pub(crate) fn served(server: u8, everybody: bool) -> Result<OwnedFd> {
    // The kernel wants the connection opened in the user namespace of the mount.
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let connection = open(c"/dev/fuse", flags, Mode::empty()).at(Call::Openat)?;
    let context = fsopen(c"fuse", FsOpenFlags::FSOPEN_CLOEXEC).at(Call::Fsopen)?;
    let mut number = Text::<16>::new();
    number.push_number(connection.as_fd())?;
    for (key, value) in [
        (c"source", c"fuse-overlayfs"),
        (c"fd", number.as_c_str()?),
        (c"rootmode", c"40000"),
        (c"user_id", c"0"),
        (c"group_id", c"0"),
    ] {
        fsconfig_set_string(context.as_fd(), key, value).at(Call::Fsconfig)?;
    }
    // Who may do what to a file is for the kernel to say, not for the server.
    fsconfig_set_flag(context.as_fd(), c"default_permissions").at(Call::Fsconfig)?;
    if everybody {
        fsconfig_set_flag(context.as_fd(), c"allow_other").at(Call::Fsconfig)?;
    }
    let mount = mounts::mount_context(&context, 0)?;
    let message = Message {
        value: server.into(),
        ..Message::of(MessageKind::Serve)
    };
    control::send_with(message, connection.as_fd())?;
    // Held here, it would keep the file system from seeing that its server is gone.
    drop(connection);
    control::await_go()?;
    Ok(mount)
}

/// Copies layers into `tree`, or into its directory `name`.
pub(crate) fn copied(layers: List<'_>, tree: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    if name.is_empty() {
        return all(layers, tree);
    }
    match statat(tree, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => return Ok(()),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(Fault::new(Call::Fstat, errno)),
    }
    let mut draft = Text::<64>::new();
    draft.push(name.to_bytes())?;
    draft.push(b".unfinished")?;
    let draft = draft.as_c_str()?;
    // What a copy that was cut short has left.
    copy::remove(tree, draft, copy::DEEPEST)?;
    mkdirat(tree, draft, Mode::RWXU).at(Call::Mkdirat)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(tree, draft, flags, Mode::empty()).at(Call::Openat)?;
    all(layers, made.as_fd())?;
    renameat(tree, draft, tree, name).at(Call::Renameat)
}

fn all(layers: List<'_>, to: BorrowedFd<'_>) -> Result<()> {
    for index in (0..layers.count as usize).rev() {
        if let Some(path) = layers.iter::<&CStr>().nth(index) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let layer = rustix::fs::openat(CWD, path, flags, Mode::empty()).at(Call::Openat)?;
            copy::layer(layer.as_fd(), to)?;
        }
    }
    Ok(())
}
