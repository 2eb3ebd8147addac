//! One run of the container: its process, and what it writes until there is no more.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use hoist_compute::{Process, Stdio, Stream, Streams};
use hoist_spec::ConsoleSize;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::{Errno, read},
};

use super::{DRAIN_LIMIT, OutputStream, input::Input};

/// How often a console is looked at that nobody has open at the moment.
const CONSOLE_RETRY: Duration = Duration::from_millis(100);
/// The most that is read after the process's end: more than pipes hold unless somebody has asked for more. What comes
/// beyond it is written by a survivor.
const DRAIN_BYTES: usize = 2 * 1024 * 1024;

/// What a process gets that a supervisor looks after: a console of this size, or the usual one where nobody has said; or pipes, for
/// input only where there will be any.
pub(super) fn stdio(wants_console: bool, interactive: bool, console: Option<ConsoleSize>) -> Stdio {
    if wants_console {
        return Stdio::Console(console.unwrap_or(ConsoleSize {
            height: 24,
            width: 80,
        }));
    }
    Stdio::Streams {
        stdin: match interactive {
            true => Stream::Pipe,
            false => Stream::Null,
        },
        stdout: Stream::Pipe,
        stderr: Stream::Pipe,
    }
}

/// Something the container writes to.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    pub(super) stream: OutputStream,
    is_console: bool,
    /// Nobody has the console open until then.
    closed_until: Option<Instant>,
}

/// What came of reading a source.
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing at the moment.
    Nothing,
    /// There is no more.
    End,
}

/// The reading after the process's end.
#[derive(Debug)]
struct Drain {
    waiting_left: Duration,
    bytes_left: usize,
}

/// A process that was started.
pub(super) struct Run {
    pub(super) process: Box<dyn Process>,
    pub(super) input: Input,
    pub(super) has_console: bool,
    pub(super) started: Instant,
    sources: Vec<Source>,
    drain: Option<Drain>,
}

impl Run {
    /// Takes the streams of a process.
    pub(super) fn new(process: Box<dyn Process>) -> io::Result<Self> {
        let Streams {
            stdin,
            stdout,
            stderr,
            console,
        } = process.take_streams();
        let has_console = console.is_some();
        let stdin = match &console {
            Some(console) => Some(console.try_clone()?),
            None => stdin,
        };
        let sources = [
            (console, OutputStream::Stdout),
            (stdout, OutputStream::Stdout),
            (stderr, OutputStream::Stderr),
        ];
        let sources: Vec<Source> = sources
            .into_iter()
            .filter_map(|(file, stream)| {
                file.map(|file| Source {
                    file,
                    stream,
                    is_console: has_console,
                    closed_until: None,
                })
            })
            .collect();
        for file in sources.iter().map(|source| &source.file).chain(&stdin) {
            fcntl_setfl(file, fcntl_getfl(file)? | OFlags::NONBLOCK)?;
        }
        Ok(Self {
            process,
            input: Input::new(stdin, has_console),
            has_console,
            started: Instant::now(),
            sources,
            drain: None,
        })
    }

    /// Whether the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.drain.is_some()
    }

    /// The process has ended: only what it has written is still of interest.
    pub(super) fn begin_drain(&mut self) {
        self.drain.get_or_insert(Drain {
            waiting_left: DRAIN_LIMIT,
            bytes_left: DRAIN_BYTES,
        });
        for source in &mut self.sources {
            source.closed_until = None;
        }
        self.input = Input::default();
    }

    /// Whether the process has ended and all it wrote was read.
    pub(super) fn is_over(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| {
            self.sources.is_empty() || drain.waiting_left.is_zero() || drain.bytes_left == 0
        })
    }

    /// Whether nobody has its streams any more.
    pub(super) fn is_read_to_its_end(&self) -> bool {
        self.sources.is_empty()
    }

    /// How long there is still to be waited for output, after the process's end.
    pub(super) fn waits_at_most(&self) -> Option<Duration> {
        self.drain.as_ref().map(|drain| drain.waiting_left)
    }

    /// So long was waited for output and nothing else.
    pub(super) fn waited(&mut self, time: Duration) {
        if let Some(drain) = &mut self.drain {
            drain.waiting_left = drain.waiting_left.saturating_sub(time);
        }
    }

    /// The sources that can be read, by their number.
    pub(super) fn readable(&self, now: Instant) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let open = self.sources.iter().enumerate();
        open.filter(move |(_, source)| source.closed_until.is_none_or(|until| until <= now))
            .map(|(index, source)| (index, source.file.as_fd()))
    }

    /// When a console is to be looked at again.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.sources
            .iter()
            .filter_map(|source| source.closed_until)
            .min()
    }

    /// Reads once.
    pub(super) fn read(&mut self, index: usize, buffer: &mut [u8]) -> (OutputStream, Read) {
        let Some(source) = self.sources.get_mut(index) else {
            return (OutputStream::Stdout, Read::Nothing);
        };
        let stream = source.stream;
        let result = match read(&source.file, buffer) {
            Ok(count) if count > 0 => {
                source.closed_until = None;
                if let Some(drain) = &mut self.drain {
                    drain.bytes_left = drain.bytes_left.saturating_sub(count);
                }
                Read::Bytes(count)
            }
            Err(Errno::AGAIN | Errno::INTR) => Read::Nothing,
            // EIO: nobody has the console open; the process may open it again.
            Err(Errno::IO) if source.is_console && self.drain.is_none() => {
                source.closed_until = Some(Instant::now() + CONSOLE_RETRY);
                Read::Nothing
            }
            _ => Read::End,
        };
        (stream, result)
    }

    /// Forgets the sources with these numbers, which are at their end.
    pub(super) fn close(&mut self, ended: &[usize]) {
        let mut index = 0;
        self.sources.retain(|_| {
            index += 1;
            !ended.contains(&(index - 1))
        });
    }
}
