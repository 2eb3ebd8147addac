//! What is in a regular file.

use core::ffi::CStr;

use hoist_init::wire::Call;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, SeekFrom, Stat, ftruncate, open, openat, seek, sendfile};
use rustix::io::Errno;

use crate::program::fault::{At, Result};
use crate::program::mounts::Text;

const CHUNK: usize = 1 << 20;
/// The unit of `st_blocks` in bytes (inode(7)).
const BLOCK: u64 = 512;

/// Makes `name` in `to` with the content of a regular file, which was found to be `found`.
pub(super) fn copy(entry: &OwnedFd, found: &Stat, to: &OwnedFd, name: &CStr) -> Result<OwnedFd> {
    let mut path = Text::<32>::new();
    path.push_descriptor(entry.as_fd())?;
    // By the handle, which is known to be of a regular file.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let source = open(path.as_c_str()?, flags, Mode::empty()).at(Call::Openat)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let copy = openat(to, name, flags, Mode::RUSR | Mode::WUSR).at(Call::Openat)?;
    if (found.st_blocks as u64).saturating_mul(BLOCK) < found.st_size as u64 {
        with_holes(&source, &copy)?;
    } else {
        while sendfile(&copy, &source, None, CHUNK).at(Call::Sendfile)? > 0 {}
    }
    Ok(copy)
}

/// Copies what is data, and leaves holes what is none (lseek(2), `SEEK_HOLE`).
fn with_holes(source: &OwnedFd, copy: &OwnedFd) -> Result<()> {
    let mut end = 0;
    loop {
        let start = match seek(source, SeekFrom::Data(end)) {
            // Nothing but a hole follows.
            Err(Errno::NXIO) => break,
            start => start.at(Call::Lseek)?,
        };
        end = seek(source, SeekFrom::Hole(start)).at(Call::Lseek)?;
        seek(source, SeekFrom::Start(start)).at(Call::Lseek)?;
        seek(copy, SeekFrom::Start(start)).at(Call::Lseek)?;
        let mut left = end.saturating_sub(start);
        while left > 0 {
            let chunk = left.min(CHUNK as u64) as usize;
            match sendfile(copy, source, None, chunk).at(Call::Sendfile)? {
                // It became shorter meanwhile.
                0 => break,
                sent => left = left.saturating_sub(sent as u64),
            }
        }
    }
    let size = seek(source, SeekFrom::End(0)).at(Call::Lseek)?;
    ftruncate(copy, size).at(Call::Ftruncate)
}
