//! What goes to the container's standard input.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::io::{Errno, write};

/// How much input is kept for a container that is slower than those who send it.
const MOST_PENDING: usize = 64 * 1024;

/// The supervisor's end of a standard input.
#[derive(Debug, Default)]
pub(super) struct Input {
    file: Option<File>,
    is_console: bool,
    pending: Vec<u8>,
    ends: bool,
}

impl Input {
    /// `file` does not block.
    pub(super) fn new(file: Option<File>, is_console: bool) -> Self {
        Self {
            file,
            is_console,
            ..Self::default()
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < MOST_PENDING
    }

    /// Where to write, while there is something to be written.
    pub(super) fn waiting(&self) -> Option<BorrowedFd<'_>> {
        let file = self.file.as_ref().filter(|_| !self.pending.is_empty());
        file.map(AsFd::as_fd)
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.file.is_some() && !self.ends {
            self.pending.extend_from_slice(bytes);
            self.flush();
        }
    }

    /// There will be no more. A console has no end: it is the same for all who are attached.
    pub(super) fn end(&mut self) {
        if !self.is_console {
            self.ends = true;
            self.flush();
        }
    }

    /// Writes as much as is taken.
    pub(super) fn flush(&mut self) {
        while let Some(file) = self.file.as_ref().filter(|_| !self.pending.is_empty()) {
            match write(file, &self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Nobody reads any more.
                Err(_) => {
                    self.pending.clear();
                    if !self.is_console {
                        self.file = None;
                    }
                }
            }
        }
        self.pending = Vec::new();
        if self.ends {
            self.file = None;
        }
    }
}
