//! Being attached to a supervised container.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use hoist_compute::{Error, ErrorKind, ExitStatus, OsCode, Phase, Result};
use hoist_spec::{ConsoleSize, ExecId};

use super::{
    Connection, OutputStream, is_gone,
    wire::{AttachRequest, MOST_DATA, Packet},
};

/// What comes from a container that one is attached to.
#[derive(Clone, Debug, PartialEq)]
pub enum FromContainer<'a> {
    /// It has written this.
    Output(OutputStream, &'a [u8]),
    /// So many bytes were not passed on, because this client took nothing for too long.
    Lost(u64),
    /// Its process has ended; nothing more will come.
    Exited(ExitStatus),
    /// Its supervisor is gone, and nobody can say how the process has ended before the platform does.
    SupervisorLost,
}

/// A connection to the streams of a container. Dropped, the container runs on.
#[derive(Debug)]
pub struct Attachment {
    connection: Connection,
    has_console: bool,
}

impl Attachment {
    /// One that was launched attached.
    pub(crate) fn launched(connection: Connection, has_console: bool) -> Self {
        Self {
            connection,
            has_console,
        }
    }

    /// What one who launches a supervisor is attached to.
    pub(crate) fn of_launcher(input: bool) -> AttachRequest {
        AttachRequest {
            input,
            output: true,
            patient: true,
        }
    }

    /// Attaches to an exec that runs.
    pub(crate) fn open_exec(connection: Connection, exec: &ExecId, input: bool) -> Result<Self> {
        connection
            .send(&Packet::About(exec.clone()))
            .map_err(|error| failed("attach to the exec", error))?;
        Self::open(connection, input)
    }

    /// Attaches to a container that runs.
    pub(crate) fn open(mut connection: Connection, input: bool) -> Result<Self> {
        let request = AttachRequest {
            input,
            output: true,
            patient: false,
        };
        connection
            .send(&Packet::Attach(request))
            .map_err(|error| failed("attach to the container", error))?;
        let answer = connection
            .receive()
            .map_err(|error| failed("attach to the container", error))?;
        let has_console = match answer {
            Some(Packet::Attached(has_console)) => Some(has_console),
            Some(Packet::Failed(error)) => {
                return Err(Error::from_json(error).unwrap_or_else(lost));
            }
            _ => None,
        };
        match has_console {
            Some(has_console) => Ok(Self {
                connection,
                has_console,
            }),
            None => Err(lost()),
        }
    }

    /// Whether it is a console that one is attached to.
    pub fn has_console(&self) -> bool {
        self.has_console
    }

    /// Readable when [`Attachment::receive`] would return at once, writable when [`Attachment::send`] might take something.
    pub fn readiness(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    /// What comes next; waits for it.
    pub fn receive(&mut self) -> Result<FromContainer<'_>> {
        loop {
            // The packet borrows the buffer that the next round writes to: only those that are returned may keep it.
            let keep = match self.connection.receive() {
                Ok(None) => return Ok(FromContainer::SupervisorLost),
                Ok(Some(Packet::Output(..) | Packet::Lost(_) | Packet::Exited(_))) => true,
                Ok(Some(_)) => false,
                Err(error) => return Err(failed("read from the container", error)),
            };
            if keep {
                break;
            }
        }
        Ok(match self.connection.last() {
            Ok(Packet::Output(stream, bytes)) => FromContainer::Output(stream, bytes),
            Ok(Packet::Lost(count)) => FromContainer::Lost(count),
            Ok(Packet::Exited(exited)) => FromContainer::Exited(exited.status),
            _ => FromContainer::SupervisorLost,
        })
    }

    /// Sends input without waiting; how much of it was taken, which is 0 where there is no room at the moment.
    pub fn send(&self, bytes: &[u8]) -> Result<usize> {
        let piece = &bytes[..bytes.len().min(MOST_DATA)];
        match self.connection.try_send(&Packet::Input(piece)) {
            Ok(true) => Ok(piece.len()),
            Ok(false) => Ok(0),
            Err(error) => Err(failed("write to the container", error)),
        }
    }

    /// Ends the container's standard input, for all who are attached. A console has no end.
    pub fn end_input(&self) -> Result<()> {
        self.connection
            .send(&Packet::EndInput)
            .map_err(|error| failed("end the input of the container", error))
    }

    /// Gives the console another size. `InvalidState` where the supervisor is gone: what that has sent before says why.
    pub fn resize(&self, size: ConsoleSize) -> Result<()> {
        let operation = "resize the console";
        let sent = self.connection.send(&Packet::Resize(size));
        sent.map_err(|error| match is_gone(&error) {
            true => Error::new(ErrorKind::InvalidState, Phase::Operate, operation).because(error),
            false => failed(operation, error),
        })
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::InvalidState,
        Phase::Operate,
        "attach to the container: its supervisor has just ended",
    )
}

fn failed(operation: &str, error: io::Error) -> Error {
    let made = Error::new(ErrorKind::System, Phase::Operate, operation);
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}
