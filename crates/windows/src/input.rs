//! The writing end of a process's input, which its writer closes, or the end of the process.
//!
//! A writer may wait for bytes that never come. It must not keep the pipe for that long: a named one would be in the way of the next run.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// Where a process's input is written to.
pub type Sink = Box<dyn Write + Send>;

enum Pipe {
    Idle(Sink),
    /// A write has it.
    Busy,
    /// A write has it, and closes it.
    EndedWhileBusy,
    Closed,
}

struct Shared {
    pipe: Mutex<Pipe>,
    closed: Condvar,
}

impl Shared {
    fn pipe(&self) -> MutexGuard<'_, Pipe> {
        self.pipe
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Closes it, or has the write do so that is going on; whether it was open.
    fn close(&self) -> bool {
        let mut pipe = self.pipe();
        let (next, was_open) = match mem::replace(&mut *pipe, Pipe::Closed) {
            Pipe::Idle(open) => {
                drop(open);
                (Pipe::Closed, true)
            }
            Pipe::Busy => (Pipe::EndedWhileBusy, true),
            ended => (ended, false),
        };
        *pipe = next;
        self.closed.notify_all();
        was_open
    }
}

/// Writes to the input, alone.
pub struct InputWriter(Arc<Shared>);

/// Closes the input when the process has ended.
pub struct InputEnd(Arc<Shared>);

/// Both sides of an input.
pub fn input(pipe: Sink) -> (InputWriter, InputEnd) {
    let shared = Arc::new(Shared {
        pipe: Mutex::new(Pipe::Idle(pipe)),
        closed: Condvar::new(),
    });
    (InputWriter(Arc::clone(&shared)), InputEnd(shared))
}

impl InputWriter {
    /// Closes the pipe; whether it was still open.
    pub fn close(&self) -> bool {
        self.0.close()
    }
}

impl Drop for InputWriter {
    fn drop(&mut self) {
        self.close();
    }
}

impl Write for InputWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut open = {
            let mut pipe = self.0.pipe();
            match mem::replace(&mut *pipe, Pipe::Busy) {
                Pipe::Idle(open) => open,
                other => {
                    *pipe = other;
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
        };
        // Without the lock: the process may read nothing for long.
        let written = open.write(bytes);
        let mut pipe = self.0.pipe();
        if matches!(*pipe, Pipe::Busy) {
            *pipe = Pipe::Idle(open);
        } else {
            drop(open);
            *pipe = Pipe::Closed;
            self.0.closed.notify_all();
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl InputEnd {
    /// Closes the pipe; where a write is going on, that closes it when it returns.
    pub fn end(&self) {
        self.0.close();
    }

    /// Whether the pipe is closed.
    pub fn is_closed(&self) -> bool {
        matches!(*self.0.pipe(), Pipe::Closed)
    }

    /// Waits until the pipe is closed, but not beyond `deadline`.
    pub fn wait_closed(&self, deadline: Instant) {
        let limit: Duration = deadline.saturating_duration_since(Instant::now());
        let is_open = |pipe: &mut Pipe| !matches!(pipe, Pipe::Closed);
        let waited = self
            .0
            .closed
            .wait_timeout_while(self.0.pipe(), limit, is_open);
        drop(waited);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, sync::mpsc, thread};

    use super::*;

    /// Generous: the machine may be slow.
    const IN_TIME: Duration = Duration::from_secs(60);

    fn pipe() -> (io::PipeReader, InputWriter, InputEnd) {
        let (reader, writer) = io::pipe().unwrap();
        let (writer, end) = input(Box::new(writer));
        (reader, writer, end)
    }

    #[test]
    fn the_end_of_the_process_closes_the_pipe_while_its_writer_waits_for_more() {
        let (mut reader, mut writer, end) = pipe();
        writer.write_all(b"one").unwrap();
        assert!(!end.is_closed());
        end.end();
        assert!(end.is_closed());
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"one");
        let refused = writer.write_all(b"two").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
        assert!(!writer.close());
    }

    #[test]
    fn a_writer_that_closes_or_goes_ends_the_input() {
        for close in [true, false] {
            let (mut reader, writer, end) = pipe();
            if close {
                assert!(writer.close() && !writer.close());
            } else {
                drop(writer);
            }
            assert!(end.is_closed());
            end.wait_closed(Instant::now());
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn a_write_that_nobody_reads_closes_the_pipe_as_soon_as_it_returns() {
        let (reader, mut writer, end) = pipe();
        let (began, begun) = mpsc::channel();
        let writing = thread::spawn(move || {
            began.send(()).unwrap();
            // More than any pipe holds.
            let written = writer.write_all(&vec![7; 16 << 20]);
            (written, writer)
        });
        begun.recv().unwrap();
        while !matches!(*end.0.pipe(), Pipe::Busy) {
            thread::yield_now();
        }
        end.end();
        end.wait_closed(Instant::now());
        assert!(!end.is_closed());
        drop(reader);
        end.wait_closed(Instant::now() + IN_TIME);
        assert!(end.is_closed());
        let (written, _writer) = writing.join().unwrap();
        assert!(written.is_err());
    }
}
