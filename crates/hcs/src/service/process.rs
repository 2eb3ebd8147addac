//! A process that this program has started.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hoist_compute::{Error, ErrorKind, ExitStatus, Phase, Process, Readiness, Result, Streams};
use hoist_spec::{ConsoleSize, Signal};

use hoist_windows::streams::CallerEnds;

use super::{ended::Ended, exec, failure, record::Record, servicing, signal};
use crate::calls::{
    CallError, CallResult, Calls, HcsCalls, HcsExports, HcsProcessHandle, HcsSystemHandle,
};

/// A process, and what becomes of it. The keeper of ends holds it until its end is known, whether or not the caller does.
pub(super) struct Watched<E: HcsExports> {
    pub(super) calls: Arc<HcsCalls<E>>,
    pub(super) system: HcsSystemHandle<E>,
    pub(super) process: HcsProcessHandle<E>,
    pub(super) pid: u32,
    pub(super) about: About,
    pub(super) ends: CallerEnds,
    pub(super) ended: Ended,
    forced: AtomicBool,
    /// One at a time finds out how it ended.
    finding: Mutex<()>,
}

/// What a process is.
pub(super) struct About {
    pub(super) container: Record,
    /// The container's run.
    pub(super) run: u64,
    pub(super) kind: Kind,
    pub(super) has_console: bool,
    /// Its system tells of updates that it has left.
    pub(super) tells_updates: bool,
}

pub(super) enum Kind {
    /// The container's first process.
    First,
    /// A further one of which nothing is recorded.
    Further,
    /// A further one that is this exec's.
    Exec(Record),
}

impl About {
    pub(super) fn is_first(&self) -> bool {
        matches!(self.kind, Kind::First)
    }

    /// Where its end is recorded.
    fn recorded(&self) -> Option<(&Record, u64)> {
        match &self.kind {
            Kind::First => Some((&self.container, self.run)),
            Kind::Further => None,
            Kind::Exec(record) => Some((record, exec::RUN)),
        }
    }
}

impl<E: HcsExports> Watched<E> {
    pub(super) fn new(
        calls: Arc<HcsCalls<E>>,
        system: HcsSystemHandle<E>,
        process: HcsProcessHandle<E>,
        pid: u32,
        about: About,
        ended: Ended,
    ) -> Self {
        Self {
            calls,
            system,
            process,
            pid,
            about,
            ends: CallerEnds::default(),
            ended,
            forced: AtomicBool::new(false),
            finding: Mutex::default(),
        }
    }

    /// It was ended by force, or with its container.
    fn is_forced(&self) -> bool {
        let About { container, run, .. } = &self.about;
        let by_itself = || {
            let recorded = self.about.recorded();
            recorded.is_some_and(|(record, run)| record.is_marked("forced", run))
        };
        let with_container = || {
            container.is_marked("forced", *run)
                || (!self.about.is_first() && matches!(container.exit(*run), Ok(Some(_))))
        };
        self.forced.load(Ordering::Acquire) || by_itself() || with_container()
    }

    /// Finds out how it has ended, and records that where it is the first process or an exec's. `None` where it has not ended.
    pub(super) fn find_end(&self) -> Option<ExitStatus> {
        let _one = self
            .finding
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(status) = self.ended.status() {
            return Some(status);
        }
        let code = match self.calls.process_status(&self.process) {
            // Whatever was notified: it knows best itself.
            Ok(status) if !status.exited => return None,
            Ok(status) => self.calls.code_of(status),
            Err(error) if error.is_gone() || self.process.has_exited() => Err(error),
            Err(_) => return None,
        };
        let status = status(code, self.is_forced());
        if self.about.is_first() && self.about.tells_updates && status.code == Some(0) {
            let About { container, run, .. } = &self.about;
            // Where nothing can be written there, the run's end is not recorded either.
            let _ = servicing::record_pending(&*self.calls, &self.system, container, *run);
        }
        // Without a record others will not know, and those who wait here still do.
        let recorded = self
            .about
            .recorded()
            .and_then(|(record, run)| record.write_exit(run, &status).ok());
        Some(recorded.unwrap_or(status))
    }

    /// Ends it by force.
    fn end(&self) -> Result<()> {
        if self.find_end().is_some() {
            return Ok(());
        }
        if let Some((record, run)) = self.about.recorded() {
            record.mark("forced", run)?;
        }
        self.forced.store(true, Ordering::Release);
        match self.calls.terminate_process(&self.system, &self.process) {
            Err(error) if !error.is_gone() => {
                // What ends later ends by itself.
                self.forced.store(false, Ordering::Release);
                if let Some((record, run)) = self.about.recorded() {
                    record.unmark("forced", run);
                }
                Err(self.failed(error, "end"))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, error: CallError, verb: &str) -> Error {
        let operation = format!("{verb} process {}", self.pid);
        if error.is_gone() {
            return failure::invalid_state(self.about.container.id(), Phase::Operate, &operation)
                .because(error);
        }
        error
            .into_error(Phase::Operate, operation)
            .about(self.pid.to_string())
    }

    fn refuse_ended(&self, verb: &str) -> Result<()> {
        if self.ended.status().is_none() && self.find_end().is_none() {
            return Ok(());
        }
        Err(failure::invalid_state(
            self.about.container.id(),
            Phase::Operate,
            &format!("{verb} process {}, which has ended", self.pid),
        ))
    }
}

/// How it ended. What ends after it was ended by force is told as that: the service gives it a code like any other.
pub(super) fn status(code: CallResult<i32>, forced: bool) -> ExitStatus {
    if forced {
        return ExitStatus::signalled(Signal::KILL);
    }
    match code {
        Ok(code) => ExitStatus::exited(code),
        Err(error) => ExitStatus::unknown(format!("the exit code was lost: {error}")),
    }
}

/// The contract's process.
pub(super) struct HcsProcess<E: HcsExports>(pub(super) Arc<Watched<E>>);

impl<E: HcsExports> Process for HcsProcess<E> {
    fn pid(&self) -> u32 {
        self.0.pid
    }

    fn take_streams(&self) -> Streams {
        self.0.ends.take()
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.0.ended.wait(timeout).ok_or_else(|| {
            Error::new(
                ErrorKind::Timeout,
                Phase::Operate,
                format!("wait for process {}", self.0.pid),
            )
            .about(self.0.pid.to_string())
        })
    }

    fn readiness(&self) -> Readiness<'_> {
        self.0.ended.readiness()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.0.refuse_ended("signal")?;
        if signal == Signal::KILL {
            return self.0.end();
        }
        let options = signal::options(signal)?;
        self.0
            .calls
            .signal_process(&self.0.process, &options)
            .map_err(|error| self.0.failed(error, "signal"))
    }

    fn terminate(&self) -> Result<()> {
        self.0.end()?;
        self.wait(None).map(drop)
    }

    fn resize_console(&self, size: ConsoleSize) -> Result<()> {
        if !self.0.about.has_console {
            return Err(failure::invalid_state(
                self.0.about.container.id(),
                Phase::Operate,
                &format!(
                    "resize the console of process {}, which has none",
                    self.0.pid
                ),
            ));
        }
        self.0
            .calls
            .resize_console(&self.0.system, &self.0.process, size)
            .map_err(|error| self.0.failed(error, "resize the console of"))
    }

    fn close_stdin(&self) -> Result<()> {
        self.0.ends.close_stdin();
        Ok(())
    }
}
