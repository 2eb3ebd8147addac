//! What a supervisor waits for, in one poll(2).

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::serve::Session;
use crate::foreground::SignalSource;

/// How often a console is tried that takes no input: not every kernel wakes the writer when there is room.
const INPUT_RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// What can be done without waiting.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) signals: bool,
    pub(super) listener: bool,
    /// The process has ended.
    pub(super) ended: bool,
    /// The numbers of the sources that can be read.
    pub(super) sources: Vec<usize>,
    /// The numbers of the clients that have sent something.
    pub(super) clients: Vec<usize>,
}

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug)]
enum For {
    Signals,
    Listener,
    End,
    Source(usize),
    Input,
    Client(usize),
}

/// What is to be waited for.
pub(super) struct Waiting {
    /// Output is wanted, and nothing else keeps it from being read.
    reads: bool,
    only_output_is_missing: bool,
    deadline: Option<Instant>,
}

impl Waiting {
    /// What `session` waits for.
    pub(super) fn of(session: &Session) -> Self {
        let reads = !session.clients.hold_up() && session.log.waits_until().is_none();
        let run = session.run.as_ref();
        let drains = reads && run.is_some_and(|run| run.has_ended());
        let times = [
            session.log.waits_until(),
            session.clients.patience_ends(),
            run.filter(|_| reads).and_then(|run| run.look_at()),
            run.filter(|run| run.input.waiting().is_some())
                .map(|_| Instant::now() + INPUT_RETRY),
            run.filter(|_| drains)
                .and_then(|run| run.waits_at_most())
                .map(|left| Instant::now() + left),
        ];
        let now = Instant::now();
        Self {
            reads,
            only_output_is_missing: drains,
            // A patience that has run out is waited for no more.
            deadline: times.into_iter().flatten().filter(|at| *at > now).min(),
        }
    }

    /// Waits, at most until `until`.
    pub(super) fn wait(self, session: &mut Session, until: Option<Instant>) -> Result<Ready> {
        let before = Instant::now();
        let deadline = self.deadline.into_iter().chain(until).min();
        let ready = self.poll(session, before, deadline)?;
        if self.only_output_is_missing
            && let Some(run) = &mut session.run
        {
            run.waited(before.elapsed());
        }
        Ok(ready)
    }

    fn poll(&self, session: &Session, now: Instant, deadline: Option<Instant>) -> Result<Ready> {
        let mut wanted: Vec<(For, BorrowedFd<'_>, PollFlags)> = vec![
            (For::Signals, session.signals.readiness(), PollFlags::IN),
            (For::Listener, session.listener.as_fd(), PollFlags::IN),
        ];
        let mut takes_input = true;
        if let Some(run) = &session.run {
            if !run.has_ended() {
                wanted.push((For::End, run.process.readiness(), PollFlags::IN));
            }
            if self.reads {
                let sources = run.readable(now);
                wanted
                    .extend(sources.map(|(index, file)| (For::Source(index), file, PollFlags::IN)));
            }
            if let Some(file) = run.input.waiting() {
                wanted.push((For::Input, file, PollFlags::OUT));
            }
            takes_input = run.input.has_room();
        }
        for (index, client) in session.clients.0.iter().enumerate() {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, takes_input || !client.sends_input());
            events.set(PollFlags::OUT, client.is_owed());
            wanted.push((For::Client(index), client.socket(), events));
        }
        let mut set: Vec<PollFd<'_>> = wanted
            .iter()
            .map(|(_, descriptor, events)| PollFd::from_borrowed_fd(*descriptor, *events))
            .collect();
        let limit = deadline.map(|deadline| deadline.saturating_duration_since(now));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut set, limit.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(errno) => {
                return Err(Error::new(
                    ErrorKind::System,
                    Phase::Operate,
                    "wait for the container",
                )
                .call("poll")
                .code(OsCode::Errno(errno.raw_os_error())));
            }
        }
        let mut ready = Ready::default();
        for ((what, _, _), found) in wanted.iter().zip(&set) {
            let found = found.revents();
            if found.is_empty() {
                continue;
            }
            match what {
                For::Signals => ready.signals = true,
                For::Listener => ready.listener = true,
                For::End => ready.ended = true,
                For::Source(index) => ready.sources.push(*index),
                For::Client(index) if found != PollFlags::OUT => ready.clients.push(*index),
                // What can be written is written after every wait.
                For::Client(_) | For::Input => {}
            }
        }
        Ok(ready)
    }
}
