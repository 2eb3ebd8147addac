//! Further processes in a running container.

use std::sync::{Arc, OnceLock};

use hoist_spec::ConsoleSize;
use hoist_windows::command_line;

use super::{Attach, Attached, Container, Driver, DriverError, Process, Shared};
use crate::{
    Dialect, Hresult,
    calls::{Calls, Started},
    lower::{self, Pipes},
    request::ProcessRequest,
};

impl<C: Calls> Driver<C> {
    /// Starts a further process; returns when it has started. Its end is an [`Event`](super::Event).
    ///
    /// # Errors
    /// The container does not run, the name is taken, a call fails, or `attach` does: then the process was ended.
    pub fn add_process(
        &self,
        container: &str,
        name: &str,
        request: &ProcessRequest,
        attach: &dyn Attach,
    ) -> Result<(), DriverError> {
        super::launch::told_of_exits::<C>()?;
        let shared = &self.shared;
        let container = shared.container(container)?;
        if name == super::INIT || container.others().contains_key(name) {
            return Err(DriverError::ProcessAlreadyRuns {
                container: container.id.clone(),
                process: name.to_owned(),
            });
        }
        let pipes = Pipes {
            stdin: true,
            stdout: true,
            stderr: !request.console,
        };
        let (process, streams) = shared.start_other(&container, name, request, pipes)?;
        let attached = Attached {
            stdin: streams
                .stdin
                .map(|pipe| shared.stdin(pipe, &container, &process)),
            stdout: streams.stdout,
            stderr: streams.stderr,
            console: process.console,
        };
        if let Err(source) = attach.attach(name, attached) {
            shared.end_other(&container, &process);
            return Err(DriverError::Attach {
                process: name.to_owned(),
                source,
            });
        }
        container
            .others()
            .insert(name.to_owned(), Arc::clone(&process));
        shared.watch(&container, &process);
        Ok(())
    }

    /// Sets the size of a process's console.
    ///
    /// # Errors
    /// The container or process does not run, the size cannot be, or the call fails.
    pub fn resize(
        &self,
        container: &str,
        process: &str,
        height: u32,
        width: u32,
    ) -> Result<(), DriverError> {
        let container = self.shared.container(container)?;
        let process = container.process(process)?;
        let invalid = |_| DriverError::ConsoleSize { height, width };
        let size = ConsoleSize {
            height: u16::try_from(height).map_err(invalid)?,
            width: u16::try_from(width).map_err(invalid)?,
        };
        // The execution drivers took a size for what has no console, and did nothing.
        let ignored = matches!(
            self.shared.settings.dialect,
            Dialect::Docker19 | Dialect::Docker110
        );
        if ignored && !process.console {
            return Ok(());
        }
        Ok(self
            .shared
            .calls
            .resize_console(&container.system, &process.handle, size)?)
    }
}

/// The pipes of a further process.
pub(super) struct OtherStreams {
    pub(super) stdin: Option<std::fs::File>,
    pub(super) stdout: Option<std::fs::File>,
    pub(super) stderr: Option<std::fs::File>,
}

impl<C: Calls> Shared<C> {
    pub(super) fn start_other(
        &self,
        container: &Container<C>,
        name: &str,
        request: &ProcessRequest,
        pipes: Pipes,
    ) -> Result<(Arc<Process<C>>, OtherStreams), DriverError> {
        let directory = &container.plan.request().process.working_directory;
        let parameters = lower::process_parameters(request, directory, pipes, &self.settings)?;
        let Started {
            process,
            pid,
            stdin,
            stdout,
            stderr,
        } = self
            .calls
            .create_process(&container.system, &parameters, pipes)
            .map_err(|error| match error.hresult() {
                Some(Hresult::TOO_MANY_EXECS) => DriverError::TooManyExecs(error),
                _ => error.into(),
            })?;
        let command_line = if request.arguments_escaped {
            request.arguments.join(" ")
        } else {
            command_line::join(request.arguments.iter().map(String::as_str))
        };
        let process = Arc::new(Process {
            name: name.to_owned(),
            pid,
            handle: process,
            command_line,
            console: request.console,
            input: OnceLock::new(),
        });
        let streams = OtherStreams {
            stdin,
            stdout,
            stderr,
        };
        Ok((process, streams))
    }

    /// Ends a further process that nobody will wait for.
    pub(super) fn end_other(&self, container: &Container<C>, process: &Process<C>) {
        match self
            .calls
            .terminate_process(&container.system, &process.handle)
        {
            Ok(()) => {
                let waited = self.calls.wait_process(&container.system, &process.handle);
                // Its end is all that matters; how it ended was decided here.
                drop(waited);
            }
            Err(error) if error.is_gone() => {}
            Err(error) => {
                let words = format!(
                    "process {} of container {} is left",
                    process.name, container.id
                );
                self.warn(&words, &error);
            }
        }
        self.close_process(process);
    }
}
