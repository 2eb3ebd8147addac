//! Named pipes that wait for the other side.
#![allow(
    unsafe_code,
    reason = "named pipes are made and waited for by raw calls"
)]

use std::{
    fs::File,
    io,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    thread,
    time::{Duration, Instant},
};

use windows_sys::Win32::{
    Foundation::{
        ERROR_ACCESS_DENIED, ERROR_IO_PENDING, ERROR_PIPE_BUSY, ERROR_PIPE_CONNECTED,
        INVALID_HANDLE_VALUE, WAIT_OBJECT_0, WAIT_TIMEOUT,
    },
    Storage::FileSystem::{
        FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_INBOUND,
        PIPE_ACCESS_OUTBOUND,
    },
    System::{
        IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED},
        Pipes::{ConnectNamedPipe, CreateNamedPipeW, PIPE_REJECT_REMOTE_CLIENTS},
        Threading::WaitForSingleObject,
    },
};

use crate::{
    event::Event,
    pipe_names::{PipeName, StandardStream},
    text::wide,
};

/// How much a pipe holds.
const BUFFER: u32 = 1 << 16;

/// So long a process that has ended may still be in the way of the next one's names.
const UNTIL_FREE: Duration = Duration::from_secs(1);
/// How often it is tried meanwhile.
const UNTIL_NEXT: Duration = Duration::from_millis(5);

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To whoever connects.
    Out,
    /// From whoever connects.
    In,
}

impl From<StandardStream> for Direction {
    /// As this side sees the stream of a process.
    fn from(stream: StandardStream) -> Self {
        match stream {
            StandardStream::Input => Self::Out,
            StandardStream::Output | StandardStream::Error => Self::In,
        }
    }
}

/// Both ends of a pipe that this process alone has made and opened.
#[derive(Debug)]
pub struct Pair {
    /// Where this side has listened.
    pub server: File,
    /// For the process: a handle as of any file, for synchronous use.
    pub client: File,
}

/// Makes the pipe of a process's stream and opens it: whoever else opens it first makes this fail, and whoever comes later is refused.
///
/// # Errors
/// The name is in use ([`is_taken`]), or the system has no more pipes.
pub fn pair(name: &PipeName, stream: StandardStream) -> io::Result<Pair> {
    let direction = Direction::from(stream);
    let listener = Listener::when_free(&name.server, direction)?;
    let client = connect(&name.client, direction)?;
    let server = listener.accept(Duration::ZERO)?;
    Ok(Pair { server, client })
}

fn connect(name: &str, direction: Direction) -> io::Result<File> {
    let reads = direction == Direction::Out;
    File::options().read(reads).write(!reads).open(name)
}

/// Whether it is by another's pipe of the same name that one could not be made or opened.
pub fn is_taken(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    matches!(code, Some(ERROR_ACCESS_DENIED | ERROR_PIPE_BUSY))
}

/// A pipe that waits for its one client; it connects from the moment that this exists.
pub struct Listener {
    pipe: Option<OwnedHandle>,
    // What the system writes to until the operation is done stays where it is.
    overlapped: Box<OVERLAPPED>,
    event: Event,
    pending: bool,
}

// SAFETY: handles are numbers that any thread may use, and the record is touched by its owner alone.
unsafe impl Send for Listener {}

impl Listener {
    /// Makes the pipe.
    ///
    /// # Errors
    /// One of this name is there already ([`is_taken`]), there can be none of that name, or the system has no more pipes.
    pub fn new(name: &str, direction: Direction) -> io::Result<Self> {
        let text = wide(name);
        let access = match direction {
            Direction::Out => PIPE_ACCESS_OUTBOUND,
            Direction::In => PIPE_ACCESS_INBOUND,
        };
        // SAFETY: the name ends with NUL and outlives the call; no attributes are given.
        let pipe = unsafe {
            CreateNamedPipeW(
                text.as_ptr(),
                access | FILE_FLAG_FIRST_PIPE_INSTANCE | FILE_FLAG_OVERLAPPED,
                PIPE_REJECT_REMOTE_CLIENTS,
                1,
                BUFFER,
                BUFFER,
                0,
                std::ptr::null(),
            )
        };
        if pipe == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is new, and nobody else's.
        let pipe = unsafe { OwnedHandle::from_raw_handle(pipe) };
        let event = Event::new()?;
        let mut overlapped = Box::new(OVERLAPPED::default());
        overlapped.hEvent = event.as_handle().as_raw_handle();
        // SAFETY: the pipe was made for overlapped use; the record lives until the operation is done (`accept`, `drop`).
        let connected = unsafe { ConnectNamedPipe(pipe.as_raw_handle(), &mut *overlapped) };
        let mut listener = Self {
            pipe: Some(pipe),
            overlapped,
            event,
            pending: false,
        };
        if connected == 0 {
            let error = io::Error::last_os_error();
            match error.raw_os_error().map(i32::cast_unsigned) {
                Some(ERROR_IO_PENDING) => listener.pending = true,
                Some(ERROR_PIPE_CONNECTED) => {}
                _ => return Err(error),
            }
        }
        Ok(listener)
    }

    /// The same, some time later where the name is only about to be let go of: that of a process that has just ended.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn when_free(name: &str, direction: Direction) -> io::Result<Self> {
        let deadline = Instant::now() + UNTIL_FREE;
        loop {
            match Self::new(name, direction) {
                Err(error) if is_taken(&error) && Instant::now() < deadline => {
                    thread::sleep(UNTIL_NEXT);
                }
                made => return made,
            }
        }
    }

    /// The pipe, once somebody has connected.
    ///
    /// # Errors
    /// `TimedOut` where nobody has within `limit`.
    pub fn accept(mut self, limit: Duration) -> io::Result<File> {
        if self.pending {
            let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX - 1);
            // SAFETY: the event is open.
            match unsafe { WaitForSingleObject(self.event.as_handle().as_raw_handle(), limit) } {
                WAIT_OBJECT_0 => {}
                WAIT_TIMEOUT => return Err(io::ErrorKind::TimedOut.into()),
                _ => return Err(io::Error::last_os_error()),
            }
            self.finish()?;
        }
        match self.pipe.take() {
            Some(pipe) => Ok(File::from(pipe)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Waits until the operation is done, whatever it came to.
    fn finish(&mut self) -> io::Result<()> {
        self.pending = false;
        let Some(pipe) = &self.pipe else {
            return Ok(());
        };
        let mut moved = 0;
        // SAFETY: the record is that of the pipe's one operation.
        let done =
            unsafe { GetOverlappedResult(pipe.as_raw_handle(), &*self.overlapped, &mut moved, 1) };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !self.pending {
            return;
        }
        if let Some(pipe) = &self.pipe {
            // SAFETY: the record is that of the pipe's one operation, which is still pending or has just ended.
            unsafe { CancelIoEx(pipe.as_raw_handle(), &*self.overlapped) };
        }
        // The record must not go before the operation has.
        let _ = self.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    const SOON: Duration = Duration::from_millis(200);
    /// Generous: the machine may be slow.
    const IN_TIME: Duration = Duration::from_secs(60);

    fn name(word: &str) -> String {
        format!(r"\\.\pipe\hoist-listener-{word}-{}", std::process::id())
    }

    // Row 43: the endpoint accepts before its address is told, and what is not there is an error at once.
    #[test]
    fn a_pipe_takes_its_client_from_the_moment_that_it_is_there_and_none_before_or_after() {
        let name = name("moment");
        for direction in [Direction::Out, Direction::In] {
            assert!(connect(&name, direction).is_err());
            let listener = Listener::new(&name, direction).unwrap();
            let mut client = connect(&name, direction).unwrap();
            let mut server = listener.accept(IN_TIME).unwrap();
            let (to, from) = match direction {
                Direction::Out => (&mut server, &mut client),
                Direction::In => (&mut client, &mut server),
            };
            to.write_all(b"hello").unwrap();
            let mut five = [0; 5];
            from.read_exact(&mut five).unwrap();
            assert_eq!(&five, b"hello");
            assert!(connect(&name, direction).is_err());
        }
        let begun = Instant::now();
        assert!(connect(&name, Direction::In).is_err());
        assert!(begun.elapsed() < IN_TIME);
    }

    #[test]
    fn whole_output_and_then_its_end_are_read_from_a_client_that_has_gone() {
        let name = name("whole");
        let listener = Listener::new(&name, Direction::In).unwrap();
        let mut client = connect(&name, Direction::In).unwrap();
        let writer = std::thread::spawn(move || client.write_all(&vec![7; 300_000]).unwrap());
        let mut read = Vec::new();
        let mut server = listener.accept(IN_TIME).unwrap();
        server.read_to_end(&mut read).unwrap();
        writer.join().unwrap();
        assert!(read.len() == 300_000 && read.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn nobody_at_a_pipe_is_an_error_in_time_and_the_name_is_free_again() {
        let name = name("nobody");
        for _ in 0..2 {
            let listener = Listener::new(&name, Direction::In).unwrap();
            let error = listener.accept(SOON).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[test]
    fn a_name_that_another_has_is_refused() {
        let name = name("taken");
        let first = Listener::new(&name, Direction::In).unwrap();
        let error = Listener::new(&name, Direction::In).err().unwrap();
        assert!(is_taken(&error), "{error}");
        drop(first);
        assert!(Listener::new(&name, Direction::In).is_ok());
    }
    #[test]
    fn a_pair_is_this_process_s_alone_and_carries_a_stream_in_its_direction() {
        let name = PipeName {
            client: name("pair"),
            server: name("pair"),
        };
        for stream in StandardStream::ALL {
            let Pair {
                mut server,
                mut client,
            } = pair(&name, stream).unwrap();
            let other = connect(&name.client, stream.into()).err().unwrap();
            assert!(is_taken(&other), "{other}");
            assert!(is_taken(&pair(&name, stream).err().unwrap()));
            let (to, from) = match stream {
                StandardStream::Input => (&mut server, &mut client),
                _ => (&mut client, &mut server),
            };
            to.write_all(b"hello").unwrap();
            let mut five = [0; 5];
            from.read_exact(&mut five).unwrap();
            assert_eq!(&five, b"hello");
        }
    }
}
