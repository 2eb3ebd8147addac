//! One run of a container, or an exec: what is recorded of it, and its first process as that is now.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use hoist_compute::{
    Error, ErrorKind, ExitStatus, Phase, Properties, Query, Result, State, Timestamp,
};
use hoist_spec::{Signal, oci};
use hoist_windows::{command_line, error::system, records::Record};

use super::{
    members,
    process::{invalid_state, timed_out},
    record::Started,
    sys::{Job, KILLED, Process},
};

/// How long an end by force may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether it was started.
const UNTIL_STARTED: Duration = Duration::from_millis(10);
/// How often it is looked whether a job is empty.
const UNTIL_EMPTY: Duration = Duration::from_millis(1);

/// What was found.
pub(super) type Seen = hoist_windows::seen::Seen<Started, Process>;

/// Waits until nothing runs in a job that was ended.
pub(super) fn until_empty(job: &Job, what: &str) -> Result<()> {
    let failed = |error| system(Phase::Operate, format!("end {what}"), error);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = job.process_ids().map_err(failed)?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let left: Vec<String> = left.iter().map(u32::to_string).collect();
            return Err(Error::new(
                ErrorKind::Unkillable,
                Phase::Operate,
                format!("end {what}: the processes {} stay", left.join(", ")),
            )
            .remedy("they wait inside the kernel: end what they wait for"));
        }
        thread::sleep(UNTIL_EMPTY);
    }
}

/// A run by its number; the only one of an exec is 0.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) record: Record,
    pub(super) number: u64,
    /// Whose exec it is.
    container: Option<Record>,
}

impl Run {
    /// One of a container.
    pub(super) fn of_container(record: &Record, number: u64) -> Self {
        Self {
            record: record.clone(),
            number,
            container: None,
        }
    }

    /// The one of an exec.
    pub(super) fn of_exec(record: &Record, container: &Record) -> Self {
        Self {
            record: record.clone(),
            number: 0,
            container: Some(container.clone()),
        }
    }

    pub(super) fn what(&self) -> String {
        self.record.what()
    }

    pub(super) fn failed(&self, verb: &str) -> impl Fn(io::Error) -> Error {
        let operation = format!("{verb} {}", self.what());
        move |error| system(Phase::Operate, operation.clone(), error)
    }

    pub(super) fn wrong_state(&self, verb: &str, state: State) -> Error {
        invalid_state(format!("{verb} {}", self.what()), &format!("it is {state}"))
            .about(self.record.id().as_str())
    }

    /// It was ended by force, or is there no more.
    pub(super) fn is_forced(&self) -> bool {
        self.record.is_marked("forced", self.number) || !self.record.exists()
    }

    /// All that runs in it was or will be ended with it.
    pub(super) fn takes_along(&self) -> bool {
        self.is_forced() || !matches!(self.record.exit(self.number), Ok(None))
    }

    /// The run of the container that it is, or is in.
    fn outer(&self, started: &Started) -> Self {
        match &self.container {
            Some(container) => Self::of_container(container, started.container_run),
            None => self.clone(),
        }
    }

    /// How a process of it has ended, by its code.
    pub(super) fn status(&self, started: &Started, code: u32) -> ExitStatus {
        let outer = || self.container.is_some() && self.outer(started).takes_along();
        if code != KILLED || !(self.is_forced() || outer()) {
            return ExitStatus::exited(code.cast_signed());
        }
        let mut status = ExitStatus::signalled(Signal::KILL);
        status.timed_out = self.record.is_marked("timed-out", self.number);
        status
    }

    pub(super) fn look(&self) -> Result<Seen> {
        let started = self.record.started::<Started>(self.number)?;
        if let Some(status) = self.record.exit(self.number)? {
            return Ok(Seen::Stopped { started, status });
        }
        let Some(started) = started else {
            if self.number < self.record.run()? {
                let status = ExitStatus::unknown("it was started several times since");
                return Ok(Seen::Stopped {
                    started: None,
                    status,
                });
            }
            // One that was deleted is not created.
            return match self.record.is_made() {
                true => Ok(Seen::Created),
                false => Err(self.record.not_found()),
            };
        };
        let failed = self.failed("look at");
        let process = Process::open_exactly(started.pid, started.created).map_err(&failed)?;
        let status = match process {
            Some(process) if !process.has_ended().map_err(&failed)? => {
                let outer = self.outer(&started);
                return Ok(Seen::Running {
                    is_paused: outer.record.is_marked("paused", outer.number),
                    started,
                    process,
                });
            }
            Some(process) => self.status(&started, process.code().map_err(&failed)?),
            // Its owner records an end before it lets the process go.
            None => match self.record.exit(self.number)? {
                Some(status) => status,
                None if !self.record.exists() => return Err(self.record.not_found()),
                None => ExitStatus::unknown("its owner was lost"),
            },
        };
        let status = self.record.write_exit(self.number, &status)?;
        Ok(Seen::Stopped {
            started: Some(started),
            status,
        })
    }

    /// What it is doing.
    pub(super) fn properties(
        &self,
        query: Query,
        process: Option<&oci::Process>,
        created_at: Timestamp,
    ) -> Result<Properties> {
        let seen = self.look()?;
        let summary = seen.summary(&self.record, process, created_at);
        let (processes, statistics) = match &seen {
            Seen::Running { started, .. } if query.processes || query.statistics => {
                let job = Job::open(&started.job).map_err(self.failed("ask about"))?;
                let measured = job.map(|job| {
                    members::measure(&job, query, |pid| match pid == started.pid {
                        true => process.and_then(given_line),
                        false => None,
                    })
                });
                let measured = measured.transpose().map_err(self.failed("ask about"))?;
                measured.unwrap_or_default()
            }
            _ => Default::default(),
        };
        Ok(Properties {
            summary,
            processes: query.processes.then_some(processes),
            statistics: query.statistics.then_some(statistics),
        })
    }

    /// Its job, while it runs.
    pub(super) fn job(&self, verb: &str, started: &Started) -> Result<Job> {
        Job::open(&started.job)
            .map_err(self.failed(verb))?
            .ok_or_else(|| self.wrong_state(verb, State::Stopped))
    }

    /// Whether there is a job in which something of it may be left.
    pub(super) fn has_job(&self, started: &Started) -> Result<bool> {
        let job = Job::open(&started.job).map_err(self.failed("ask about"))?;
        Ok(job.is_some())
    }

    /// Ends all that is left of it.
    pub(super) fn end_job(&self, started: &Started) -> Result<()> {
        let failed = self.failed("end");
        let Some(job) = Job::open(&started.job).map_err(&failed)? else {
            return Ok(());
        };
        job.end().map_err(&failed)?;
        until_empty(&job, &self.what())
    }

    /// Ends its first process by force, and records that end where nobody has yet.
    fn end_process(&self, process: &Process, end: impl FnOnce() -> io::Result<()>) -> Result<()> {
        self.record.mark("forced", self.number)?;
        let failed = self.failed("end");
        match end() {
            // What has ended cannot be ended.
            Err(error) if !process.has_ended().map_err(&failed)? => return Err(failed(error)),
            _ => {}
        }
        if !process.wait(Some(PATIENCE)).map_err(&failed)? {
            return Err(Error::new(
                ErrorKind::Unkillable,
                Phase::Operate,
                format!("end {}: process {} stays", self.what(), process.pid),
            ));
        }
        self.look().map(drop)
    }

    fn force_end(&self, started: &Started, process: &Process) -> Result<()> {
        let job = Job::open(&started.job).map_err(self.failed("end"))?;
        self.end_process(process, || match &job {
            Some(job) => job.end(),
            None => process.end(),
        })?;
        self.end_job(started)
    }

    /// Ends all of it by force; of one that has ended, what it has left behind.
    pub(super) fn terminate(&self) -> Result<()> {
        match self.look()? {
            Seen::Running {
                started, process, ..
            } => self.force_end(&started, &process),
            Seen::Stopped {
                started: Some(started),
                ..
            } => self.end_job(&started),
            Seen::Created | Seen::Stopped { started: None, .. } => Ok(()),
        }
    }

    /// Sends what comes nearest to a signal; the end by force of a container ends all of it, that of an exec its process.
    pub(super) fn signal(&self, given: Signal) -> Result<()> {
        let seen = self.look()?;
        let Seen::Running {
            started, process, ..
        } = seen
        else {
            return Err(self.wrong_state("signal", seen.state()));
        };
        match given {
            Signal::KILL if self.container.is_none() => self.force_end(&started, &process),
            Signal::KILL => self.end_process(&process, || process.end()),
            given => super::process::signal(&process, &self.what(), given),
        }
    }

    /// Waits until its first process has ended.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let is_over = left.is_some_and(|left| left.is_zero());
            match self.look()? {
                Seen::Stopped { status, .. } => return Ok(status),
                _ if is_over => return Err(timed_out(&self.what())),
                Seen::Running { process, .. } => {
                    process.wait(left).map_err(self.failed("wait for"))?;
                }
                Seen::Created => {
                    thread::sleep(left.map_or(UNTIL_STARTED, |left| left.min(UNTIL_STARTED)));
                }
            }
        }
    }
}

/// What a process was given to be started.
fn given_line(process: &oci::Process) -> Option<String> {
    let joined = || {
        let arguments = process.args().as_ref()?.iter();
        Some(command_line::join(arguments.map(String::as_str)))
    };
    process.command_line().clone().or_else(joined)
}
