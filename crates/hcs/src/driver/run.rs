//! Running a process to its end, with its streams copied.

use std::{
    fs::File,
    io::{self, Read, Write},
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
    time::Instant,
};

use super::{
    BoxError, Container, Driver, DriverError, Exit, Process, Shared, Stdin, launch::Company,
    process::OtherStreams,
};
use crate::{
    Plan,
    calls::{Calls, Waited},
    lower::Pipes,
    request::ProcessRequest,
};

/// What a process reads and writes.
pub struct Streams {
    /// Copied to its input until it ends; `None`: it gets no input at all.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Gets its output.
    pub stdout: Box<dyn Write + Send>,
    /// Gets its errors; with a console there are none apart.
    pub stderr: Box<dyn Write + Send>,
}

/// A process that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedProcess {
    /// What was asked for.
    pub request: ProcessRequest,
    /// Its id.
    pub pid: u32,
}

/// Called when a process was started; where it fails, the process is ended.
pub type StartHook<'a> = &'a mut dyn FnMut(&StartedProcess) -> Result<(), BoxError>;

impl<C: Calls> Driver<C> {
    /// Makes a container, runs its first process to the end, and ends the container.
    ///
    /// # Errors
    /// The request is refused; a call fails; the wait fails, and with what the process ended is not known. Whatever it is,
    /// nothing of the container is left.
    pub fn run(
        &self,
        plan: Plan,
        streams: Streams,
        hook: Option<StartHook<'_>>,
    ) -> Result<Exit, DriverError> {
        let shared = &self.shared;
        let request = plan.request().process.clone();
        let launched = shared.launch(plan, Company::default())?;
        let container = launched.container;
        let copies = Copies::start(
            streams,
            launched
                .stdin
                .map(|pipe| shared.stdin(pipe, &container, &container.init)),
            launched.stdout,
            launched.stderr,
        );
        shared
            .containers()
            .insert(container.id.clone(), Arc::clone(&container));
        let hooked = call(hook, request, container.init.pid);
        if let Err(error) = hooked {
            shared.forget(&container);
            shared.end_by_force(&container);
            copies.finish(&container.init, shared.patience.output);
            return Err(error);
        }
        let waited = shared
            .calls
            .wait_process(&container.system, &container.init.handle);
        shared.forget(&container);
        let exit = shared.exit(&container, &container.init, waited);
        shared.close_process(&container.init);
        shared.updates_pending(&container);
        let stopped = shared.stop(&container.system);
        shared.report_stop(&container.id, &stopped);
        shared.let_go(&container);
        copies.finish(&container.init, shared.patience.output);
        exit
    }

    /// Runs a further process in a running container to its end.
    ///
    /// # Errors
    /// The container does not run; the request is refused; a call or the wait fails. The container is left as it was.
    pub fn exec(
        &self,
        container: &str,
        request: &ProcessRequest,
        streams: Streams,
        hook: Option<StartHook<'_>>,
    ) -> Result<Exit, DriverError> {
        let shared = &self.shared;
        let container = shared.container(container)?;
        let pipes = Pipes {
            stdin: streams.stdin.is_some(),
            stdout: true,
            stderr: !request.console,
        };
        let (process, pipe) = shared.start_other(&container, "", request, pipes)?;
        let OtherStreams {
            stdin,
            stdout,
            stderr,
        } = pipe;
        let stdin = stdin.map(|pipe| shared.stdin(pipe, &container, &process));
        let copies = Copies::start(streams, stdin, stdout, stderr);
        if let Err(error) = call(hook, request.clone(), process.pid) {
            shared.end_other(&container, &process);
            copies.finish(&process, shared.patience.output);
            return Err(error);
        }
        let waited = shared
            .calls
            .wait_process(&container.system, &process.handle);
        let exit = shared.exit(&container, &process, waited);
        shared.close_process(&process);
        copies.finish(&process, shared.patience.output);
        exit
    }
}

fn call(hook: Option<StartHook<'_>>, request: ProcessRequest, pid: u32) -> Result<(), DriverError> {
    match hook {
        Some(hook) => hook(&StartedProcess { request, pid }).map_err(DriverError::Hook),
        None => Ok(()),
    }
}

impl<C: Calls> Shared<C> {
    /// How a process ended, where a caller can be given an error.
    fn exit(
        &self,
        container: &Container<C>,
        process: &Process<C>,
        waited: Waited,
    ) -> Result<Exit, DriverError> {
        match self.code_of(container, process, waited) {
            Ok(code) => Ok(Exit::Code(code)),
            Err(_) if container.was_terminated() => Ok(Exit::Terminated),
            Err(error) => Err(error.into()),
        }
    }
}

/// The threads that copy a process's streams.
struct Copies {
    done: mpsc::Receiver<()>,
    outputs: usize,
}

impl Copies {
    fn start(
        streams: Streams,
        stdin: Option<Stdin>,
        stdout: Option<File>,
        stderr: Option<File>,
    ) -> Self {
        if let (Some(mut from), Some(mut to)) = (streams.stdin, stdin) {
            thread::spawn(move || {
                // A process that no longer reads is no failure of ours.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.close();
            });
        }
        let (sender, done) = mpsc::channel();
        let mut outputs = 0;
        for (from, to) in [(stdout, streams.stdout), (stderr, streams.stderr)] {
            if let Some(from) = from {
                outputs += 1;
                copy_output(from, to, sender.clone());
            }
        }
        Self { done, outputs }
    }

    /// Waits until the streams of a process that has ended have ended, too, but not for longer than `limit`: what it has started may
    /// hold them open.
    fn finish<C: Calls>(self, process: &Process<C>, limit: std::time::Duration) {
        let deadline = Instant::now() + limit;
        if let Some(input) = process.input.get() {
            input.wait_closed(deadline);
        }
        for _ in 0..self.outputs {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.done.recv_timeout(left).is_err() {
                return;
            }
        }
    }
}

fn copy_output(mut from: File, mut to: Box<dyn Write + Send>, done: Sender<()>) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.flush();
        // Whoever is told may make a pipe of the same name at once.
        drop(from);
        let _ = done.send(());
    });
}

// Windows may let go of a lock later than of its handle.
#[cfg(all(test, unix))]
mod tests {
    use super::*;

    // A lock on a file is there for as long as its descriptor is open.
    #[test]
    fn whoever_is_told_that_the_output_has_ended_finds_the_pipe_closed() {
        let path = std::env::temp_dir().join(format!("hoist-copies-{}", std::process::id()));
        let look = File::create(&path).unwrap();
        for _ in 0..2_000 {
            let from = File::open(&path).unwrap();
            from.lock().unwrap();
            let (sender, done) = mpsc::channel();
            copy_output(from, Box::new(std::io::sink()), sender);
            done.recv().unwrap();
            look.try_lock().unwrap();
            look.unlock().unwrap();
        }
        std::fs::remove_file(path).unwrap();
    }
}
