//! The caller's ends of a process's streams.

use std::{
    fs::File,
    io::{self, Write},
    sync::{Arc, Weak},
};

use hoist_windows::input::{InputWriter, input};

use super::{BoxError, Process, Shared};
use crate::{
    calls::{CallError, Calls},
    console_input::ConsoleInput,
};

/// Takes the streams of processes that were started.
pub trait Attach: Send + Sync {
    /// The process of this name was started; these are its streams.
    ///
    /// # Errors
    /// The caller cannot take them: the process is ended.
    fn attach(&self, process: &str, streams: Attached) -> Result<(), BoxError>;
}

/// The streams of a process.
pub struct Attached {
    /// Write its input here.
    pub stdin: Option<Stdin>,
    /// Read its output here.
    pub stdout: Option<File>,
    /// And its errors.
    pub stderr: Option<File>,
    /// It has a console.
    pub console: bool,
}

/// The input of a process. Closing or dropping it ends the input on both sides; so does the end of the process.
pub struct Stdin {
    writer: InputWriter,
    close: Box<dyn FnMut() -> Result<(), CallError> + Send>,
}

impl Stdin {
    pub(super) fn new<C: Calls>(
        pipe: File,
        shared: Weak<Shared<C>>,
        process: Arc<Process<C>>,
        image_build: Option<u32>,
    ) -> Self {
        let (writer, end) = input(Box::new(ConsoleInput::new(
            pipe,
            process.console,
            image_build,
        )));
        // A process has one input.
        let _ = process.input.set(end);
        Self {
            writer,
            close: Box::new(move || match shared.upgrade() {
                Some(shared) => shared.calls.close_stdin(&process.handle),
                None => Ok(()),
            }),
        }
    }

    /// Ends the input: the pipe, and then the service's own side of it.
    ///
    /// # Errors
    /// The service could not be told.
    pub fn close(mut self) -> Result<(), CallError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), CallError> {
        if self.writer.close() {
            (self.close)()
        } else {
            Ok(())
        }
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        // Whoever wants to know closes it.
        let _ = self.end();
    }
}

impl Write for Stdin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
