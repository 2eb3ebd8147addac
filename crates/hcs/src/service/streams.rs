//! The streams of a process: pipes that the service makes, handed out or copied.
//!
//! The service gives pipes and takes no handles: what the caller brings is copied from and to. Standard input always goes through a pipe of
//! Hoist's own, because dropping its end must also tell the service that nothing more comes.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use hoist_compute::{Stdio, Stream, Streams};

use crate::{
    console_input::ConsoleInput,
    input::{InputEnd, InputWriter, input},
    lower::Pipes,
};

/// Which pipes the service is asked for.
pub(super) fn pipes(stdio: &Stdio) -> Pipes {
    match stdio {
        Stdio::Console(_) => Pipes {
            stdin: true,
            stdout: true,
            stderr: false,
        },
        Stdio::Streams {
            stdin,
            stdout,
            stderr,
        } => {
            let wanted = |stream: &Stream| !matches!(stream, Stream::Null);
            Pipes {
                stdin: wanted(stdin),
                stdout: wanted(stdout),
                stderr: wanted(stderr),
            }
        }
    }
}

/// The service's ends of a process's pipes.
pub(super) struct ServiceEnds {
    pub(super) stdin: Option<File>,
    pub(super) stdout: Option<File>,
    pub(super) stderr: Option<File>,
}

/// The caller's ends, and what is still being copied for it.
#[derive(Default)]
pub(super) struct CallerEnds {
    streams: Mutex<Streams>,
    input: OnceLock<InputEnd>,
    copying: Arc<AtomicUsize>,
}

impl CallerEnds {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn take(&self) -> Streams {
        std::mem::take(&mut self.streams())
    }

    /// Ends standard input, where it was not taken.
    pub(super) fn close_stdin(&self) {
        self.streams().stdin.take();
    }

    /// The process reads nothing any more, whether or not its input has ended.
    pub(super) fn end_input(&self) {
        if let Some(input) = self.input.get() {
            input.end();
        }
    }

    /// Whether output is still being copied to what the caller gave, or a last piece of input written.
    pub(super) fn is_copying(&self) -> bool {
        let is_written = self.input.get().is_some_and(|input| !input.is_closed());
        is_written || self.copying.load(Ordering::Acquire) != 0
    }

    /// Connects both sides; `close` tells the service that nothing more comes on standard input.
    pub(super) fn connect(
        &self,
        stdio: Stdio,
        ends: ServiceEnds,
        image_build: Option<u32>,
        close: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let console = matches!(stdio, Stdio::Console(_));
        let (stdin, stdout, stderr) = match stdio {
            Stdio::Console(_) => (Stream::Pipe, Stream::Pipe, Stream::Null),
            Stdio::Streams {
                stdin,
                stdout,
                stderr,
            } => (stdin, stdout, stderr),
        };
        if let Some(service) = ends.stdin {
            let source = match stdin {
                Stream::Given(file) => Some(file),
                Stream::Pipe => {
                    let (reader, writer) = io::pipe()?;
                    self.streams().stdin = Some(into_file(writer));
                    Some(into_file(reader))
                }
                Stream::Null => None,
            };
            let (writer, end) = input(ConsoleInput::new(service, console, image_build));
            // A process has one input.
            let _ = self.input.set(end);
            copy_input(source, writer, close)?;
        }
        for (stream, end, place) in [(stdout, ends.stdout, 1), (stderr, ends.stderr, 2)] {
            match (stream, end) {
                (Stream::Pipe, end) if place == 1 => self.streams().stdout = end,
                (Stream::Pipe, end) => self.streams().stderr = end,
                (Stream::Given(to), Some(from)) => self.copy_output(from, to)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn copy_output(&self, mut from: File, mut to: File) -> io::Result<()> {
        self.copying.fetch_add(1, Ordering::AcqRel);
        let copying = Arc::clone(&self.copying);
        let copy = move || {
            // A reader that has gone takes no more; the process finds that out by its own writes.
            let _ = io::copy(&mut from, &mut to);
            // Whoever sees that nothing is copied any more finds no end of it open.
            drop((from, to));
            copying.fetch_sub(1, Ordering::AcqRel);
        };
        let thread = thread::Builder::new().name("hoist output".to_owned());
        if let Err(error) = thread.spawn(copy) {
            self.copying.fetch_sub(1, Ordering::AcqRel);
            return Err(error);
        }
        Ok(())
    }
}

fn copy_input(
    from: Option<File>,
    mut to: InputWriter,
    close: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let copy = move || {
        if let Some(mut from) = from {
            // What the process does not read any more is of no use to it.
            let _ = io::copy(&mut from, &mut to);
        }
        if to.close() {
            close();
        }
    };
    thread::Builder::new()
        .name("hoist input".to_owned())
        .spawn(copy)
        .map(drop)
}

#[cfg(windows)]
fn into_file(end: impl Into<std::os::windows::io::OwnedHandle>) -> File {
    File::from(end.into())
}

#[cfg(unix)]
fn into_file(end: impl Into<std::os::fd::OwnedFd>) -> File {
    File::from(end.into())
}
