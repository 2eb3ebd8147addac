//! What `create`, `run` and `exec` share: standard streams, consoles, preserved descriptors, socket activation.

use std::env;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use hoist::foreground::{self, DRAIN_LIMIT, ForegroundIo, SignalFd, terminal_size};
use hoist_compute::{Process, Stdio};
use hoist_linux::runtime::{
    Launched, MOST_PRESERVED, count_inherited_descriptors, inherited_descriptors,
};
use hoist_spec::{ConsoleSize, oci};
use std::os::fd::AsFd;

use crate::args::{Arguments, Flag};
use crate::console::ConsoleSocket;
use crate::failure::Failure;
use crate::pid_file;

/// Flags that `create`, `run` and `exec` have in common.
pub(crate) const FLAGS: [Flag; 3] = [
    Flag::with_value(
        "console-socket",
        "PATH",
        "send the controlling side of the console to this socket",
    ),
    Flag::with_value("pid-file", "FILE", "write the process's id to this file"),
    Flag::with_value(
        "preserve-fds",
        "N",
        "hand N descriptors behind the standard streams to the process",
    ),
];

/// How many descriptors from 3 on the caller has left, where it asks for them to be handed on.
static INHERITED: OnceLock<u8> = OnceLock::new();

/// Looks what the caller has left open; to be called before anything is opened, so that no descriptor of this program's own is
/// ever taken for the caller's.
pub(crate) fn note_inherited(line: &[String]) {
    let asked = line.iter().any(|word| word.contains("preserve-fds"));
    if asked || env::var_os("LISTEN_FDS").is_some() {
        INHERITED.get_or_init(count_inherited_descriptors);
    }
}

/// How a process is to be started.
pub(crate) struct Launch {
    socket: Option<ConsoleSocket>,
    /// Its console's size, where it has a console.
    terminal: Option<ConsoleSize>,
    pid_file: Option<String>,
    descriptors: u8,
}

impl Launch {
    /// Of what was read. `detached`: nobody stays to attend to a console.
    pub(crate) fn of(
        arguments: &Arguments,
        process: &oci::Process,
        detached: bool,
    ) -> Result<Self, Failure> {
        let terminal = process.terminal().unwrap_or(false);
        let path = arguments
            .value("console-socket")
            .filter(|path| !path.is_empty());
        let socket = match (terminal && detached, path) {
            (true, Some(path)) => Some(ConsoleSocket::connect(path)?),
            (true, None) => {
                return Err(Failure::new(
                    "cannot allocate tty if runc will detach without setting console socket",
                ));
            }
            (false, Some(_)) => {
                return Err(Failure::new(
                    "cannot use console socket if runc will not detach or allocate tty",
                ));
            }
            (false, None) => None,
        };
        let preserved = arguments.number::<u8>("preserve-fds")?.unwrap_or_default();
        let descriptors = preserved.saturating_add(listen_fds()?);
        let inherited = INHERITED.get().copied().unwrap_or_default();
        if descriptors > inherited && descriptors <= MOST_PRESERVED {
            return Err(Failure::new(format!(
                "preserve-fds: {descriptors} descriptors from 3 on are asked for, and the caller has left {inherited}"
            )));
        }
        if descriptors > MOST_PRESERVED {
            return Err(Failure::new(format!(
                "preserve-fds: {descriptors} descriptors are more than the {MOST_PRESERVED} that can be handed on"
            )));
        }
        Ok(Self {
            socket,
            terminal: terminal.then(|| console_size(process)),
            pid_file: arguments
                .value("pid-file")
                .filter(|path| !path.is_empty())
                .map(str::to_owned),
            descriptors,
        })
    }

    /// How many descriptors behind the standard streams the process gets.
    pub(crate) fn preserved(&self) -> u8 {
        self.descriptors
    }

    /// Those descriptors.
    pub(crate) fn descriptors(&self) -> Result<Vec<OwnedFd>, Failure> {
        inherited_descriptors(self.descriptors).map_err(|error| {
            Failure::new(format!(
                "preserve-fds: of {} descriptors from 3 on, one is not open: {error}",
                self.descriptors
            ))
        })
    }

    /// Its standard streams: the caller's own, or a console.
    pub(crate) fn stdio(&self) -> Result<Stdio, Failure> {
        match self.terminal {
            Some(size) => Ok(Stdio::Console(size)),
            None => Ok(foreground::own_streams(true)?),
        }
    }

    /// Hands the console and the process's id to the caller.
    pub(crate) fn hand_over(&self, launched: &Launched) -> Result<(), Failure> {
        if let (Some(socket), Some(console)) = (&self.socket, &launched.console) {
            socket.send(console)?;
        }
        self.write_pid(launched.pid)
    }

    fn write_pid(&self, pid: u32) -> Result<(), Failure> {
        match &self.pid_file {
            Some(path) => pid_file::write(path, pid),
            None => Ok(()),
        }
    }

    /// Attends to a process until it has ended; its exit code, as a shell has it.
    pub(crate) fn attend(
        &self,
        process: &dyn Process,
        signals: &mut SignalFd,
    ) -> Result<u8, Failure> {
        self.write_pid(process.pid())?;
        let (input, output) = (std::io::stdin(), std::io::stdout());
        let io = match self.terminal {
            Some(_) => ForegroundIo::Console {
                input: Some(input.as_fd()),
                output: output.as_fd(),
                drain_limit: DRAIN_LIMIT,
            },
            None => ForegroundIo::Own,
        };
        let mut failures = Vec::new();
        let status = foreground::attach(process, io, Some(signals), &mut failures)?;
        Ok(status.shell_code() as u8)
    }
}

/// The size that the spec asks for, else that of the caller's terminal.
fn console_size(process: &oci::Process) -> ConsoleSize {
    let asked = process.console_size().as_ref().map(|size| ConsoleSize {
        height: u16::try_from(size.height()).unwrap_or(u16::MAX),
        width: u16::try_from(size.width()).unwrap_or(u16::MAX),
    });
    let seen = || terminal_size(std::io::stdout().as_fd());
    asked
        .filter(|size| *size != ConsoleSize::default())
        .or_else(seen)
        .unwrap_or_default()
}

/// How many descriptors a service manager hands to this program to be handed on (sd_listen_fds(3)).
fn listen_fds() -> Result<u8, Failure> {
    let Some(count) = env::var_os("LISTEN_FDS") else {
        return Ok(0);
    };
    // Those of another process are not meant.
    let own = std::process::id().to_string();
    if env::var("LISTEN_PID").is_ok_and(|pid| pid != own) {
        return Ok(0);
    }
    count
        .to_str()
        .and_then(|count| count.parse().ok())
        .ok_or_else(|| {
            Failure::new(format!(
                "LISTEN_FDS is {count:?}, and no number of descriptors"
            ))
        })
}

/// Tells a process of the descriptors that a service manager hands to it.
pub(crate) fn announce_descriptors(process: &mut oci::Process) -> Result<(), Failure> {
    let count = listen_fds()?;
    if count > 0 {
        let mut environment = process.env().clone().unwrap_or_default();
        environment.extend([format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()]);
        process.set_env(Some(environment));
    }
    Ok(())
}
