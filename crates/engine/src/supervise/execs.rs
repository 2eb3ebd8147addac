//! The execs that a supervisor owns: started when somebody asks, attended to as the container itself.
//!
//! Each is started in a thread of its own: a container whose root does not answer keeps only that thread waiting.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread::{self, JoinHandle},
};

use hoist_compute::{Error, ErrorKind, ExitStatus, Phase, Process, Result};
use hoist_spec::{ConsoleSize, ExecId};
use rustix::pipe::{PipeFlags, pipe_with};

use super::{
    become_supervisor::give_memory_back,
    run::{self, Run},
    serve::{Session, system_error},
    wire::{Exited, Packet, StartExecRequest},
};
use crate::Container;

/// Enough for a start.
const STACK: usize = 128 * 1024;

/// One that runs, or has ended and what it wrote is being read.
struct Running {
    id: ExecId,
    run: Run,
    status: Option<ExitStatus>,
    /// Its end was told. What it has left behind may still write to its streams: that is read, so that nobody has to wait or is
    /// ended for it, and thrown away.
    told: bool,
}

/// One that is being started.
struct Starting {
    id: ExecId,
    thread: JoinHandle<Result<Box<dyn Process>>>,
    /// At its end when the thread is.
    done: OwnedFd,
}

/// All of them.
#[derive(Default)]
pub(super) struct Execs {
    starting: Vec<Starting>,
    running: Vec<Running>,
}

impl Execs {
    /// Whether there is none any more.
    pub(super) fn are_over(&self) -> bool {
        self.starting.is_empty() && self.running.is_empty()
    }

    pub(super) fn is_starting(&self) -> bool {
        !self.starting.is_empty()
    }

    /// What becomes readable when one was started.
    pub(super) fn starting(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.starting.iter().map(|starting| starting.done.as_fd())
    }

    /// Those that run, by number.
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, &ExecId, &Run)> {
        let all = self.running.iter().enumerate();
        all.map(|(number, running)| (number, &running.id, &running.run))
    }

    pub(super) fn for_each_run(&mut self, mut act: impl FnMut(usize, &mut Run)) {
        let all = self.running.iter_mut().enumerate();
        all.for_each(|(number, running)| act(number, &mut running.run));
    }

    pub(super) fn run_of(&mut self, id: &ExecId) -> Option<&mut Run> {
        let found = self.running.iter_mut().find(|running| running.id == *id);
        found.map(|running| &mut running.run)
    }

    pub(super) fn run_and_id(&mut self, number: usize) -> (Option<&mut Run>, Option<ExecId>) {
        match self.running.get_mut(number) {
            Some(running) => (Some(&mut running.run), Some(running.id.clone())),
            None => (None, None),
        }
    }

    /// The process of this number has ended: that is written down at once.
    pub(super) fn has_ended(&mut self, number: usize) {
        if let Some(running) = self.running.get_mut(number) {
            let status = running.run.process.wait(None);
            running.status = Some(status.unwrap_or_else(|error| {
                ExitStatus::unknown(format!("it could not be waited for: {error}"))
            }));
            running.run.begin_drain();
        }
    }

    pub(super) fn flush(&mut self) {
        self.for_each_run(|_, run| run.input.flush());
    }
}

impl Session {
    /// Begins to start an exec; who asked is told when that is done.
    pub(super) fn begin_exec(&mut self, client: usize, id: &ExecId, request: StartExecRequest) {
        let is_started = self
            .execs
            .starting
            .iter()
            .any(|starting| starting.id == *id)
            || self.execs.run_of(id).is_some();
        let begun = match is_started {
            false => begin(&self.container, id, request.console),
            // Whose client is told of which start, the id says: there is one at a time.
            true => Err(Error::new(
                ErrorKind::InvalidState,
                Phase::Start,
                format!("start exec {id}: it was started already"),
            )
            .about(id.as_str())),
        };
        let Some(client) = self.clients.0.get_mut(client) else {
            return;
        };
        match begun {
            Ok(starting) => {
                client.awaits_start = true;
                client.attached = request.attach;
                self.execs.starting.push(starting);
            }
            Err(error) => client.tell(&Packet::Failed(error.to_json())),
        }
    }

    /// Takes those over that were started.
    pub(super) fn execs_started(&mut self) {
        let all = std::mem::take(&mut self.execs.starting);
        for starting in all {
            if !starting.thread.is_finished() && !is_done(&starting.done) {
                self.execs.starting.push(starting);
                continue;
            }
            let id = starting.id;
            let started = starting.thread.join().unwrap_or_else(|_| {
                let operation = format!("start exec {id}: its thread has ended unexpectedly");
                Err(Error::new(ErrorKind::System, Phase::Start, operation))
            });
            let pid = started.and_then(|process| {
                let pid = process.pid();
                let run = Run::new(process).map_err(system_error)?;
                self.execs.running.push(Running {
                    id: id.clone(),
                    run,
                    status: None,
                    told: false,
                });
                Ok(pid)
            });
            for client in &mut self.clients.0 {
                if client.about.as_ref() != Some(&id) || !client.awaits_start {
                    continue;
                }
                client.awaits_start = false;
                match &pid {
                    Ok(pid) => client.tell(&Packet::Started(*pid)),
                    Err(error) => {
                        client.attached = None;
                        client.tell(&Packet::Failed(error.to_json()));
                    }
                }
            }
        }
        give_memory_back();
        self.reap();
    }

    /// Tells of those that have ended and whose output was read, and forgets them when nobody has their streams any more.
    pub(super) fn execs_over(&mut self) {
        for running in &mut self.execs.running {
            if running.told || !running.run.is_over() {
                continue;
            }
            running.told = true;
            let unknown = || ExitStatus::unknown("it could not be waited for");
            let exited = Exited {
                status: running.status.clone().unwrap_or_else(unknown),
                restarting: false,
            };
            self.clients
                .tell_end(Some(&running.id), &Packet::Exited(exited));
        }
        let is_over = |running: &mut Running| running.told && running.run.is_read_to_its_end();
        self.execs.running.extract_if(.., is_over).for_each(drop);
    }
}

/// Begins to start an exec of `container`.
fn begin(container: &Container, id: &ExecId, console: Option<ConsoleSize>) -> Result<Starting> {
    let exec = container.system().open_exec(id)?;
    let wants_console = exec.spec().process.oci.terminal() == Some(true);
    let stdio = run::stdio(wants_console, exec.spec().interactive, console);
    let (done, end) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| system_error(errno.into()))?;
    let thread = thread::Builder::new()
        .name("hoist-exec".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let started = exec.start(stdio);
            drop(end);
            started
        })
        .map_err(system_error)?;
    Ok(Starting {
        id: id.clone(),
        thread,
        done,
    })
}

/// Whether the other end of a pipe into which nobody writes is closed.
fn is_done(pipe: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut set = [PollFd::new(pipe, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut set, Some(&at_once)).is_ok_and(|ready| ready > 0)
}
