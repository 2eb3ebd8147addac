//! Standard streams of a process to be started: what it gets, and what its caller keeps.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use hoist_compute::{Stdio, Stream, Streams};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

/// The process's three descriptors and the caller's ends.
pub struct Prepared {
    /// What the process gets.
    pub process: [OwnedFd; 3],
    /// What the caller keeps.
    pub caller: Streams,
}

/// Opens what `stdio` asks for.
pub fn prepare(stdio: Stdio) -> io::Result<Prepared> {
    let mut caller = Streams::default();
    let process = match stdio {
        // The process makes its console itself, in its own devpts, and takes it in place of these.
        Stdio::Console(_) => [null()?, null()?, null()?],
        Stdio::Streams {
            stdin,
            stdout,
            stderr,
        } => [
            prepare_one(stdin, true, &mut caller.stdin)?,
            prepare_one(stdout, false, &mut caller.stdout)?,
            prepare_one(stderr, false, &mut caller.stderr)?,
        ],
    };
    Ok(Prepared { process, caller })
}

fn prepare_one(
    stream: Stream,
    process_reads: bool,
    caller: &mut Option<File>,
) -> io::Result<OwnedFd> {
    match stream {
        Stream::Null => null(),
        Stream::Given(file) => Ok(file.into()),
        Stream::Pipe => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            let (process, own) = if process_reads {
                (reader, writer)
            } else {
                (writer, reader)
            };
            *caller = Some(own.into());
            Ok(process)
        }
    }
}

fn null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        "/dev/null",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}
