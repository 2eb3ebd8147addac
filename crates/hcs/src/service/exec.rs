//! A further process as an object with an id.
//!
//! The service knows a process by an id that another may bear after its end. It also tells when each was made: both together are recorded,
//! and no process of which both are not equal is taken for the exec's.

use std::{
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{
    Confinement, Error, ErrorKind, Exec, ExecSpec, ExitStatus, Phase, Process, Properties, Query,
    Result, Stdio, Summary,
};
use hoist_spec::{ExecId, Signal, oci::LinuxResources};

use super::{
    failure,
    process::status,
    record::{ExecConfig, ExecStarted, Record},
    signal, statistics,
    system::{HcsSystem, UNTIL_STARTED},
};
use crate::{
    calls::{CallError, CallResult, Calls, Failure, HcsExports},
    documents::properties::{ProcessDetails, SystemProperties},
};

/// The only run of an exec.
pub(super) const RUN: u64 = 0;

/// For so long at most an owner may take to record an end; one that was killed records nothing.
const UNTIL_RECORDED: Duration = Duration::from_secs(1);
/// How often it is looked whether it has.
const RECORDED_STEP: Duration = Duration::from_millis(5);

/// Asks for every process of a system.
const PROCESSES: &str = r#"{"PropertyTypes":["ProcessList"]}"#;

/// What was found of an exec, and while it runs what the service tells of its process.
type Seen = hoist_windows::seen::Seen<ExecStarted, ProcessDetails>;

/// The contract's exec.
pub(super) struct HcsExec<E: HcsExports> {
    container: HcsSystem<E>,
    record: Record,
    config: ExecConfig,
}

/// A process in a list of all.
fn listed(properties: &SystemProperties, pid: u32) -> Option<&ProcessDetails> {
    let mut all = properties.process_list.iter().flatten();
    all.find(|process| process.process_id == pid)
}

/// What the service has for whole containers alone.
fn refuse_confinement(record: &Record, confinement: &Confinement) -> Result<()> {
    let asked = [
        (confinement.root.is_some(), "a root of its own"),
        (confinement.timeout.is_some(), "a time of its own"),
        (
            confinement.limits != LinuxResources::default(),
            "limits of its own",
        ),
    ];
    let Some((_, what)) = asked.iter().find(|(is_asked, _)| *is_asked) else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Unsupported,
        Phase::Plan,
        format!("give {} {what}", record.what()),
    )
    .about(record.id().as_str())
    .because("the host compute service knows no group of processes but a container"))
}

impl<E: HcsExports> HcsSystem<E> {
    /// When a process that was just started was made; `None` where it has ended by now.
    pub(super) fn creation_of(&self, pid: u32) -> Result<Option<String>> {
        let failed = |error| self.failed(error, Phase::Start, "ask about a new process of");
        let look = match self.shared.calls.look(self.id_text(), PROCESSES, Some(pid)) {
            Err(error) if error.is_gone() => return Ok(None),
            look => look.map_err(failed)?,
        };
        let created = listed(&look.properties, pid).map(|process| &process.create_timestamp);
        match (created, look.process) {
            (Some(created), _) if !created.is_empty() => Ok(Some(created.clone())),
            (None, Some(Ok(process))) if process.exited => Ok(None),
            (None, Some(Err(error))) if error.is_gone() => Ok(None),
            _ => Err(Error::new(
                ErrorKind::System,
                Phase::Start,
                format!("learn when process {pid} of {} was made", self.record.what()),
            )
            .about(self.id_text())
            .because("the service does not tell, and by its id alone it would be taken for another after its end")),
        }
    }
}

impl<E: HcsExports> HcsExec<E> {
    pub(super) fn create(container: &HcsSystem<E>, id: &ExecId, spec: &ExecSpec) -> Result<Self> {
        let record = container.record.exec(id);
        refuse_confinement(&record, &spec.confinement)?;
        let config = ExecConfig::new(spec.clone());
        container.shared.records.make_exec(&record, &config)?;
        Ok(Self {
            container: container.clone(),
            record,
            config,
        })
    }

    pub(super) fn open(container: &HcsSystem<E>, record: Record) -> Result<Self> {
        Ok(Self {
            container: container.clone(),
            config: record.config()?,
            record,
        })
    }

    fn failed(&self, error: CallError, verb: &str) -> Error {
        failure::of_record(error, Phase::Operate, verb, &self.record)
    }

    fn wrong_state(&self, verb: &str, phase: Phase, why: &str) -> Error {
        let operation = format!("{verb} {}", self.record.what());
        failure::invalid_state(self.record.id(), phase, &operation).because(why)
    }

    fn timed_out(&self) -> Error {
        failure::timeout(
            self.record.id(),
            &format!("wait for {}", self.record.what()),
        )
    }

    fn look(&self) -> Result<Seen> {
        let started = self.record.started::<ExecStarted>(RUN)?;
        if let Some(status) = self.record.exit(RUN)? {
            return Ok(Seen::Stopped { started, status });
        }
        let Some(started) = started else {
            // One that was deleted is not created.
            return match self.record.is_made() {
                true => Ok(Seen::Created),
                false => Err(self.record.not_found()),
            };
        };
        let code = match self.find(&started) {
            Ok(Place::Runs { is_paused, process }) => {
                return Ok(Seen::Running {
                    started,
                    process,
                    is_paused,
                });
            }
            Ok(Place::Ended(code)) => code,
            Err(error) => return Err(self.failed(error, "ask about")),
        };
        // Its owner records an end before it lets the process go: what is gone now has been recorded, or nobody knows more.
        let status = match self.record.exit(RUN)? {
            Some(status) => status,
            None if !self.record.exists() => return Err(self.record.not_found()),
            None => {
                let is_forced = self.record.is_marked("forced", RUN)
                    || self
                        .container
                        .record
                        .is_marked("forced", started.container_run);
                self.record.write_exit(RUN, &status(code, is_forced))?
            }
        };
        let started = Some(started);
        Ok(Seen::Stopped { started, status })
    }

    /// Where its process is now.
    fn find(&self, started: &ExecStarted) -> CallResult<Place> {
        let container = &self.container;
        let is_another_run = container
            .record
            .run()
            .is_ok_and(|run| run != started.container_run);
        if is_another_run {
            return Ok(Place::Ended(Err(gone())));
        }
        let calls = &container.shared.calls;
        let look = match calls.look(container.id_text(), PROCESSES, Some(started.pid)) {
            Err(error) if error.is_gone() => return Ok(Place::Ended(Err(error))),
            look => look?,
        };
        match look.process {
            Some(Ok(process)) if process.exited => Ok(Place::Ended(calls.code_of(process))),
            Some(Ok(_)) => match listed(&look.properties, started.pid) {
                Some(process) if started.created.as_ref() == Some(&process.create_timestamp) => {
                    Ok(Place::Runs {
                        is_paused: look.properties.state == "Paused",
                        process: process.clone(),
                    })
                }
                // Another process has its id by now.
                _ => Ok(Place::Ended(Err(gone()))),
            },
            Some(Err(error)) if !error.is_gone() => Err(error),
            Some(Err(error)) => Ok(Place::Ended(Err(error))),
            None => Ok(Place::Ended(Err(gone()))),
        }
    }

    fn summary_of(&self, seen: &Seen) -> Summary {
        let process = &self.config.spec.process.oci;
        seen.summary(&self.record, Some(process), self.config.created_at)
    }

    pub(super) fn summary(&self) -> Result<Summary> {
        Ok(self.summary_of(&self.look()?))
    }

    /// Ends its process, whoever has started it, and returns when that has ended.
    fn force_end(&self, started: &ExecStarted) -> Result<()> {
        let shared = &self.container.shared;
        self.record.mark("forced", RUN)?;
        let ended = self.container.with_process(started.pid, |system, process| {
            shared.calls.terminate_process(system, process)?;
            process.wait_exit(Some(shared.patience.terminate));
            self.wait_for_owner();
            Ok(())
        });
        match ended {
            Err(error) if !error.is_gone() => {
                // What ends later ends by itself.
                self.record.unmark("forced", RUN);
                return Err(self.failed(error, "end"));
            }
            _ => {}
        }
        self.wait_until_ended(Some(shared.patience.terminate))
            .map_err(|error| match error.kind() {
                ErrorKind::Timeout => Error::new(
                    ErrorKind::Unkillable,
                    Phase::Operate,
                    format!("end {}", self.record.what()),
                )
                .about(self.record.id().as_str())
                .because("the service was asked to end its process, which goes on"),
                _ => error,
            })?;
        shared.wait_until_told(&self.record, RUN);
        Ok(())
    }

    /// Gives an owner that lives the time to record an end by force as that: who has asked for it may remove the record next.
    fn wait_for_owner(&self) {
        let deadline = Instant::now() + UNTIL_RECORDED;
        while matches!(self.record.exit(RUN), Ok(None)) && Instant::now() < deadline {
            thread::sleep(RECORDED_STEP);
        }
    }

    fn wait_until_ended(&self, limit: Option<Duration>) -> Result<ExitStatus> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let is_over = left.is_some_and(|left| left.is_zero());
            match self.look()? {
                Seen::Stopped { status, .. } => return Ok(status),
                _ if is_over => return Err(self.timed_out()),
                Seen::Running { started, .. } => {
                    // The look records the end, where there is one.
                    self.container
                        .wait_for_foreign(started.pid, left, || self.look())
                        .map_err(|error| self.failed(error, "wait for"))??;
                }
                Seen::Created => {
                    thread::sleep(left.map_or(UNTIL_STARTED, |left| left.min(UNTIL_STARTED)));
                }
            }
        }
    }
}

/// Where the process of an exec is.
enum Place {
    Runs {
        is_paused: bool,
        process: ProcessDetails,
    },
    Ended(CallResult<i32>),
}

fn gone() -> CallError {
    CallError::new("HcsOpenProcess", Failure::NotThere)
}

impl<E: HcsExports> Exec for HcsExec<E> {
    fn id(&self) -> &ExecId {
        self.record.id()
    }

    fn spec(&self) -> &ExecSpec {
        &self.config.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>> {
        let _locked = self.container.shared.records.lock(&self.record)?;
        if !matches!(self.look()?, Seen::Created) {
            return Err(self.wrong_state("start", Phase::Start, "it was started before"));
        }
        let process = &self.config.spec.process;
        let started = self
            .container
            .start_further(process, Some(&self.record), stdio)
            .inspect_err(|_| {
                // It is as it was. Why it was not started matters more.
                let _ = self.record.forget_started(RUN);
            })?;
        Ok(Box::new(started))
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let seen = self.look()?;
        let summary = self.summary_of(&seen);
        let process = match seen {
            Seen::Running { process, .. } => Some(process),
            Seen::Created | Seen::Stopped { .. } => None,
        };
        Ok(Properties {
            summary,
            processes: query
                .processes
                .then(|| process.iter().map(statistics::entry).collect()),
            statistics: query.statistics.then(|| {
                process
                    .as_ref()
                    .map(statistics::used_by)
                    .unwrap_or_default()
            }),
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let Seen::Running { started, .. } = self.look()? else {
            return Err(self.wrong_state("signal", Phase::Operate, "it does not run"));
        };
        if signal == Signal::KILL {
            return self.force_end(&started);
        }
        let options = signal::options(signal)?;
        let calls = &self.container.shared.calls;
        self.container
            .with_process(started.pid, |_, process| {
                calls.signal_process(process, &options)
            })
            .map_err(|error| self.failed(error, "signal"))
    }

    fn terminate(&self) -> Result<()> {
        match self.look()? {
            Seen::Running { started, .. } => self.force_end(&started),
            // What it has left behind is the container's.
            Seen::Created | Seen::Stopped { .. } => Ok(()),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        // A process of this program's own is told when its output has been copied, too.
        match self.container.shared.owned_process(&self.record, RUN) {
            Some(watched) => {
                let ended = watched.ended.wait(timeout);
                ended.ok_or_else(|| self.timed_out())
            }
            None => self.wait_until_ended(timeout),
        }
    }

    fn delete(&self) -> Result<()> {
        let records = &self.container.shared.records;
        let _locked = records.lock(&self.record)?;
        match self.look() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(Seen::Running { .. }) => {
                let why = "it is running";
                return Err(self
                    .wrong_state("delete", Phase::Delete, why)
                    .remedy("stop it first"));
            }
            Ok(Seen::Created | Seen::Stopped { .. }) => {}
        }
        records.remove(&self.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{
        properties::{PropertyQuery, PropertyType},
        to_text,
    };

    #[test]
    fn the_question_for_processes_is_the_service_s() {
        let query = PropertyQuery {
            property_types: vec![PropertyType::ProcessList],
        };
        assert_eq!(PROCESSES, to_text(&query).unwrap());
    }
}
