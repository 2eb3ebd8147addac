//! What a process gets as standard input, output and error.

use std::fs::File;

use hoist_spec::ConsoleSize;

/// One standard stream of a process to be started. A [`File`] here is any descriptor or handle: a pipe end, a
/// socket, a terminal.
#[derive(Debug)]
pub enum Stream {
    /// The null device: end of file at once, output thrown away.
    Null,
    /// This very descriptor: the process reads and writes it without a copy in between.
    Given(File),
    /// A new pipe, whose other end [`Process::take_streams`](crate::Process::take_streams) hands out.
    Pipe,
}

/// How a backend carries the standard streams of the processes that it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamTransport {
    /// In the backend's own way: the process inherits what it is given, or the host compute service makes the pipes.
    #[default]
    Direct,
    /// By a named pipe for each stream, as the drivers of Docker 1.8 did: this side listens before the process is made, and what the caller
    /// brings is copied from and to. On Windows alone.
    NamedPipes,
}

/// The standard streams of a process to be started.
#[derive(Debug)]
pub enum Stdio {
    /// Three streams.
    Streams {
        /// Standard input.
        stdin: Stream,
        /// Standard output.
        stdout: Stream,
        /// Standard error.
        stderr: Stream,
    },
    /// A console of this size on all three; its other side is [`Streams::console`].
    Console(ConsoleSize),
}

impl Stdio {
    /// The null device on all three.
    pub fn null() -> Self {
        Self::Streams {
            stdin: Stream::Null,
            stdout: Stream::Null,
            stderr: Stream::Null,
        }
    }

    /// Pipes on all three.
    pub fn pipes() -> Self {
        Self::Streams {
            stdin: Stream::Pipe,
            stdout: Stream::Pipe,
            stderr: Stream::Pipe,
        }
    }
}

/// The caller's ends of a process's streams.
#[derive(Debug, Default)]
pub struct Streams {
    /// Where standard input was [`Stream::Pipe`]: write here, drop it for end of file.
    pub stdin: Option<File>,
    /// Where standard output was [`Stream::Pipe`]: read here until end of file.
    pub stdout: Option<File>,
    /// Where standard error was [`Stream::Pipe`].
    pub stderr: Option<File>,
    /// With [`Stdio::Console`]: the console's controlling side, to read and to write. On Linux the end of output
    /// reads as `EIO`. On Windows, where no handle is read and written at once, there are [`Streams::stdin`] and
    /// [`Streams::stdout`] instead, one for each direction.
    pub console: Option<File>,
}
