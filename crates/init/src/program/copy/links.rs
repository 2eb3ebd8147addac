//! Names of one file in a copied tree become names of one copy.

use core::ffi::CStr;

use hoist_init::wire::Call;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, Stat, linkat, mkdirat};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::{DEEPEST, directory, remove};
use crate::program::fault::{At, Result};
use crate::program::mounts::Text;

/// The copies of files that have several names, each by what the kernel calls its original, in a directory of the copy's top that
/// is there while it is made: there may be more of them than could be remembered without memory to allocate.
pub(super) struct Links<'a> {
    top: BorrowedFd<'a>,
    name: Text<48>,
    folder: Option<OwnedFd>,
}

impl<'a> Links<'a> {
    /// Those of a copy that is made in `top`.
    pub(super) fn of(top: BorrowedFd<'a>) -> Self {
        Self {
            top,
            name: Text::new(),
            folder: None,
        }
    }

    /// Gives the copy of the file found another name, where it was copied before.
    pub(super) fn made(&self, found: &Stat, to: &OwnedFd, name: &CStr) -> Result<bool> {
        let Some(folder) = self.folder.as_ref().filter(|_| found.st_nlink > 1) else {
            return Ok(false);
        };
        let known = known_as(found)?;
        match linkat(folder, known.as_c_str()?, to, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(false),
            // The copy has as many names as its file system lets it have: the next names are another copy's.
            Err(Errno::MLINK) => {
                remove(folder.as_fd(), known.as_c_str()?, 1)?;
                Ok(false)
            }
            linked => linked.at(Call::Linkat).map(|()| true),
        }
    }

    /// Remembers the copy `name` in `to` of the file found, where that has other names.
    pub(super) fn keep(&mut self, found: &Stat, to: &OwnedFd, name: &CStr) -> Result<()> {
        if found.st_nlink < 2 {
            return Ok(());
        }
        let folder = match &mut self.folder {
            Some(folder) => folder,
            none => {
                let now = clock_gettime(ClockId::Monotonic);
                self.name.push(b".hoist-links-")?;
                self.name.push_hexadecimal(now.tv_sec as u64)?;
                self.name.push_hexadecimal(now.tv_nsec as u64)?;
                let made = self.name.as_c_str()?;
                mkdirat(self.top, made, Mode::RWXU).at(Call::Mkdirat)?;
                none.insert(directory(self.top, made)?)
            }
        };
        let known = known_as(found)?;
        match linkat(to, name, folder, known.as_c_str()?, AtFlags::empty()) {
            // A file system without such links shows none, either.
            Err(Errno::PERM | Errno::NOTSUP) => Ok(()),
            linked => linked.at(Call::Linkat),
        }
    }

    /// Forgets them.
    pub(super) fn remove(&mut self) -> Result<()> {
        match self.folder.take() {
            Some(_) => remove(self.top, self.name.as_c_str()?, DEEPEST),
            None => Ok(()),
        }
    }
}

fn known_as(found: &Stat) -> Result<Text<40>> {
    let mut text = Text::new();
    text.push_hexadecimal(found.st_dev)?;
    text.push(b"-")?;
    text.push_hexadecimal(found.st_ino)?;
    Ok(text)
}
