//! A process that this program has started.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, ExitStatus, Phase, Process, Readiness, Result, Streams};
use hoist_init::wire::KeptEnd;
use hoist_spec::{ConsoleSize, Signal};

use super::launch::{Launched, set_size};
use super::record::{Released, system};
use super::run::{self, Run, Seen, timed_out, wait_for};

/// The contract's process.
pub(crate) struct HostProcess {
    run: Run,
    released: Released,
    told: OwnedFd,
    status: Mutex<Option<ExitStatus>>,
    streams: Mutex<Streams>,
    console: Option<OwnedFd>,
    /// It is ended with all that it has started.
    is_confined: bool,
}

impl HostProcess {
    pub(crate) fn new(run: Run, launched: Launched, is_confined: bool) -> Result<Self> {
        let console = launched.streams.console.as_ref();
        let console = console
            .map(|console| console.as_fd().try_clone_to_owned())
            .transpose()
            .map_err(|error| system("duplicate a descriptor", error))?;
        Ok(Self {
            run,
            released: launched.released,
            told: launched.told,
            status: Mutex::default(),
            streams: Mutex::new(launched.streams),
            console,
            is_confined,
        })
    }

    fn what(&self) -> String {
        format!("process {}", self.released.process.pid)
    }

    fn status(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn has_ended(&self) -> Result<bool> {
        match self.wait(Some(Duration::ZERO)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Timeout => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the keeper has told; where it was killed, what others are told.
    fn read_status(&self) -> Result<ExitStatus> {
        let mut bytes = [0; KeptEnd::LENGTH];
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&self.told, &mut bytes))
            .map_err(|errno| system(format!("wait for {}", self.what()), errno.into()))?;
        if let Some(end) = KeptEnd::from_bytes(&bytes[..count]) {
            return Ok(run::status(end));
        }
        // Its pipe closes a moment before it has ended.
        if let Some(keeper) = run::open(&self.released, self.released.keeper)? {
            wait_for(keeper.as_fd(), None)?;
        }
        Ok(match self.run.look() {
            Ok(Seen::Stopped(_, status)) => status,
            _ => ExitStatus::unknown("its keeper was lost"),
        })
    }
}

impl Process for HostProcess {
    fn pid(&self) -> u32 {
        self.released.process.pid
    }

    fn take_streams(&self) -> Streams {
        std::mem::take(
            &mut *self
                .streams
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        if let Some(status) = &*self.status() {
            return Ok(status.clone());
        }
        if !wait_for(self.told.as_fd(), timeout)? {
            return Err(timed_out(&self.what()));
        }
        // Of many who wait, the first reads.
        let mut known = self.status();
        if let Some(status) = &*known {
            return Ok(status.clone());
        }
        let status = self.read_status()?;
        *known = Some(status.clone());
        Ok(status)
    }

    fn readiness(&self) -> Readiness<'_> {
        self.told.as_fd()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if self.has_ended()? {
            let operation = format!("signal {}", self.what());
            return Err(run::invalid_state(operation, "it has ended"));
        }
        self.run.signal(&self.what(), signal)
    }

    fn terminate(&self) -> Result<()> {
        if self.is_confined {
            run::end_keeper(self.released.keeper)?;
        } else {
            match self.signal(Signal::KILL) {
                Err(error) if error.kind() != ErrorKind::InvalidState => return Err(error),
                _ => {}
            }
        }
        self.wait(None).map(drop)
    }

    fn resize_console(&self, size: ConsoleSize) -> Result<()> {
        let console = self
            .console
            .as_ref()
            .filter(|_| matches!(self.has_ended(), Ok(false)));
        let console = console.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidState,
                Phase::Operate,
                "resize the console: there is none, or it has ended",
            )
        })?;
        set_size(console.as_fd(), size).map_err(|error| system("resize the console", error))
    }

    fn close_stdin(&self) -> Result<()> {
        let mut streams = self
            .streams
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        streams.stdin = None;
        Ok(())
    }
}
