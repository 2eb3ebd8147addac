//! What a supervisor waits for, in one poll(2).

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{run::Run, serve::Session};
use crate::foreground::SignalSource;

/// How often a console is tried that takes no input: not every kernel wakes the writer when there is room.
const INPUT_RETRY: Duration = Duration::from_millis(100);

/// Whose process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The container's own.
    Container,
    /// That of the exec with this number.
    Exec(usize),
}

/// What can be done without waiting.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) signals: bool,
    pub(super) listener: bool,
    /// An exec was started, or could not be.
    pub(super) started: bool,
    /// Whose processes have ended.
    pub(super) ended: Vec<Which>,
    /// The numbers of the sources that can be read.
    pub(super) sources: Vec<(Which, usize)>,
    /// The numbers of the clients that have sent something.
    pub(super) clients: Vec<usize>,
}

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug)]
enum For {
    Signals,
    Listener,
    Started,
    End(Which),
    Source(Which, usize),
    Input,
    Client(usize),
}

/// A process whose output is read.
struct Reader<'a> {
    which: Which,
    run: &'a Run,
    /// Its output is wanted, and nothing else keeps it from being read.
    reads: bool,
}

impl Reader<'_> {
    /// Whether only what it has written is still missing.
    fn drains(&self) -> bool {
        self.reads && self.run.has_ended()
    }
}

fn readers(session: &Session) -> Vec<Reader<'_>> {
    let clients = &session.clients;
    let container = session.run.iter().map(|run| Reader {
        which: Which::Container,
        run,
        reads: !clients.hold_up(None) && session.log.waits_until().is_none(),
    });
    let execs = session.execs.runs().map(|(number, id, run)| Reader {
        which: Which::Exec(number),
        run,
        reads: !clients.hold_up(Some(id)),
    });
    container.chain(execs).collect()
}

/// What is to be waited for.
pub(super) struct Waiting {
    /// Those of whom only output is missing.
    draining: Vec<Which>,
    deadline: Option<Instant>,
}

impl Waiting {
    /// What `session` waits for.
    pub(super) fn of(session: &Session) -> Self {
        let readers = readers(session);
        let now = Instant::now();
        let of_runs = readers.iter().flat_map(|reader| {
            let run = reader.run;
            [
                reader.reads.then(|| run.look_at()).flatten(),
                run.input.waiting().map(|_| now + INPUT_RETRY),
                reader
                    .drains()
                    .then(|| run.waits_at_most())
                    .flatten()
                    .map(|left| now + left),
            ]
        });
        let times = [session.log.waits_until(), session.clients.patience_ends()];
        let times = times.into_iter().chain(of_runs).flatten();
        Self {
            // A patience that has run out is waited for no more.
            deadline: times.filter(|at| *at > now).min(),
            draining: readers
                .iter()
                .filter(|reader| reader.drains())
                .map(|reader| reader.which)
                .collect(),
        }
    }

    /// Waits, at most until `until`.
    pub(super) fn wait(self, session: &mut Session, until: Option<Instant>) -> Result<Ready> {
        let before = Instant::now();
        let deadline = self.deadline.into_iter().chain(until).min();
        let ready = poll_all(session, before, deadline)?;
        let waited = before.elapsed();
        if self.draining.contains(&Which::Container)
            && let Some(run) = &mut session.run
        {
            run.waited(waited);
        }
        session.execs.for_each_run(|number, run| {
            if self.draining.contains(&Which::Exec(number)) {
                run.waited(waited);
            }
        });
        Ok(ready)
    }
}

/// As poll(2); who has nothing to do for a while keeps nothing of the program in memory.
fn poll_for_long(set: &mut [PollFd<'_>], limit: Option<Duration>) -> rustix::io::Result<usize> {
    const WHILE: Duration = Duration::from_secs(1);
    let mut poll_for = |limit: Option<Duration>| {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        poll(set, limit.as_ref())
    };
    if limit.is_some_and(|limit| limit <= WHILE) {
        return poll_for(limit);
    }
    match poll_for(Some(WHILE))? {
        0 => hoist_linux::forget_program_pages(),
        ready => return Ok(ready),
    }
    poll_for(limit.map(|limit| limit - WHILE))
}

fn poll_all(session: &Session, now: Instant, deadline: Option<Instant>) -> Result<Ready> {
    let mut wanted: Vec<(For, BorrowedFd<'_>, PollFlags)> = vec![
        (For::Signals, session.signals.readiness(), PollFlags::IN),
        (For::Listener, session.listener.as_fd(), PollFlags::IN),
    ];
    let starting = session.execs.starting();
    wanted.extend(starting.map(|done| (For::Started, done, PollFlags::IN)));
    for Reader { which, run, reads } in readers(session) {
        if !run.has_ended() {
            wanted.push((For::End(which), run.process.readiness(), PollFlags::IN));
        }
        if reads {
            let sources = run.readable(now);
            wanted.extend(
                sources.map(|(index, file)| (For::Source(which, index), file, PollFlags::IN)),
            );
        }
        if let Some(file) = run.input.waiting() {
            wanted.push((For::Input, file, PollFlags::OUT));
        }
    }
    for (index, client) in session.clients.0.iter().enumerate() {
        let takes_input = match &client.about {
            None => session.run.as_ref(),
            Some(about) => session
                .execs
                .runs()
                .find_map(|(_, id, run)| (id == about).then_some(run)),
        }
        .is_none_or(|run| run.input.has_room());
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
    match poll_for_long(&mut set, limit) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
        Err(errno) => {
            return Err(
                Error::new(ErrorKind::System, Phase::Operate, "wait for the container")
                    .call("poll")
                    .code(OsCode::Errno(errno.raw_os_error())),
            );
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
            For::Started => ready.started = true,
            For::End(which) => ready.ended.push(*which),
            For::Source(which, index) => ready.sources.push((*which, *index)),
            For::Client(index) if found != PollFlags::OUT => ready.clients.push(*index),
            // What can be written is written after every wait.
            For::Client(_) | For::Input => {}
        }
    }
    Ok(ready)
}
