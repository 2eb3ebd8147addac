//! Processes of a container that this program has started, or whose end it has to see to.

use std::{
    os::windows::io::AsHandle,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hoist_compute::{
    Error, ErrorKind, ExitStatus, Phase, Process as ComputeProcess, Readiness, Result, Streams,
};
use hoist_spec::{ConsoleSize, Signal};
use hoist_windows::{error::system, streams::CallerEnds};

use super::{
    console::{self, Console},
    record::Started,
    run::{Run, until_empty},
    streams::Carried,
    sys::{Job, KILLED, Process, Watch, Woken},
};

/// A process, held until its end has been dealt with, whether or not the caller holds it.
pub(super) struct Watched {
    pub(super) process: Process,
    /// The container's.
    job: Arc<Job>,
    /// Its own, where it is confined.
    own: Option<Job>,
    /// The run of the container that it is of.
    run: Run,
    /// The exec that it is, where it is one with an id.
    exec: Option<Run>,
    /// The first process of the run, where it is not that itself.
    first: Option<Arc<Watched>>,
    console: console::Place,
    /// Its streams, as far as something is copied; the caller's own ends are the caller's.
    ends: CallerEnds,
    forced: AtomicBool,
    timed_out: AtomicBool,
    status: Mutex<Option<ExitStatus>>,
}

impl Watched {
    /// The first process of a run.
    pub(super) fn first(process: Process, job: Arc<Job>, run: Run) -> Self {
        Self {
            process,
            job,
            own: None,
            run,
            exec: None,
            first: None,
            console: console::Place::default(),
            ends: CallerEnds::default(),
            forced: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            status: Mutex::default(),
        }
    }

    /// A further one beside that, with a job of its own where it is confined.
    pub(super) fn further(
        process: Process,
        own: Option<Job>,
        exec: Option<Run>,
        first: &Arc<Self>,
    ) -> Self {
        Self {
            own,
            exec,
            first: Some(Arc::clone(first)),
            ..Self::first(process, Arc::clone(&first.job), first.run.clone())
        }
    }

    /// It has this console of its own, or none, and these ends of its streams are the caller's.
    pub(super) fn on(self, console: Option<Console>, ends: CallerEnds) -> Self {
        Self {
            console: console::Place::of(console),
            ends,
            ..self
        }
    }

    /// Has what is carried copied from now on.
    pub(super) fn connect(&self, carried: Option<Carried>) -> Result<()> {
        let Some(Carried { stdio, carriers }) = carried else {
            return Ok(());
        };
        self.ends
            .connect(stdio, carriers, |pipe| Box::new(pipe), || {})
            .map_err(|error| system(Phase::Start, "connect the standard streams", error))
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

    /// Records that it is its exec's process, which from now on keeps the job of that name itself.
    pub(super) fn record_exec(&self, job: String) -> Result<()> {
        let (Some(exec), Some(own)) = (&self.exec, &self.own) else {
            return Ok(());
        };
        let failed = |error| system(Phase::Start, format!("start {}", exec.what()), error);
        own.lend_to(self.process.as_handle()).map_err(failed)?;
        let created = self.process.times().map_err(failed)?.created;
        let started = Started::now(self.process.pid, created, job, self.run.number);
        exec.record.write_started(exec.number, &started)
    }

    /// Ends one whose start has failed, with whatever it has started meanwhile.
    pub(super) fn end_unstarted(&self) -> std::io::Result<()> {
        self.ends.end();
        match &self.own {
            Some(own) => own.end(),
            None => self.process.end(),
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
        let recorded = match (&self.exec, &self.first) {
            (Some(exec), _) => Some(exec),
            (None, None) => Some(&self.run),
            (None, Some(_)) => None,
        };
        // Without a record others will not know, and those who wait here still do.
        if let Some(run) = recorded
            && let Ok(recorded) = run.record.write_exit(run.number, &status)
        {
            status = recorded;
        }
        match (&self.first, &self.exec, &self.own) {
            // Who ends the container is told what stays.
            (None, ..) => drop(self.job.end()),
            (Some(first), Some(_), Some(own)) => keep(own, first),
            _ => {}
        }
        self.ends.end();
        *known = Some(status.clone());
        Ok(status)
    }

    /// It was ended by force, or with its container.
    fn is_forced(&self) -> bool {
        self.forced.load(Ordering::Acquire)
            || self.exec.as_ref().is_some_and(Run::is_forced)
            || match self.first {
                None => self.run.is_forced(),
                Some(_) => self.run.takes_along(),
            }
    }

    /// From now on its end is one by force, for whoever sees it.
    fn force(&self) {
        self.forced.store(true, Ordering::Release);
        if let Some(exec) = &self.exec {
            // Then only those who see it from elsewhere do not know.
            let _ = exec.record.mark("forced", exec.number);
        }
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
        self.force();
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
            if let Some(exec) = &self.exec {
                // Then only those who see it from elsewhere do not know.
                let _ = exec.record.mark("timed-out", exec.number);
            }
            // Who waits for it sees whether it has ended.
            let _ = self.end();
            let _ = self.watch(None);
        } else {
            // It is told to whoever waits for it.
            let _ = self.finish();
            // Not where it is waited for: the pool has further threads.
            self.console.close();
        }
    }
}

/// Has the first process keep the job of an exec that has left something behind.
fn keep(own: &Job, first: &Watched) {
    let is_left = own.process_ids().is_ok_and(|left| !left.is_empty());
    if is_left {
        // Else it is one of the container's processes, and no more; it may also have ended with that.
        let _ = own.lend_to(first.process.as_handle());
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
    pub(super) fn new(watched: Arc<Watched>) -> Self {
        Self {
            // What the caller does not take goes with this, and not with the process.
            streams: Mutex::new(watched.ends.take()),
            watched,
        }
    }

    fn ended(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        let what = self.watched.what();
        let ended = self.watched.process.wait(timeout);
        match ended.map_err(|error| system(Phase::Operate, format!("wait for {what}"), error))? {
            true => self.watched.finish(),
            false => Err(timed_out(&what)),
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
        let begun = Instant::now();
        let status = self.ended(timeout)?;
        let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
        self.watched.ends.wait_copied(left);
        Ok(status)
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
        watched.force();
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
        self.ended(None).map(drop)
    }

    fn resize_console(&self, size: ConsoleSize) -> Result<()> {
        self.watched.refuse_ended("resize the console of")?;
        self.watched.console.resize(&self.watched.what(), size)
    }

    fn close_stdin(&self) -> Result<()> {
        self.streams().stdin = None;
        Ok(())
    }
}
