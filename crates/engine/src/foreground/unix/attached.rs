//! The loop between a container that has a supervisor and the caller's streams.

use std::{os::fd::BorrowedFd, time::Duration};

use hoist_compute::{Error, ErrorKind, ExitStatus, Result};
use hoist_spec::Signal;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
};

use super::{
    DetachKeys, SignalSource,
    detach_keys::Typed,
    failed,
    relay::Sink,
    signals::{CONTINUE, Caught, WINDOW},
    terminal::{RawMode, terminal_size},
    unread_output::{UnreadOutput, ended_by_force},
};
use crate::supervise::{Attachment, FromContainer, OutputStream};

/// How much is read of the caller's input at once.
const PIECE: usize = 4096;
/// How often input is tried again for which there was no room.
const RETRY: Duration = Duration::from_millis(100);

/// The caller's side.
#[derive(Clone, Debug)]
pub struct AttachedIo<'a> {
    /// Where input comes from; `None` for none. A terminal is put into raw mode for as long as the call lasts, where the container
    /// has a console.
    pub input: Option<BorrowedFd<'a>>,
    /// Where standard output goes, and a console's. A terminal here, else one at `input`, gives the console its size.
    pub output: BorrowedFd<'a>,
    /// Where standard error goes.
    pub errors: BorrowedFd<'a>,
    /// The keys that detach, where the container has a console.
    pub detach_keys: DetachKeys,
    /// The container is the caller's own and runs in the foreground: the end of the input is the end of the container's, and it
    /// is hung up when the terminal is gone or nobody reads its output; in the latter case it is ended by force where it does not end of that.
    pub is_foreground: bool,
}

/// How being attached came to its end.
#[derive(Clone, Debug, PartialEq)]
pub enum AttachedEnd {
    /// The container's process has ended.
    Exited(ExitStatus),
    /// The caller has detached: by keys, or because nobody reads the output or has the terminal any more.
    Detached,
    /// The container's supervisor is gone.
    SupervisorLost,
}

/// Copies between a container and the caller's streams, until the container's process has ended or the caller detaches.
/// `signal` sends the container a signal that the caller gets.
pub fn attend_attached(
    attachment: &mut Attachment,
    io: AttachedIo<'_>,
    mut signals: Option<&mut dyn SignalSource>,
    signal: &dyn Fn(Signal) -> Result<()>,
    failures: &mut Vec<Error>,
) -> Result<AttachedEnd> {
    let console = attachment.has_console();
    let raw_mode = match io.input.filter(|_| console).map(RawMode::enter).transpose() {
        Ok(raw_mode) => raw_mode.flatten(),
        Err(error) => {
            failures.push(failed("put the terminal into raw mode", "tcsetattr", error));
            None
        }
    };
    let keys = if console {
        io.detach_keys.clone()
    } else {
        "".parse().unwrap_or_default()
    };
    let mut session = Session {
        typed: Typed::new(keys),
        input: io.input,
        to_container: Vec::new(),
        ends_input: false,
        outputs: [Output::new(io.output), Output::new(io.errors)],
        raw_mode,
        unread_output: UnreadOutput::default(),
        attachment,
        io,
        signal,
        failures,
    };
    if console {
        session.follow_size();
    }
    loop {
        let ready = session.wait(signals.as_deref())?;
        if ready.signals
            && let Some(signals) = signals.as_deref_mut()
        {
            while let Some(caught) = signals.next()? {
                session.caught(caught);
            }
        }
        if ready.input && session.read_input() {
            return Ok(AttachedEnd::Detached);
        }
        session.send_input();
        if session.write_outputs() {
            return Ok(AttachedEnd::Detached);
        }
        if session.unread_output.is_over() {
            session.send_signal(Signal::KILL);
            session.failures.push(ended_by_force());
        }
        if ready.container
            && session.outputs.iter().all(Output::is_empty)
            && let Some(end) = session.receive()?
        {
            return Ok(end);
        }
    }
}

/// What can be done without waiting.
#[derive(Default)]
struct Ready {
    signals: bool,
    input: bool,
    container: bool,
}

/// One of the caller's outputs, with what it has not yet taken.
struct Output<'a> {
    sink: Option<Sink<'a>>,
    pending: Vec<u8>,
}

impl<'a> Output<'a> {
    fn new(descriptor: BorrowedFd<'a>) -> Self {
        Self {
            sink: Some(Sink::new(descriptor)),
            pending: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Writes once; the error tells, once, that nobody reads any more.
    fn write(&mut self) -> Result<(), Errno> {
        let Some(sink) = &self.sink else {
            self.pending.clear();
            return Ok(());
        };
        if self.pending.is_empty() {
            return Ok(());
        }
        let end = self.pending.len().min(sink.piece());
        match rustix::io::write(sink.descriptor(), &self.pending[..end]) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                self.sink = None;
                self.pending.clear();
                return Err(errno);
            }
        }
        Ok(())
    }
}

struct Session<'a, 'b> {
    attachment: &'b mut Attachment,
    io: AttachedIo<'a>,
    input: Option<BorrowedFd<'a>>,
    typed: Typed,
    to_container: Vec<u8>,
    ends_input: bool,
    outputs: [Output<'a>; 2],
    raw_mode: Option<RawMode>,
    unread_output: UnreadOutput,
    signal: &'b dyn Fn(Signal) -> Result<()>,
    failures: &'b mut Vec<Error>,
}

impl Session<'_, '_> {
    fn wait(&self, signals: Option<&dyn SignalSource>) -> Result<Ready> {
        let pending = self.outputs.iter().any(|output| !output.is_empty());
        let unsent = !self.to_container.is_empty();
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, !pending);
        events.set(PollFlags::OUT, unsent);
        let mut set = vec![PollFd::from_borrowed_fd(
            self.attachment.readiness(),
            events,
        )];
        let signals = signals.map(SignalSource::readiness);
        let input = self.input.filter(|_| !unsent);
        let readers = [signals, input];
        let read_from = readers.iter().flatten();
        set.extend(
            read_from.map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN)),
        );
        let unwritten = self.outputs.iter().filter(|output| !output.is_empty());
        set.extend(
            unwritten
                .filter_map(|output| output.sink.as_ref())
                .map(|sink| PollFd::from_borrowed_fd(sink.descriptor(), PollFlags::OUT)),
        );
        let retry = unsent.then_some(RETRY);
        let limit = retry.into_iter().chain(self.unread_output.left()).min();
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut set, limit.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(errno) => return Err(failed("wait for the container", "poll", errno.into())),
        }
        let mut found = set.iter().skip(1).map(|one| !one.revents().is_empty());
        let [signals, input] = readers.map(|reader| reader.is_some() && found.next() == Some(true));
        Ok(Ready {
            signals,
            input,
            container: set[0]
                .revents()
                .intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
        })
    }

    /// Reads once; true where the caller detaches.
    fn read_input(&mut self) -> bool {
        let Some(input) = self.input else {
            return false;
        };
        let mut piece = [0; PIECE];
        match read(input, &mut piece) {
            Ok(count) if count > 0 => self.typed.pass(&piece[..count], &mut self.to_container),
            Err(Errno::AGAIN | Errno::INTR) => false,
            _ => {
                self.input = None;
                if self.raw_mode.is_some() {
                    return self.terminal_is_gone();
                }
                // Where several may be attached, one who has no more to say leaves the input open.
                self.ends_input = self.io.is_foreground;
                false
            }
        }
    }

    /// True where the caller detaches.
    fn terminal_is_gone(&mut self) -> bool {
        if self.io.is_foreground {
            self.send_signal(Signal::HUP);
        }
        !self.io.is_foreground
    }

    fn send_input(&mut self) {
        while !self.to_container.is_empty() {
            match self.attachment.send(&self.to_container) {
                Ok(0) => break,
                Ok(count) => drop(self.to_container.drain(..count)),
                // It is gone; how, the next packets say.
                Err(_) => {
                    self.to_container.clear();
                    self.input = None;
                }
            }
        }
        if self.to_container.is_empty() && std::mem::take(&mut self.ends_input) {
            // As above.
            let _ = self.attachment.end_input();
        }
    }

    /// True where the caller detaches.
    fn write_outputs(&mut self) -> bool {
        let [output, errors] = self.outputs.each_mut().map(Output::write);
        if output == Err(Errno::PIPE) && self.io.is_foreground {
            self.unread_output.begins();
        }
        (output.is_err() || errors.is_err()) && self.terminal_is_gone()
    }

    fn receive(&mut self) -> Result<Option<AttachedEnd>> {
        match self.attachment.receive()? {
            FromContainer::Output(stream, bytes) => {
                self.outputs[stream as usize]
                    .pending
                    .extend_from_slice(bytes);
                self.write_outputs();
            }
            FromContainer::Lost(count) => {
                let text = format!(
                    "hoist: {count} bytes of output were not taken in time and are left out\r\n"
                );
                let output = &mut self.outputs[OutputStream::Stderr as usize];
                output.pending.extend_from_slice(text.as_bytes());
            }
            FromContainer::Exited(status) => return Ok(Some(AttachedEnd::Exited(status))),
            FromContainer::SupervisorLost => return Ok(Some(AttachedEnd::SupervisorLost)),
        }
        Ok(None)
    }

    fn caught(&mut self, caught: Caught) {
        match caught.signal.number() {
            WINDOW => self.follow_size(),
            number => {
                if number == CONTINUE
                    && let Some(raw_mode) = &self.raw_mode
                {
                    // The shell took the terminal back while we were stopped.
                    let _ = raw_mode.renew();
                    self.follow_size();
                }
                self.send_signal(caught.signal);
            }
        }
    }

    fn follow_size(&mut self) {
        let size = terminal_size(self.io.output).or_else(|| self.io.input.and_then(terminal_size));
        if let Some(size) = size
            && self.attachment.has_console()
        {
            let resized = self.attachment.resize(size);
            self.note(resized);
        }
    }

    fn send_signal(&mut self, signal: Signal) {
        self.note((self.signal)(signal));
    }

    fn note(&mut self, result: Result<()>) {
        match result {
            // It has ended, or is no more: its status says more.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidState | ErrorKind::NotFound) => {
            }
            Err(error) => self.failures.push(error),
            Ok(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::{
        fs::{Mode, OFlags, open},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::{Winsize, tcsetwinsize},
    };

    use super::*;
    use crate::supervise::{Connection, Exited, Packet, socket_pair};

    #[test]
    fn a_program_that_has_ended_before_its_console_gets_its_size_is_no_failure() {
        let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&control).unwrap();
        unlockpt(&control).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = open(ptsname(&control, Vec::new()).unwrap(), flags, Mode::empty()).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
        let (ours, theirs) = socket_pair().unwrap();
        let supervisor = Connection::new(theirs);
        let status = ExitStatus::exited(3);
        let exited = Exited {
            status: status.clone(),
            restarting: false,
        };
        supervisor.send(&Packet::Exited(exited)).unwrap();
        drop(supervisor);
        let io = AttachedIo {
            input: None,
            output: terminal.as_fd(),
            errors: terminal.as_fd(),
            detach_keys: DetachKeys::default(),
            is_foreground: true,
        };
        let mut failures = Vec::new();
        let end = attend_attached(
            &mut Attachment::launched(Connection::new(ours), true),
            io,
            None,
            &|_| Ok(()),
            &mut failures,
        );
        assert_eq!(end.unwrap(), AttachedEnd::Exited(status));
        assert!(failures.is_empty(), "{failures:?}");
    }
}
