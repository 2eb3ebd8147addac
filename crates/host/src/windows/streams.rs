//! Standard streams of a process to be started: what it gets, and what its caller keeps.

use std::{fs::File, io, os::windows::io::OwnedHandle};

use hoist_compute::{Phase, Result, Stdio, Stream, Streams};
use hoist_windows::error::system;

use super::sys::pipe;
use crate::refused::not_without_isolation;

/// The process's three handles and the caller's ends.
pub(super) struct Prepared {
    pub(super) process: [OwnedHandle; 3],
    pub(super) caller: Streams,
}

/// Opens what `stdio` asks for.
pub(super) fn prepare(stdio: Stdio) -> Result<Prepared> {
    let Stdio::Streams {
        stdin,
        stdout,
        stderr,
    } = stdio
    else {
        return Err(not_without_isolation("a console of its own")
            .remedy("give it streams: a console that the caller has is a stream, too"));
    };
    let failed = |error| system(Phase::Start, "open the standard streams", error);
    let mut caller = Streams::default();
    let process = [
        one(stdin, true, &mut caller.stdin).map_err(failed)?,
        one(stdout, false, &mut caller.stdout).map_err(failed)?,
        one(stderr, false, &mut caller.stderr).map_err(failed)?,
    ];
    Ok(Prepared { process, caller })
}

fn one(stream: Stream, process_reads: bool, caller: &mut Option<File>) -> io::Result<OwnedHandle> {
    match stream {
        Stream::Null => {
            let null = File::options()
                .read(process_reads)
                .write(!process_reads)
                .open("NUL");
            Ok(null?.into())
        }
        Stream::Given(file) => Ok(file.into()),
        Stream::Pipe => {
            let (reader, writer) = pipe()?;
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
