//! Standard streams of a process to be started: what it gets, and what its caller keeps.

use std::{fs::File, io, os::windows::io::OwnedHandle};

use hoist_compute::{Error, ErrorKind, Phase, Result, Stdio, Stream, Streams};
use hoist_spec::{ConsoleSize, ContainerId};
use hoist_windows::{
    error::system,
    named_pipe::{Pair, is_taken, pair},
    pipe::pipe,
    pipe_names::{ExecId, PipeName, PipeSpace, StandardStream},
    streams::{CallerEnds, Carriers, is_carried},
};

use super::console::Console;

/// What the process gets, and the caller's ends.
pub(super) struct Prepared {
    pub(super) process: ForProcess,
    pub(super) caller: CallerEnds,
    pub(super) carried: Option<Carried>,
}

/// What a process gets.
pub(super) enum ForProcess {
    Handles([OwnedHandle; 3]),
    Console(Console),
}

/// What is to be copied for the caller, once there is a process.
pub(super) struct Carried {
    pub(super) stdio: Stdio,
    pub(super) carriers: Carriers,
}

/// Which named pipes carry the streams of a process: each further one has a fresh id.
pub(super) struct PipeNames {
    container: ContainerId,
    further: Option<ExecId>,
}

impl PipeNames {
    pub(super) fn new(container: ContainerId, is_further: bool) -> Self {
        Self {
            container,
            further: is_further.then(ExecId::fresh),
        }
    }

    /// Makes the pipe of a stream, and opens it for the process.
    fn pair(&self, stream: StandardStream) -> Result<Pair> {
        let id = self.container.as_str();
        let name = PipeName::of(PipeSpace::Machine, id, self.further.as_ref(), stream);
        pair(&name, stream).map_err(|error| not_made(&name.server, error))
    }
}

fn not_made(name: &str, error: io::Error) -> Error {
    let operation = format!("make the pipe {name}");
    if !is_taken(&error) {
        return system(Phase::Start, operation, error).about(name);
    }
    Error::new(ErrorKind::AlreadyExists, Phase::Start, operation)
        .about(name)
        .because(error)
        .remedy("another process has a pipe of this name: end that, or let go of the streams of the run before")
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

/// Opens what `stdio` asks for: handles that the process inherits, or where there are `names` pipes of these.
pub(super) fn prepare(stdio: Stdio, names: Option<&PipeNames>) -> Result<Prepared> {
    match names {
        Some(names) => carried(stdio, names),
        None => direct(stdio),
    }
}

fn failed(error: io::Error) -> Error {
    system(Phase::Start, "open the standard streams", error)
}

fn direct(stdio: Stdio) -> Result<Prepared> {
    let mut caller = Streams::default();
    let process = match stdio {
        Stdio::Console(size) => {
            let (input, own_input) = pipe().map_err(failed)?;
            let (own_output, output) = pipe().map_err(failed)?;
            let console = Console::new(size, input, output, &own_input)?;
            caller.stdin = Some(own_input.into());
            caller.stdout = Some(own_output.into());
            ForProcess::Console(console)
        }
        Stdio::Streams {
            stdin,
            stdout,
            stderr,
        } => ForProcess::Handles([
            one(stdin, true, &mut caller.stdin).map_err(failed)?,
            one(stdout, false, &mut caller.stdout).map_err(failed)?,
            one(stderr, false, &mut caller.stderr).map_err(failed)?,
        ]),
    };
    Ok(Prepared {
        process,
        caller: caller.into(),
        carried: None,
    })
}

fn one(stream: Stream, process_reads: bool, caller: &mut Option<File>) -> io::Result<OwnedHandle> {
    match stream {
        Stream::Null => null(process_reads),
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

fn null(process_reads: bool) -> io::Result<OwnedHandle> {
    let null = File::options()
        .read(process_reads)
        .write(!process_reads)
        .open("NUL");
    Ok(null?.into())
}

fn carried(stdio: Stdio, names: &PipeNames) -> Result<Prepared> {
    let mut carriers = Carriers::default();
    let mut client = |stream| {
        if !is_carried(&stdio, stream) {
            return null(stream == StandardStream::Input).map_err(failed);
        }
        let Pair { server, client } = names.pair(stream)?;
        *carriers.place(stream) = Some(server);
        Ok(client.into())
    };
    let clients = [
        client(StandardStream::Input)?,
        client(StandardStream::Output)?,
        client(StandardStream::Error)?,
    ];
    let process = match stdio {
        Stdio::Console(size) => ForProcess::Console(on_console(size, &clients, &carriers)?),
        Stdio::Streams { .. } => ForProcess::Handles(clients),
    };
    Ok(Prepared {
        process,
        caller: CallerEnds::default(),
        carried: Some(Carried { stdio, carriers }),
    })
}

fn on_console(
    size: ConsoleSize,
    [input, output, _]: &[OwnedHandle; 3],
    carriers: &Carriers,
) -> Result<Console> {
    match &carriers.stdin {
        Some(writer) => Console::new(size, input, output, writer),
        None => Err(failed(io::ErrorKind::NotConnected.into())),
    }
}
