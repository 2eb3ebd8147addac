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

/// Makes what is missing of `path`, one component at a time. Each is made below the handle of the one before it, and
/// opened without following a link, so nobody can lead it elsewhere.
fn make(
    root: BorrowedFd<'_>,
    path: &CStr,
    target: Target,
    mode: Mode,
    extra: ResolveFlags,
) -> Result<OwnedFd> {
    let bytes = path.to_bytes();
    let mut buffer = [0_u8; LONGEST_PATH];
    buffer
        .get_mut(..bytes.len())
        .ok_or(Fault::new(Call::Openat2, Errno::NAMETOOLONG))?
        .copy_from_slice(bytes);
    let mut above: Option<OwnedFd> = None;
    let mut start = 0;
    while start < bytes.len() {
        if bytes[start] == b'/' {
            start += 1;
            continue;
        }
        let length = bytes[start..]
            .iter()
            .position(|byte| *byte == b'/')
            .unwrap_or(bytes.len() - start);
        let end = start + length;
        let is_last = bytes[end..].iter().all(|byte| *byte == b'/');
        let kind = if is_last { target } else { Target::Directory };
        let handle = OFlags::PATH
            | if kind == Target::Directory {
                OFlags::DIRECTORY
            } else {
                OFlags::empty()
            };
        buffer[end] = 0;
        let next = match open(root, text(&buffer[..=end])?, handle, extra) {
            Err(Fault {
                errno: Errno::NOENT,
                ..
            }) => {
                let directory = above.as_ref().map_or(root, |above| above.as_fd());
                let name = text(&buffer[start..=end])?;
                let mode = if is_last {
                    mode
                } else {
                    Mode::from_raw_mode(0o755)
                };
                make_entry(directory, name, kind, mode)?
            }
            result => result?,
        };
        if !is_last {
            buffer[end] = b'/';
        }
        above = Some(next);
        start = end;
    }
    above.ok_or(Fault::new(Call::Openat2, Errno::NOENT))
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
    let skip = path
        .to_bytes()
        .iter()
        .take_while(|byte| **byte == b'/')
        .count();
    let rest = CStr::from_bytes_with_nul(&path.to_bytes_with_nul()[skip..]).unwrap_or(c".");
    if rest.is_empty() { c"." } else { rest }
}
