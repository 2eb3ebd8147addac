//! Standard streams of a process to be started: what it gets, and what its caller keeps.

use std::{fs::File, io, os::windows::io::OwnedHandle};

use hoist_compute::{Phase, Result, Stdio, Stream, Streams};
use hoist_windows::error::system;

use super::{console::Console, sys::pipe};

/// What the process gets, and the caller's ends.
pub(super) struct Prepared {
    pub(super) process: ForProcess,
    pub(super) caller: Streams,
}

/// What a process gets.
pub(super) enum ForProcess {
    Handles([OwnedHandle; 3]),
    Console(Console),
}

impl ForProcess {
    /// What stays open for as long as the process runs.
    pub(super) fn into_console(self) -> Option<Console> {
        match self {
            Self::Handles(_) => None,
            Self::Console(console) => Some(console),
        }
    }
}

/// Opens what `stdio` asks for.
pub(super) fn prepare(stdio: Stdio) -> Result<Prepared> {
    let (stdin, stdout, stderr) = match stdio {
        Stdio::Streams {
            stdin,
            stdout,
            stderr,
        } => (stdin, stdout, stderr),
        Stdio::Console(size) => {
            let (console, caller) = Console::new(size)?;
            return Ok(Prepared {
                process: ForProcess::Console(console),
                caller,
            });
        }
    };
    let failed = |error| system(Phase::Start, "open the standard streams", error);
    let mut caller = Streams::default();
    let process = [
        one(stdin, true, &mut caller.stdin).map_err(failed)?,
        one(stdout, false, &mut caller.stdout).map_err(failed)?,
        one(stderr, false, &mut caller.stderr).map_err(failed)?,
    ];
    Ok(Prepared {
        process: ForProcess::Handles(process),
        caller,
    })
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
