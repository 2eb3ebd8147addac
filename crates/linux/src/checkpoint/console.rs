//! The console of a restored process. Criu's command line makes no terminal whose other side nobody of the checkpoint has, but takes
//! one that is somebody else's (criu(8), `--external tty[RDEV:DEV]`). So the container's devpts is made here, before criu is
//! started, and is a mount from outside for it: its first terminal is the console, and stays `/dev/pts/0` and `/dev/console`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use hoist_compute::Result;
use hoist_spec::ConsoleSize;
use hoist_spec::oci::Spec;
use rustix::fs::{FileType, Mode, OFlags, Stat, Uid, fchown, major, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::mounts::External;
use super::unsupported;
use crate::plan::{Namespaces, USER_NAMESPACE};

/// What a container's console is seen as, beside its own devpts.
const CONSOLE: &str = "/dev/console";
/// The first terminal of a devpts.
const FIRST: &str = "0";
/// The major numbers of terminals that have another side (`UNIX98_PTY_SLAVE_MAJOR`, eight of them).
const MAJORS: std::ops::Range<u32> = 136..144;
/// What the words of a mount mean for the mount and not for its file system.
const OF_THE_MOUNT: [&str; 6] = ["nosuid", "noexec", "nodev", "rw", "ro", "newinstance"];

/// Both sides of a terminal, and the file system that it is in, attached nowhere yet.
pub(super) struct Console {
    pub(super) controller: OwnedFd,
    pub(super) terminal: OwnedFd,
    pub(super) devpts: OwnedFd,
}

/// Whether its process has a console.
pub(super) fn is_asked_for(oci: &Spec) -> bool {
    let process = oci.process().as_ref();
    process
        .and_then(|process| process.terminal())
        .unwrap_or(false)
}

/// Refuses a console that could not be made again.
pub(super) fn can_be_restored(oci: &Spec, what: &str) -> Result<()> {
    if !is_asked_for(oci) {
        return Ok(());
    }
    if destination(oci).is_none() {
        return Err(unsupported(
            what,
            "process.terminal: without a devpts among mounts its console is a terminal of the host's",
        ));
    }
    let namespaces = Namespaces::of(oci).map_err(hoist_compute::Error::from)?;
    match namespaces.has(USER_NAMESPACE) {
        true => Err(unsupported(
            what,
            "process.terminal: in a user namespace its terminals would be those of the host's users",
        )),
        false => Ok(()),
    }
}

fn devpts(oci: &Spec) -> Option<&hoist_spec::oci::Mount> {
    let mut mounts = oci.mounts().iter().flatten();
    mounts.find(|mount| mount.typ().as_deref() == Some("devpts"))
}

fn destination(oci: &Spec) -> Option<String> {
    devpts(oci).map(|mount| mount.destination().display().to_string())
}

/// What criu is told to be somebody else's, where the container has a console; `place` is where the devpts is for criu.
pub(super) fn externals(oci: &Spec, place: &Path) -> Vec<External> {
    let destination = is_asked_for(oci).then(|| destination(oci)).flatten();
    let Some(destination) = destination else {
        return Vec::new();
    };
    vec![
        External {
            destination,
            source: place.to_owned(),
            is_file: false,
        },
        External {
            destination: CONSOLE.to_owned(),
            source: PathBuf::from(place).join(FIRST),
            is_file: true,
        },
    ]
}

/// Criu's name for a stream that is a terminal, where it is one.
pub(super) fn name(found: &Stat) -> Option<String> {
    let is_terminal = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
        && MAJORS.contains(&major(found.st_rdev));
    is_terminal.then(|| format!("tty[{:x}:{:x}]", found.st_rdev, found.st_dev))
}

/// Makes a terminal as the spec has it.
pub(super) fn make(oci: &Spec) -> io::Result<Console> {
    let mount = devpts(oci).ok_or(io::ErrorKind::InvalidInput)?;
    let context = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for option in mount.options().iter().flatten() {
        match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(context.as_fd(), key, value)?,
            None if OF_THE_MOUNT.contains(&option.as_str()) => {}
            None => fsconfig_set_flag(context.as_fd(), option.as_str())?,
        }
    }
    fsconfig_create(context.as_fd())?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let devpts = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let controller = openat(&devpts, "ptmx", flags, Mode::empty())?;
    unlockpt(&controller)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = ioctl_tiocgptpeer(&controller, flags)?;
    let uid = oci.process().as_ref().map(|process| process.user().uid());
    fchown(&terminal, uid.map(Uid::from_raw), None)?;
    Ok(Console {
        controller,
        terminal,
        devpts,
    })
}

/// Gives it a size, where one is asked for; else it keeps that of the checkpoint.
pub(super) fn resize(controller: impl AsFd, size: ConsoleSize) -> io::Result<()> {
    if size == ConsoleSize::default() {
        return Ok(());
    }
    let size = Winsize {
        ws_row: size.height,
        ws_col: size.width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(controller, size)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(mounts: serde_json::Value, namespace: &str) -> Spec {
        serde_json::from_value(json!({
            "ociVersion": "1.0.0",
            "process": {"cwd": "/", "user": {"uid": 0, "gid": 0}, "terminal": true},
            "mounts": mounts,
            "linux": {"namespaces": [{"type": "mount"}, {"type": namespace}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_console_of_the_hosts_or_in_a_user_namespace_is_refused_by_name() {
        let own = json!([{"destination": "/dev/pts", "type": "devpts", "source": "devpts"}]);
        can_be_restored(&spec(own.clone(), "pid"), "restore").unwrap();
        for (oci, words) in [
            (spec(own, "user"), "in a user namespace"),
            (spec(json!([]), "pid"), "without a devpts"),
        ] {
            let error = can_be_restored(&oci, "restore").unwrap_err().to_string();
            assert!(
                error.contains("process.terminal") && error.contains(words),
                "{error}"
            );
        }
    }

    #[test]
    fn the_devpts_and_the_console_are_told_where_there_is_a_console() {
        let own = json!([{"destination": "/dev/pts", "type": "devpts", "source": "devpts"}]);
        let mut oci = spec(own, "pid");
        let told: Vec<_> = externals(&oci, Path::new("/place"))
            .into_iter()
            .map(|external| (external.destination, external.source))
            .collect();
        assert_eq!(
            told,
            [
                ("/dev/pts".to_owned(), PathBuf::from("/place")),
                ("/dev/console".to_owned(), PathBuf::from("/place/0")),
            ]
        );
        oci.process_mut()
            .as_mut()
            .unwrap()
            .set_terminal(Some(false));
        assert_eq!(externals(&oci, Path::new("/place")), []);
    }

    #[test]
    fn only_a_terminal_with_another_side_has_a_name() {
        let null = rustix::fs::stat("/dev/null").unwrap();
        assert_eq!(name(&null), None);
        let mut terminal = null;
        terminal.st_rdev = 136 << 8;
        terminal.st_dev = 0x1f;
        assert_eq!(name(&terminal), Some("tty[8800:1f]".to_owned()));
    }
}
