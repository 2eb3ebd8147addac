//! The loop between a process's console and the caller's terminal.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use hoist_compute::{Error, ErrorKind, ExitStatus, Phase, Process, Result};
use hoist_spec::Signal;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    termios::{SpecialCodeIndex, tcgetattr},
};

use super::{
    SignalSource, failed,
    relay::{Buffer, Sink},
    signals::{self, CONTINUE, Caught, WINDOW},
    terminal::{RawMode, terminal_size},
    unread_output::{self, UnreadOutput},
};

/// How often a console is looked at that nobody has open at the moment, or that takes no input.
const RETRY: Duration = Duration::from_millis(100);

/// The most that is read after the process's end: more than a console holds (64 KiB). What comes beyond it is a
/// survivor's.
const DRAIN_BYTES: usize = 256 * 1024;

/// The end-of-file character where the console's own cannot be read: `^D`.
const END_OF_FILE: u8 = 4;

/// The caller's side.
pub(in super::super) struct Ends<'a> {
    pub(in super::super) input: Option<BorrowedFd<'a>>,
    pub(in super::super) output: BorrowedFd<'a>,
    pub(in super::super) drain_limit: Duration,
}

/// As [`attach`](crate::foreground::attach).
pub(in super::super) fn attach(
    process: &dyn Process,
    ends: Ends<'_>,
    mut signals: Option<&mut dyn SignalSource>,
    failures: &mut Vec<Error>,
) -> Result<ExitStatus> {
    let console = process.take_streams().console.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidState,
            Phase::Operate,
            "attach to the console of the process",
        )
        .because("it has none, or it was taken before")
    })?;
    fcntl_getfl(&console)
        .and_then(|flags| fcntl_setfl(&console, flags | OFlags::NONBLOCK))
        .map_err(|errno| failed("make the console non-blocking", "fcntl", errno.into()))?;
    let raw_mode = match ends.input.map(RawMode::enter).transpose() {
        Ok(raw_mode) => raw_mode.flatten(),
        Err(error) => {
            failures.push(failed("put the terminal into raw mode", "tcsetattr", error));
            None
        }
    };
    let mut session = Session {
        process,
        console,
        size_from: [Some(ends.output), ends.input],
        input: ends.input,
        to_console: Buffer::new(),
        sink: Some(Sink::new(ends.output)),
        from_console: Buffer::new(),
        raw_mode,
        unread: Unread::Open,
        hung_up: false,
        unread_output: UnreadOutput::default(),
        failures,
    };
    let mut drain = None;
    loop {
        if let Some(drain) = &drain
            && session.is_drained(drain)
        {
            break;
        }
        let ready = session.wait(drain.as_mut(), signals.as_deref())?;
        if ready.signals
            && let Some(signals) = signals.as_deref_mut()
        {
            while let Some(caught) = signals.next()? {
                // Nobody else can end a command whose output is not taken.
                if drain.is_some() && asks_to_end(caught.signal) {
                    return process.wait(None);
                }
                session.caught(caught);
            }
        }
        if ready.input {
            session.read_input();
        }
        if ready.console {
            session.write_console();
            session.read_console(drain.as_mut());
        }
        if ready.sink {
            session.write_output();
        }
        if drain.is_none() && session.unread_output.is_over() {
            session.note(process.signal(Signal::KILL));
            session.failures.push(unread_output::ended_by_force());
        }
        if ready.ended {
            drain = Some(Drain {
                waiting_left: ends.drain_limit,
                bytes_left: DRAIN_BYTES,
            });
            session.unread = Unread::Open;
            session.input = None;
            session.to_console.clear();
        }
    }
    process.wait(None)
}

fn asks_to_end(signal: Signal) -> bool {
    const QUIT: i32 = 3;
    [Signal::HUP, Signal::INT, Signal::TERM].contains(&signal) || signal.number() == QUIT
}

/// What is left of the reading after the process's end.
struct Drain {
    waiting_left: Duration,
    bytes_left: usize,
}

impl Drain {
    fn is_used_up(&self) -> bool {
        self.waiting_left.is_zero() || self.bytes_left == 0
    }
}

/// What can be expected of the console's output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// More may come.
    Open,
    /// Nobody has the console open; the process may open it again.
    Closed { look_at: Instant },
}

/// What can be done without waiting.
#[derive(Default)]
struct Ready {
    input: bool,
    console: bool,
    sink: bool,
    signals: bool,
    ended: bool,
}

struct Session<'a> {
    process: &'a dyn Process,
    console: File,
    size_from: [Option<BorrowedFd<'a>>; 2],
    input: Option<BorrowedFd<'a>>,
    to_console: Buffer,
    /// `None` when nobody reads the output any more.
    sink: Option<Sink<'a>>,
    from_console: Buffer,
    raw_mode: Option<RawMode>,
    unread: Unread,
    hung_up: bool,
    unread_output: UnreadOutput,
    failures: &'a mut Vec<Error>,
}

impl Session<'_> {
    fn is_drained(&self, drain: &Drain) -> bool {
        (self.unread != Unread::Open || drain.is_used_up()) && self.from_console.is_empty()
    }

    /// Waits until something can be done.
    fn wait(
        &mut self,
        drain: Option<&mut Drain>,
        signals: Option<&dyn SignalSource>,
    ) -> Result<Ready> {
        let before = Instant::now();
        if let Unread::Closed { look_at } = self.unread
            && look_at <= before
            && drain.is_none()
        {
            self.unread = Unread::Open;
        }
        let open = self.unread == Unread::Open;
        let readable = open
            && self.from_console.has_room()
            && drain.as_ref().is_none_or(|drain| !drain.is_used_up());
        let writable = open && !self.to_console.is_empty();
        let mut console_events = PollFlags::empty();
        console_events.set(PollFlags::IN, readable);
        console_events.set(PollFlags::OUT, writable);

        let on = |wanted: bool, descriptor, events| {
            wanted.then(|| PollFd::from_borrowed_fd(descriptor, events))
        };
        let wanted = [
            self.input
                .and_then(|input| on(self.to_console.has_room(), input, PollFlags::IN)),
            on(readable || writable, self.console.as_fd(), console_events),
            self.sink.as_ref().and_then(|sink| {
                let unwritten = !self.from_console.is_empty();
                on(unwritten, sink.descriptor(), PollFlags::OUT)
            }),
            signals.and_then(|signals| on(true, signals.readiness(), PollFlags::IN)),
            on(drain.is_none(), self.process.readiness(), PollFlags::IN),
        ];
        let only_output_is_missing = readable && self.from_console.is_empty();
        let limit = match (&drain, self.unread) {
            (Some(drain), _) => only_output_is_missing.then_some(drain.waiting_left),
            (None, Unread::Closed { look_at }) => Some(look_at - before),
            // Not every kernel wakes the writer when the other side has made room.
            (None, Unread::Open) => writable.then_some(RETRY),
        };
        let patience = self.unread_output.left().filter(|_| drain.is_none());
        let limit = limit.into_iter().chain(patience).min();
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut set: Vec<PollFd<'_>> = wanted.iter().flatten().cloned().collect();
        let timed_out = match poll(&mut set, limit.as_ref()) {
            Ok(count) => count == 0,
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(errno) => return Err(failed("wait for the console", "poll", errno.into())),
        };
        if only_output_is_missing && let Some(drain) = drain {
            drain.waiting_left = drain.waiting_left.saturating_sub(before.elapsed());
        }
        let mut events = set.iter().map(PollFd::revents);
        let [input, console, sink, signals, ended] = wanted.each_ref().map(|wanted| match wanted {
            Some(_) => events.next().unwrap_or(PollFlags::empty()),
            None => PollFlags::empty(),
        });
        if console.contains(PollFlags::HUP) && !readable {
            // Nobody there to write to; polling it would return at once for ever.
            self.unread = Unread::Closed {
                look_at: before + RETRY,
            };
        }
        Ok(Ready {
            input: !input.is_empty(),
            console: !console.is_empty() || (timed_out && (readable || writable)),
            sink: !sink.is_empty(),
            signals: !signals.is_empty(),
            ended: !ended.is_empty(),
        })
    }

    fn read_input(&mut self) {
        let Some(input) = self.input else { return };
        match self.to_console.fill(input) {
            Ok(0) => self.end_input(input),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.end_input(input),
        }
    }

    /// Tells the process that there is no more input.
    fn end_input(&mut self, input: BorrowedFd<'_>) {
        self.input = None;
        if rustix::termios::isatty(input) || self.raw_mode.is_some() {
            // A terminal has no end: it was closed.
            return self.hang_up();
        }
        let character = tcgetattr(&self.console)
            .map(|mode| mode.special_codes[SpecialCodeIndex::VEOF])
            .ok()
            .filter(|character| *character != 0)
            .unwrap_or(END_OF_FILE);
        // In the middle of a line the first one only hands over what there is of the line (termios(3)).
        if !matches!(self.to_console.last(), None | Some(b'\n' | b'\r')) {
            self.to_console.put(character);
        }
        self.to_console.put(character);
    }

    fn write_console(&mut self) {
        if self.to_console.is_empty() {
            return;
        }
        match self.to_console.drain(self.console.as_fd(), usize::MAX) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.input = None;
                self.to_console.clear();
            }
        }
    }

    fn read_console(&mut self, mut drain: Option<&mut Drain>) {
        while self.from_console.has_room() && drain.as_ref().is_none_or(|drain| !drain.is_used_up())
        {
            match self.from_console.fill(self.console.as_fd()) {
                Ok(count) if count > 0 => {
                    if let Some(drain) = drain.as_deref_mut() {
                        drain.bytes_left = drain.bytes_left.saturating_sub(count);
                    }
                    if self.sink.is_none() {
                        self.from_console.clear();
                        break;
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // EIO: nobody has the other side open.
                Ok(_) | Err(_) => {
                    self.unread = Unread::Closed {
                        look_at: Instant::now() + RETRY,
                    };
                    break;
                }
            }
        }
    }

    fn write_output(&mut self) {
        let Some(sink) = &self.sink else { return };
        match self.from_console.drain(sink.descriptor(), sink.piece()) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                if errno != Errno::PIPE && errno != Errno::IO {
                    self.failures.push(failed(
                        "write the output of the container",
                        "write",
                        errno.into(),
                    ));
                }
                // Its output is read on and thrown away, so that it is not stopped by it, as with a closed terminal.
                self.sink = None;
                self.from_console.clear();
                self.hang_up();
                if errno == Errno::PIPE {
                    self.unread_output.begins();
                }
            }
        }
    }

    fn caught(&mut self, caught: Caught) {
        match caught.signal.number() {
            WINDOW => self.follow_size(),
            number => {
                if number == CONTINUE
                    && let Some(raw_mode) = &self.raw_mode
                {
                    // The shell took the terminal back while we were stopped. Where it is gone, its input will say so.
                    let _ = raw_mode.renew();
                    self.follow_size();
                }
                signals::forward(self.process, caught, self.failures);
            }
        }
    }

    fn follow_size(&mut self) {
        let size = self
            .size_from
            .iter()
            .flatten()
            .copied()
            .find_map(terminal_size);
        if let Some(size) = size {
            self.note(self.process.resize_console(size));
        }
    }

    /// Tells the process, once, that its terminal is gone.
    fn hang_up(&mut self) {
        if !self.hung_up {
            self.hung_up = true;
            self.note(self.process.signal(Signal::HUP));
        }
    }

    fn note(&mut self, result: Result<()>) {
        match result {
            // It has ended: its status says more.
            Err(error) if error.kind() == ErrorKind::InvalidState => {}
            Err(error) => self.failures.push(error),
            Ok(()) => {}
        }
    }
}
