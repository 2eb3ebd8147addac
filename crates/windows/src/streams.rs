//! The streams of a process that pipes carry: what the caller keeps of them, and what is copied for it.
//!
//! What the caller brings is copied from and to. Standard input always goes through a pipe of its own, because dropping its end must also
//! tell whoever carries it that nothing more comes, and the end of the process must close what carries it while the caller still holds its end.

use std::{
    fs::File,
    io,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use hoist_compute::{Stdio, Stream, Streams};

use crate::{
    input::{InputEnd, InputWriter, Sink, input},
    output::Outputs,
    pipe_names::StandardStream,
};

/// Which streams of a process are carried: all but the null device. A console has no standard error of its own.
pub fn is_carried(stdio: &Stdio, stream: StandardStream) -> bool {
    match (stdio, stream) {
        (Stdio::Console(_), StandardStream::Error) => false,
        (Stdio::Console(_), _) => true,
        (Stdio::Streams { stdin, .. }, StandardStream::Input) => !matches!(stdin, Stream::Null),
        (Stdio::Streams { stdout, .. }, StandardStream::Output) => !matches!(stdout, Stream::Null),
        (Stdio::Streams { stderr, .. }, StandardStream::Error) => !matches!(stderr, Stream::Null),
    }
}

/// This side's ends of the pipes that carry a process's streams.
#[derive(Debug, Default)]
pub struct Carriers {
    /// Written to.
    pub stdin: Option<File>,
    /// Read from.
    pub stdout: Option<File>,
    /// Read from.
    pub stderr: Option<File>,
}

impl Carriers {
    /// The place of a stream's end.
    pub fn place(&mut self, stream: StandardStream) -> &mut Option<File> {
        match stream {
            StandardStream::Input => &mut self.stdin,
            StandardStream::Output => &mut self.stdout,
            StandardStream::Error => &mut self.stderr,
        }
    }
}

/// The caller's ends, and what is still being copied for it.
#[derive(Default)]
pub struct CallerEnds {
    streams: Mutex<Streams>,
    input: OnceLock<InputEnd>,
    outputs: Outputs,
}

impl From<Streams> for CallerEnds {
    /// Ends of which nothing is copied.
    fn from(streams: Streams) -> Self {
        Self {
            streams: Mutex::new(streams),
            ..Self::default()
        }
    }
}

impl CallerEnds {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands them out, once.
    pub fn take(&self) -> Streams {
        std::mem::take(&mut self.streams())
    }

    /// Ends standard input, where it was not taken.
    pub fn close_stdin(&self) {
        self.streams().stdin.take();
    }

    /// The process has ended: it reads nothing any more, whether or not its input has ended, and what is copied is what it has left.
    pub fn end(&self) {
        if let Some(input) = self.input.get() {
            input.end();
        }
        self.outputs.end();
    }

    /// Whether output is still being copied to what the caller gave, or a last piece of input written.
    pub fn is_copying(&self) -> bool {
        let is_written = self.input.get().is_some_and(|input| !input.is_closed());
        is_written || self.outputs.is_copying()
    }

    /// Waits until the output of a process that has [ended](Self::end) is copied, but not beyond `limit`.
    pub fn wait_copied(&self, limit: Option<Duration>) {
        self.outputs.wait(limit);
    }

    /// Connects both sides: `sink` makes of the carrier of standard input what is written to, and `close` is called when nothing more
    /// comes on it.
    ///
    /// # Errors
    /// There are no more pipes or threads.
    pub fn connect(
        &self,
        stdio: Stdio,
        carriers: Carriers,
        sink: impl FnOnce(File) -> Sink,
        close: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let (stdin, stdout, stderr) = match stdio {
            Stdio::Console(_) => (Stream::Pipe, Stream::Pipe, Stream::Null),
            Stdio::Streams {
                stdin,
                stdout,
                stderr,
            } => (stdin, stdout, stderr),
        };
        if let Some(carrier) = carriers.stdin {
            let source = match stdin {
                Stream::Given(file) => Some(file),
                Stream::Pipe => {
                    let (reader, writer) = pipe()?;
                    self.streams().stdin = Some(writer);
                    Some(reader)
                }
                Stream::Null => None,
            };
            let (writer, end) = input(sink(carrier));
            // A process has one input.
            let _ = self.input.set(end);
            copy_input(source, writer, close)?;
        }
        let stdout = self.carry_output(stdout, carriers.stdout)?;
        let stderr = self.carry_output(stderr, carriers.stderr)?;
        let mut streams = self.streams();
        (streams.stdout, streams.stderr) = (stdout, stderr);
        Ok(())
    }

    /// What the caller gets of an output.
    fn carry_output(&self, stream: Stream, carrier: Option<File>) -> io::Result<Option<File>> {
        match (stream, carrier) {
            (Stream::Pipe, carrier) => Ok(carrier),
            (Stream::Given(to), Some(from)) => self.outputs.copy(from, to).map(|()| None),
            _ => Ok(None),
        }
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

/// The reading and the writing end of a new pipe.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let (reader, writer) = io::pipe()?;
    Ok((into_file(reader), into_file(writer)))
}

#[cfg(windows)]
pub(crate) fn into_file(end: impl Into<std::os::windows::io::OwnedHandle>) -> File {
    File::from(end.into())
}

#[cfg(unix)]
pub(crate) fn into_file(end: impl Into<std::os::fd::OwnedFd>) -> File {
    File::from(end.into())
}
