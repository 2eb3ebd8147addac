//! What a copy is made of: a buffer that is filled and emptied piece by piece, and a place to write that does not block.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
};

use rustix::{
    fs::OFlags,
    io::{Errno, read, write},
};

/// What a pipe that polls as writable takes without blocking (pipe(7), `PIPE_BUF` on Linux).
const SAFE_PIECE: usize = 4096;

const CAPACITY: usize = 32 * 1024;

/// Bytes that were read and not yet written.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    last: Option<u8>,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; CAPACITY].into(),
            start: 0,
            end: 0,
            last: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room for two bytes, which is what the end of a copy may still add.
    pub(super) fn has_room(&self) -> bool {
        self.end - self.start + 2 <= CAPACITY
    }

    /// The byte that was put in last, also when it was taken out since.
    pub(super) fn last(&self) -> Option<u8> {
        self.last
    }

    pub(super) fn clear(&mut self) {
        self.start = self.end;
    }

    /// Reads once, as much as there is room for; 0 is the end of file.
    pub(super) fn fill(&mut self, from: BorrowedFd<'_>) -> Result<usize, Errno> {
        self.make_room();
        let count = read(from, &mut self.bytes[self.end..])?;
        if count > 0 {
            self.end += count;
            self.last = Some(self.bytes[self.end - 1]);
        }
        Ok(count)
    }

    /// Puts `byte` in, where there is room.
    pub(super) fn put(&mut self, byte: u8) {
        self.make_room();
        if let Some(room) = self.bytes.get_mut(self.end) {
            *room = byte;
            self.end += 1;
            self.last = Some(byte);
        }
    }

    /// Writes once, at most `piece` bytes.
    pub(super) fn drain(&mut self, to: BorrowedFd<'_>, piece: usize) -> Result<(), Errno> {
        let end = self.end.min(self.start.saturating_add(piece));
        self.start += write(to, &self.bytes[self.start..end])?;
        Ok(())
    }

    fn make_room(&mut self) {
        if self.start > 0 && (self.is_empty() || self.end == CAPACITY) {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }
}

/// Where output goes. The caller's descriptor is shared with other programs (the shell, the next one in a
/// pipeline), and whether it blocks is shared too, so that is not touched.
#[derive(Debug)]
pub(super) enum Sink<'a> {
    /// The same terminal or pipe, opened once more without blocking.
    Own(File),
    /// The caller's descriptor, written in pieces that a polled descriptor takes without blocking.
    Callers(BorrowedFd<'a>),
}

impl<'a> Sink<'a> {
    pub(super) fn new(output: BorrowedFd<'a>) -> Self {
        match reopen(output) {
            Ok(Some(own)) => Self::Own(own),
            Ok(None) | Err(_) => Self::Callers(output),
        }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(file) => file.as_fd(),
            Self::Callers(descriptor) => *descriptor,
        }
    }

    /// The most to write at once.
    pub(super) fn piece(&self) -> usize {
        match self {
            Self::Own(_) => usize::MAX,
            Self::Callers(_) => SAFE_PIECE,
        }
    }
}

/// Opens a terminal or an unnamed pipe once more. Anything else is `None`: opening a console's controlling side
/// (`/dev/ptmx`) again would give another console, and a file never blocks.
fn reopen(output: BorrowedFd<'_>) -> io::Result<Option<File>> {
    let link = format!("/proc/self/fd/{}", output.as_raw_fd());
    let target = fs::read_link(&link)?;
    let target = target.to_string_lossy();
    let terminal = target
        .strip_prefix("/dev/pts/")
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        || target.starts_with("/dev/tty");
    if !terminal && !target.starts_with("pipe:[") {
        return Ok(None);
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let own = OpenOptions::new()
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(&link)?;
    let (found, given) = (own.metadata()?, rustix::fs::fstat(output)?);
    Ok((found.ino() == given.st_ino && found.dev() == given.st_dev).then_some(own))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let (mut source_reader, mut source) = io::pipe().unwrap();
        let (mut sink_reader, sink) = io::pipe().unwrap();
        let mut buffer = Buffer::new();
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        let mut piece = [0; 1000];
        for round in 0..500_usize {
            let bytes: Vec<u8> = (0..777)
                .map(|index| (round * 31 + index * 7) as u8)
                .collect();
            source.write_all(&bytes).unwrap();
            sent.extend(&bytes);
            buffer.fill(source_reader.as_fd()).unwrap();
            if !buffer.has_room() || round % 3 == 0 {
                buffer.drain(sink.as_fd(), 1000).unwrap();
                let count = sink_reader.read(&mut piece).unwrap();
                received.extend(&piece[..count]);
            }
        }
        drop(source);
        let mut ended = false;
        while !ended || !buffer.is_empty() {
            if !ended && buffer.has_room() {
                ended = buffer.fill(source_reader.as_fd()).unwrap() == 0;
            }
            if !buffer.is_empty() {
                buffer.drain(sink.as_fd(), 1000).unwrap();
                let count = sink_reader.read(&mut piece).unwrap();
                received.extend(&piece[..count]);
            }
        }
        drop(sink);
        source_reader.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), sent.len());
        assert!(received == sent);
        assert_eq!(buffer.last(), sent.last().copied());
    }

    #[test]
    fn a_pipe_is_opened_again_and_the_callers_descriptor_still_blocks() {
        let (_reader, writer) = io::pipe().unwrap();
        let sink = Sink::new(writer.as_fd());
        assert!(matches!(sink, Sink::Own(_)));
        let nonblocking = |descriptor| {
            rustix::fs::fcntl_getfl(descriptor)
                .unwrap()
                .contains(OFlags::NONBLOCK)
        };
        assert!(nonblocking(sink.descriptor()));
        assert!(!nonblocking(writer.as_fd()));
    }

    #[test]
    fn the_controlling_side_of_a_console_is_not_opened_again() {
        use rustix::pty::{OpenptFlags, openpt};
        let console = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        assert!(matches!(Sink::new(console.as_fd()), Sink::Callers(_)));
    }
}
