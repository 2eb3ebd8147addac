//! All access to the container's root file system: handles and relative names only.
//!
//! Every path here is the attacker's. It is resolved below the root's handle by openat2(2), without magic links; a
//! rename going on at the same time makes the kernel answer `EAGAIN`, and the resolution starts again until a deadline.

use core::ffi::CStr;

use hoist_init::wire::Call;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::fault::{At, Fault, Result};

const LONGEST_PATH: usize = 4096;
const DEADLINE_SECONDS: i64 = 5;

/// Opens what `path` names below `root`; `extra` narrows the resolution further.
pub(crate) fn open(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    extra: ResolveFlags,
) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | extra;
    let mut started = None;
    loop {
        match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {
                let now = clock_gettime(ClockId::Monotonic).tv_sec;
                if now - *started.get_or_insert(now) > DEADLINE_SECONDS {
                    return Err(Fault::new(Call::Openat2, Errno::AGAIN));
                }
            }
            result => return result.at(Call::Openat2),
        }
    }
}

/// What a mount point has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Directory,
    File,
}

/// A handle of the directory or file that `path` names below `root`, made with `mode` where it is missing, as are the
/// directories above it (0755).
pub(crate) fn open_or_make(
    root: BorrowedFd<'_>,
    path: &CStr,
    target: Target,
    mode: Mode,
    extra: ResolveFlags,
) -> Result<OwnedFd> {
    let handle = OFlags::PATH
        | if target == Target::Directory {
            OFlags::DIRECTORY
        } else {
            OFlags::empty()
        };
    match open(root, path, handle, extra) {
        Err(Fault {
            errno: Errno::NOENT,
            ..
        }) => make(root, path, target, mode, extra),
        result => result,
    }
}

/// Makes what is missing of `path`: the lowest directory above it that is there is looked for from below, as mostly
/// little is missing; then each entry is made below the handle of the one before it, and opened without following a
/// link, so nobody can lead it elsewhere.
fn make(
    root: BorrowedFd<'_>,
    path: &CStr,
    target: Target,
    mode: Mode,
    extra: ResolveFlags,
) -> Result<OwnedFd> {
    let trimmed = trim_end(path.to_bytes());
    let whole = trimmed.len();
    let mut buffer = [0_u8; LONGEST_PATH];
    buffer
        .get_mut(..=whole)
        .ok_or(Fault::new(Call::Openat2, Errno::NAMETOOLONG))?[..whole]
        .copy_from_slice(trimmed);
    let mut above = None;
    let mut there = name_start(&buffer[..whole]);
    while there > 0 {
        let directory = trim_end(&buffer[..there]).len();
        let separator = core::mem::replace(&mut buffer[directory], 0);
        let opened = open(
            root,
            text(&buffer[..=directory])?,
            OFlags::PATH | OFlags::DIRECTORY,
            extra,
        );
        buffer[directory] = separator;
        match opened {
            Err(Fault {
                errno: Errno::NOENT,
                ..
            }) => there = name_start(&buffer[..directory]),
            result => {
                above = Some(result?);
                break;
            }
        }
    }
    let mut start = there + leading_slashes(&buffer[there..whole]);
    while start < whole {
        let length = buffer[start..whole]
            .iter()
            .position(|byte| *byte == b'/')
            .unwrap_or(whole - start);
        let end = start + length;
        buffer[end] = 0;
        let (kind, mode) = if end == whole {
            (target, mode)
        } else {
            (Target::Directory, Mode::from_raw_mode(0o755))
        };
        let directory = above.as_ref().map_or(root, |above| above.as_fd());
        above = Some(make_entry(
            directory,
            text(&buffer[start..=end])?,
            kind,
            mode,
        )?);
        start = end + 1;
        start += leading_slashes(&buffer[start.min(whole)..whole]);
    }
    above.ok_or(Fault::new(Call::Openat2, Errno::NOENT))
}

/// `path` without the slashes at its end.
fn trim_end(path: &[u8]) -> &[u8] {
    let slashes = path.iter().rev().take_while(|byte| **byte == b'/').count();
    &path[..path.len() - slashes]
}

/// Where the last name of `path`, which ends in no slash, begins.
fn name_start(path: &[u8]) -> usize {
    path.iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1)
}

fn leading_slashes(path: &[u8]) -> usize {
    path.iter().take_while(|byte| **byte == b'/').count()
}

fn make_entry(directory: BorrowedFd<'_>, name: &CStr, kind: Target, mode: Mode) -> Result<OwnedFd> {
    use rustix::fs::{FileType, mkdirat, mknodat};
    let (call, made) = match kind {
        Target::Directory => (Call::Mkdirat, mkdirat(directory, name, mode)),
        // mknod rather than an open that creates: it never opens what somebody else has put there.
        Target::File => (
            Call::Mknodat,
            mknodat(directory, name, FileType::RegularFile, mode, 0),
        ),
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Fault::new(call, errno)),
    }
    let kind = if kind == Target::Directory {
        OFlags::DIRECTORY
    } else {
        OFlags::empty()
    };
    open(
        directory,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | kind,
        ResolveFlags::NO_SYMLINKS,
    )
}

fn text(bytes: &[u8]) -> Result<&CStr> {
    CStr::from_bytes_with_nul(bytes).map_err(|_| Fault::new(Call::Decode, Errno::INVAL))
}

/// `path` without its leading slashes: relative to a handle. The root itself is `.`.
pub(crate) fn relative(path: &CStr) -> &CStr {
    let skip = leading_slashes(path.to_bytes());
    let rest = CStr::from_bytes_with_nul(&path.to_bytes_with_nul()[skip..]).unwrap_or(c".");
    if rest.is_empty() { c"." } else { rest }
}
