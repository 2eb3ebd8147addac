//! A blocking connection to a D-Bus server over a Unix socket (D-Bus specification, "Authentication Protocol",
//! "Message Protocol").

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::message::{self, Body, Kind, Method, PREFIX, Received};

/// A connection. It is used for one call after the other.
pub(super) struct Connection {
    socket: UnixStream,
    last_serial: u32,
    /// Signals that came while an answer was awaited.
    signals: Vec<Received>,
    deadline: Instant,
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum CallError {
    /// The other side refused it: the error's name and text.
    Refused { name: String, text: String },
    /// The connection failed.
    Failed(io::Error),
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Connection {
    /// Connects to the server at `path` as the effective user. All that is done over the connection must be done in `patience`.
    pub(super) fn open(path: &Path, patience: Duration) -> io::Result<Self> {
        let mut connection = Self {
            socket: UnixStream::connect(path)?,
            last_serial: 0,
            signals: Vec::new(),
            deadline: Instant::now() + patience,
        };
        let user = rustix::process::geteuid().as_raw().to_string();
        let identity: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
        connection.write(format!("\0AUTH EXTERNAL {identity}\r\n").as_bytes())?;
        let answer = connection.line()?;
        if !answer.starts_with("OK ") {
            return Err(io::Error::other(format!(
                "it answers {answer:?} to EXTERNAL"
            )));
        }
        connection.write(b"BEGIN\r\n")?;
        Ok(connection)
    }

    /// Calls a method and waits for its answer.
    pub(super) fn call(&mut self, method: &Method<'_>, body: &Body) -> Result<Received, CallError> {
        self.last_serial += 1;
        let serial = self.last_serial;
        self.write(&message::call(serial, method, body))?;
        loop {
            let received = self.receive()?;
            match received.kind {
                Some(Kind::Return) if received.answers == serial => return Ok(received),
                Some(Kind::Error) if received.answers == serial => {
                    return Err(CallError::Refused {
                        text: received.body().text().unwrap_or_default(),
                        name: received.error,
                    });
                }
                Some(Kind::Signal) => self.signals.push(received),
                // A call from the other side, which this one does not serve, or a kind of a later version.
                _ => {}
            }
        }
    }

    /// The next signal.
    pub(super) fn signal(&mut self) -> io::Result<Received> {
        if !self.signals.is_empty() {
            return Ok(self.signals.remove(0));
        }
        loop {
            let received = self.receive()?;
            if received.kind == Some(Kind::Signal) {
                return Ok(received);
            }
        }
    }

    fn receive(&mut self) -> io::Result<Received> {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let mut prefix = [0; PREFIX];
        self.read(&mut prefix)?;
        let rest = message::rest_of(&prefix).ok_or_else(damaged)?;
        let mut bytes = prefix.to_vec();
        bytes.resize(PREFIX + rest, 0);
        self.read(&mut bytes[PREFIX..])?;
        Received::read(&bytes).ok_or_else(damaged)
    }

    /// A line of the authentication.
    fn line(&mut self) -> io::Result<String> {
        const LONGEST: usize = 1024;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < LONGEST {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn read(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.socket.set_read_timeout(Some(self.left()?))?;
            match self.socket.read(bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => bytes = &mut bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write_all(bytes)
    }

    fn left(&self) -> io::Result<Duration> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            left if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}
