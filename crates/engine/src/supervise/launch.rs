//! Starting a supervisor.

use std::{
    ffi::OsString,
    fs::File,
    path::PathBuf,
    process::{Command, Stdio},
};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};

use super::{Connection, Packet, socket, wire::LaunchRequest};

/// The program that becomes a supervisor: one that calls [`serve`](super::serve) first thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// The program; a command that has such a mode gives itself, `/proc/self/exe`.
    pub program: PathBuf,
    /// Its arguments; the container's id follows, for those who look at a list of processes.
    pub arguments: Vec<OsString>,
}

/// Enough for one system call.
const WAITER_STACK: usize = 32 * 1024;

/// How glibc's allocator works in a supervisor (GNU C library manual, "Memory Allocation Tunables"): one arena, and no freed blocks
/// kept by a thread.
///
/// Execs are started in threads, and what is made there is freed by the main thread, which would keep up to seven blocks of each
/// size: some more after every exec, in pages that malloc_trim(3) cannot give back.
const ALLOCATOR: &str = "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0";

/// What is to be launched.
pub(crate) type Launch = LaunchRequest;

/// A supervisor whose container runs.
pub(crate) struct Launched {
    /// The container's process.
    pub(crate) pid: u32,
    pub(crate) connection: Connection,
}

impl Launcher {
    /// Starts a supervisor; returns when the container's program was executed. An error is the supervisor's own.
    pub(crate) fn launch(&self, request: Launch) -> Result<Launched> {
        let failed = |error: std::io::Error| {
            let made = Error::new(ErrorKind::System, Phase::Start, "start the supervisor")
                .about(self.program.display().to_string());
            match error.raw_os_error() {
                Some(errno) => made.code(OsCode::Errno(errno)),
                None => made.because(error),
            }
        };
        let (own, other) = socket::pair().map_err(failed)?;
        let mut connection = Connection::new(own);
        let id = request.id.clone();
        let packet = Packet::Launch(request);
        connection.send(&packet).map_err(failed)?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(id.as_str())
            .env_clear()
            // The helpers that an ordinary user's containers need are looked for along it: newuidmap, fuse-overlayfs.
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("GLIBC_TUNABLES", ALLOCATOR)
            .stdin(File::from(other))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let answer = match connection.receive().map_err(failed)? {
            Some(Packet::Started(pid)) => Ok(pid),
            Some(Packet::Failed(error)) => Err(Error::from_json(error)),
            Some(_) | None => Err(None),
        };
        match answer {
            Ok(pid) => {
                // A program that lives on must not be left with a zombie. Without a thread it will be: that harms nobody.
                let _ = std::thread::Builder::new()
                    .stack_size(WAITER_STACK)
                    .spawn(move || child.wait());
                Ok(Launched { pid, connection })
            }
            Err(error) => {
                // It ends by itself; where this program lives on, it leaves no zombie.
                let ended = child.wait().map_err(failed)?;
                Err(error.unwrap_or_else(|| {
                    failed(std::io::Error::other(format!(
                        "it ended unexpectedly ({ended})"
                    )))
                }))
            }
        }
    }
}
