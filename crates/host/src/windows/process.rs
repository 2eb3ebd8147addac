//! Processes of a container that this program has started, or whose end it has to see to.

use std::{
    os::windows::io::AsHandle,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hoist_compute::{
    Error, ErrorKind, ExitStatus, Phase, Process as ComputeProcess, Readiness, Result, Streams,
};
use hoist_spec::{ConsoleSize, Signal};
use hoist_windows::{error::system, records::Record};

use super::sys::{Job, KILLED, Process, Watch, Woken};
use super::system::until_empty;

/// A process, held until its end has been dealt with, whether or not the caller holds it.
pub(super) struct Watched {
    pub(super) process: Process,
    /// The container's.
    job: Arc<Job>,
    /// Its own, where it is confined.
    own: Option<Job>,
    record: Record,
    run: u64,
    is_first: bool,
    forced: AtomicBool,
    timed_out: AtomicBool,
    status: Mutex<Option<ExitStatus>>,
}

impl Watched {
    /// The first process of a run.
    pub(super) fn first(process: Process, job: Arc<Job>, record: Record, run: u64) -> Self {
        Self {
            process,
            job,
            own: None,
            record,
            run,
            is_first: true,
            forced: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            status: Mutex::default(),
        }
    }

    /// A further one beside that, with a job of its own where it is confined.
    pub(super) fn further(process: Process, own: Option<Job>, first: &Self) -> Self {
        Self {
            own,
            is_first: false,
            ..Self::first(
                process,
                Arc::clone(&first.job),
                first.record.clone(),
                first.run,
            )
        }
    }

    /// Puts it into its own job, where it has one.
    pub(super) fn assign_own(&self) -> Result<()> {
        match &self.own {
            Some(own) => own.assign(self.process.as_handle()).map_err(|error| {
                let operation = format!("put {} into a job of its own", self.what());
                system(Phase::Start, operation, error)
            }),
            None => Ok(()),
        }
    }

    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Has its end dealt with whenever it comes, and it ended when its time is over.
    pub(super) fn watch(self: &Arc<Self>, time: Option<Duration>) -> Result<()> {
        Watch::register(self.process.as_handle(), time, self)
            .map_err(|error| system(Phase::Start, "watch the process", error))
    }

    pub(super) fn what(&self) -> String {
        format!("process {}", self.process.pid)
    }

    fn known(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells how it has ended, once it has: that is recorded, and what the first process leaves behind ends.
    fn finish(&self) -> Result<ExitStatus> {
        let mut known = self.known();
        if let Some(status) = &*known {
            return Ok(status.clone());
        }
        let mut status = match self.process.code() {
            Ok(KILLED) if self.is_forced() => ExitStatus::signalled(Signal::KILL),
            Ok(code) => ExitStatus::exited(code.cast_signed()),
            Err(error) => ExitStatus::unknown(format!("the exit code was lost: {error}")),
        };
        status.timed_out =
            status.signal == Some(Signal::KILL) && self.timed_out.load(Ordering::Acquire);
        if self.is_first {
            // Without a record others will not know, and those who wait here still do.
            if let Ok(recorded) = self.record.write_exit(self.run, &status) {
                status = recorded;
            }
            // Who ends the container is told what stays.
            let _ = self.job.end();
        }
        *known = Some(status.clone());
        Ok(status)
    }

    /// It was ended by force, or with its container.
    fn is_forced(&self) -> bool {
        self.forced.load(Ordering::Acquire)
            || self.record.is_marked("forced", self.run)
            || (!self.is_first && !matches!(self.record.exit(self.run), Ok(None)))
            || !self.record.exists()
    }

    fn refuse_ended(&self, verb: &str) -> Result<()> {
        let has_ended = self.process.has_ended();
        match has_ended
            .map_err(|error| system(Phase::Operate, format!("{verb} {}", self.what()), error))?
        {
            true => Err(invalid_state(
                format!("{verb} {}", self.what()),
                "it has ended",
            )),
            false => Ok(()),
        }
    }

    /// Ends it, with all it has started where that is known.
    pub(super) fn end(&self) -> Result<()> {
        let failed = |error| system(Phase::Operate, format!("end {}", self.what()), error);
        self.forced.store(true, Ordering::Release);
        match &self.own {
            Some(own) => {
                own.end().map_err(failed)?;
                until_empty(own, &self.what())
            }
            None => match self.process.end() {
                // One that has ended cannot be ended.
                Err(error) if !self.process.has_ended().map_err(failed)? => Err(failed(error)),
                _ => Ok(()),
            },
        }
    }
}

impl Woken for Watched {
    fn woken(self: Arc<Self>, by_time: bool) {
        if by_time {
            self.timed_out.store(true, Ordering::Release);
            // Who waits for it sees whether it has ended.
            let _ = self.end();
            let _ = self.watch(None);
        } else {
            // It is told to whoever waits for it.
            let _ = self.finish();
        }
    }
}

/// Sends a process what comes nearest to a signal: an end by force, or Ctrl+Break for those that ask to end.
pub(super) fn signal(process: &Process, what: &str, signal: Signal) -> Result<()> {
    let operation = || format!("send {signal} to {what}");
    let asks = matches!(signal.number(), 1 | 2 | 3 | 15);
    if !asks {
        return Err(
            Error::new(ErrorKind::Unsupported, Phase::Operate, operation())
                .about(signal.to_string())
                .remedy("use HUP, INT, QUIT, TERM or KILL"),
        );
    }
    process.send_break().map_err(|error| {
        Error::new(ErrorKind::Unsupported, Phase::Operate, operation())
            .because(error)
            .remedy("it has another console than the caller: end it by force")
    })
}

pub(super) fn invalid_state(operation: String, why: &str) -> Error {
    Error::new(ErrorKind::InvalidState, Phase::Operate, operation).because(why.to_owned())
}

pub(super) fn timed_out(what: &str) -> Error {
    let operation = format!("wait for {what}: it has not ended in time");
    Error::new(ErrorKind::Timeout, Phase::Operate, operation)
}

/// The contract's process.
pub(super) struct HostProcess {
    watched: Arc<Watched>,
    streams: Mutex<Streams>,
}

impl HostProcess {
    pub(super) fn new(watched: Arc<Watched>, streams: Streams) -> Self {
        Self {
            watched,
            streams: Mutex::new(streams),
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ComputeProcess for HostProcess {
    fn pid(&self) -> u32 {
        self.watched.process.pid
    }

    fn take_streams(&self) -> Streams {
        std::mem::take(&mut *self.streams())
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        let what = self.watched.what();
        let ended = self.watched.process.wait(timeout);
        match ended.map_err(|error| system(Phase::Operate, format!("wait for {what}"), error))? {
            true => self.watched.finish(),
            false => Err(timed_out(&what)),
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        self.watched.process.as_handle()
    }

    fn signal(&self, given: Signal) -> Result<()> {
        let watched = &self.watched;
        watched.refuse_ended("signal")?;
        if given != Signal::KILL {
            return signal(&watched.process, &watched.what(), given);
        }
        watched.forced.store(true, Ordering::Release);
        match watched.process.end() {
            Err(error) => {
                watched.refuse_ended("signal")?;
                Err(system(
                    Phase::Operate,
                    format!("end {}", watched.what()),
                    error,
                ))
            }
            Ok(()) => Ok(()),
        }
    }

    fn terminate(&self) -> Result<()> {
        self.watched.end()?;
        self.wait(None).map(drop)
    }

    fn resize_console(&self, _size: ConsoleSize) -> Result<()> {
        Err(invalid_state(
            format!("resize the console of {}", self.watched.what()),
            "it has none",
        ))
    }

    fn close_stdin(&self) -> Result<()> {
        self.streams().stdin = None;
        Ok(())
    }
}
