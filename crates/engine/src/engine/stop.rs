//! Ending containers: signals, stop with its escalation, clean.
//!
//! Every step has a deadline of its own, counted from its own beginning. A process that cannot be killed (it
//! sleeps in the kernel) makes an error that names it, never a hang; processes that are only slow to end, as on a machine
//! with much to do, are waited for longer.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use hoist_compute::{
    ComputeSystem, Error, ErrorKind, ExitStatus, Phase, ProcessEntry, Properties, Query, Result,
    State,
};
use hoist_spec::{ContainerId, Signal};

use crate::Engine;
#[cfg(target_os = "linux")]
use crate::unkillable::{unreaped, waits_in};

/// How long the kernel may take to end processes after `SIGKILL` before one that is stuck in it is reported as an error.
pub const TERMINATE_LIMIT: Duration = Duration::from_millis(1500);

/// How much longer it may take where none is stuck. Less than backends have patience for: what is left is named here.
const SLOW_LIMIT: Duration = Duration::from_secs(8);

/// How long a look at the processes that would not end may take.
const LOOK_LIMIT: Duration = Duration::from_millis(500);

/// How a container is to be stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopRequest {
    /// The signal that asks; by default that of the container's spec.
    pub signal: Option<Signal>,
    /// How long the container may take after it; by default as its spec says. [`Duration::MAX`]: as long as it likes.
    pub grace: Option<Duration>,
}

/// What ended a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did not run.
    NotRunning,
    /// The signal that asks, within the grace period.
    Signalled,
    /// Force.
    Terminated,
}

/// How a container was stopped.
#[derive(Debug)]
pub struct StopOutcome {
    /// What ended it.
    pub how: Ended,
    /// How its first process ended; `None` where that was never started.
    pub status: Option<ExitStatus>,
    /// What failed on the way and was made up for by a stronger step.
    pub failures: Vec<Error>,
}

impl Engine {
    /// Sends `signal` to the container's first process. One that is to end the container ends it for good, whatever its
    /// restart policy.
    pub fn signal(&self, id: &ContainerId, signal: Signal) -> Result<()> {
        let system = self.service.open(id)?;
        if signal == Signal::KILL || signal == system.spec().stop.signal {
            self.hold(id)?;
        }
        system.signal(signal)
    }

    /// Ends a container: asks by a signal, waits for the grace period, then terminates it. A container that does not
    /// run is left as it is; none is started once more, whatever its restart policy. `Unkillable`, naming the processes and where
    /// in the kernel they wait, or `Timeout`, where even `SIGKILL` does not end it in time.
    pub fn stop(&self, id: &ContainerId, request: StopRequest) -> Result<StopOutcome> {
        let system: Arc<dyn ComputeSystem> = self.service.open(id)?.into();
        self.hold(id)?;
        let state = system.state()?;
        if matches!(state, State::Created | State::Stopped) {
            return Ok(StopOutcome {
                how: Ended::NotRunning,
                status: system.properties(Query::default())?.summary.exit,
                failures: Vec::new(),
            });
        }
        let mut failures = Vec::new();
        match ask(&*system, state, request) {
            Ok(status) => {
                return Ok(StopOutcome {
                    how: Ended::Signalled,
                    status: Some(status),
                    failures,
                });
            }
            Err(error) if error.kind() == ErrorKind::Timeout => {}
            Err(error) => failures.push(error),
        }
        self.terminate(&system)?;
        Ok(StopOutcome {
            how: Ended::Terminated,
            status: Some(self.wait_after_kill(&system)?),
            failures,
        })
    }

    /// Waits until the container's first process has ended; `Timeout` where `timeout` (none: for ever) runs out first.
    ///
    /// Where it has a supervisor, all it has written is in its log by then.
    pub fn wait(&self, id: &ContainerId, timeout: Option<Duration>) -> Result<ExitStatus> {
        let system = self.service.open(id)?;
        #[cfg(target_os = "linux")]
        if let Some(status) = self.wait_for_supervisor(id, timeout)? {
            return Ok(status);
        }
        system.wait(timeout)
    }

    /// Tells the container's supervisor, where it has one, not to start it once more.
    #[cfg(not(target_os = "linux"))]
    fn hold(&self, _id: &ContainerId) -> Result<()> {
        Ok(())
    }

    /// Removes a container, its record and its name, whatever a crash has left of it. With `force` one that runs is
    /// terminated first, without it that is `InvalidState`. One whose record cannot be read is `Damaged`, and
    /// [`Engine::clean_damaged`]'s. Cleaning again is success.
    pub fn clean(&self, id: &ContainerId, force: bool) -> Result<()> {
        match self.service.open(id) {
            Ok(system) => {
                let system: Arc<dyn ComputeSystem> = system.into();
                if force {
                    self.hold(id)?;
                    gone_is_done(self.terminate(&system))?;
                }
                gone_is_done(system.delete())?;
            }
            Err(error) => gone_is_done(Err(error))?,
        }
        #[cfg(target_os = "linux")]
        self.forget_supervisor(id)?;
        self.names.release(id)
    }

    /// Removes by force a container whose record is damaged ([`ErrorKind::Damaged`]), with its processes, cgroup, supervisor, log and name, as
    /// far as they can still be found, and with `volumes` its volumes that nobody has named; tells what was found, and what may be left.
    /// One that is gone is success.
    pub fn clean_damaged(&self, id: &ContainerId, volumes: bool) -> Result<Vec<String>> {
        let mut told = Vec::new();
        let anonymous = match self.service.open(id) {
            Ok(system) if volumes => self.volumes().anonymous(system.spec()),
            _ => Vec::new(),
        };
        #[cfg(target_os = "linux")]
        told.extend(self.end_supervisor(id)?);
        told.extend(self.service.remove_damaged(id)?);
        #[cfg(target_os = "linux")]
        told.extend(self.forget_damaged_supervisor(id)?);
        let name = self.names.of(id)?;
        self.names.release(id)?;
        told.extend(name.map(|name| format!("its name {name}")));
        self.remove_unused_volumes(&anonymous)?;
        Ok(told)
    }

    /// As [`Engine::clean`], with the container's volumes that nobody has named.
    pub fn clean_with_volumes(&self, id: &ContainerId, force: bool) -> Result<()> {
        let volumes = match self.service.open(id) {
            Ok(system) => self.volumes().anonymous(system.spec()),
            Err(_) => Vec::new(),
        };
        self.clean(id, force)?;
        self.remove_unused_volumes(&volumes)
    }

    /// Ends every process of the container by force, or says which would not end.
    pub(super) fn terminate(&self, system: &Arc<dyn ComputeSystem>) -> Result<()> {
        let killed = Arc::clone(system);
        let ending = begin(move || killed.terminate())?;
        patiently(
            |limit| ending.recv_timeout(limit).ok(),
            || is_stuck(&look(system)),
        )
        .unwrap_or_else(|| Err(survivors(system)))
    }

    fn wait_after_kill(&self, system: &Arc<dyn ComputeSystem>) -> Result<ExitStatus> {
        let ended = |limit| match system.wait(Some(limit)) {
            Err(error) if error.kind() == ErrorKind::Timeout => None,
            other => Some(other),
        };
        patiently(ended, || is_stuck(&look(system))).unwrap_or_else(|| Err(survivors(system)))
    }
}

/// What `wait` gives within [`TERMINATE_LIMIT`], or where no process is stuck, later.
pub(super) fn patiently<T>(
    wait: impl Fn(Duration) -> Option<T>,
    is_stuck: impl FnOnce() -> bool,
) -> Option<T> {
    wait(TERMINATE_LIMIT).or_else(|| match is_stuck() {
        true => None,
        false => wait(SLOW_LIMIT),
    })
}

/// What can be seen of something whose processes do not end; even reading of such a process can block.
pub(super) fn look_at(
    properties: impl FnOnce(Query) -> Result<Properties> + Send + 'static,
) -> Option<Properties> {
    let query = Query {
        statistics: false,
        processes: true,
    };
    let looked = within(LOOK_LIMIT, move || properties(query));
    looked.ok().flatten().and_then(Result::ok)
}

fn look(system: &Arc<dyn ComputeSystem>) -> Option<Properties> {
    let system = Arc::clone(system);
    look_at(move |query| system.properties(query))
}

/// Whether one of the processes that were killed is stuck in the kernel.
pub(super) fn is_stuck(seen: &Option<Properties>) -> bool {
    let processes = seen.iter().flat_map(|seen| seen.processes.iter().flatten());
    processes.into_iter().any(does_not_leave_the_kernel)
}

/// One that is on its way out waits in the kernel at moments, too.
#[cfg(target_os = "linux")]
fn does_not_leave_the_kernel(process: &ProcessEntry) -> bool {
    process.waits_in_kernel.is_some() && waits_in(process.pid).is_some()
}

#[cfg(not(target_os = "linux"))]
fn does_not_leave_the_kernel(process: &ProcessEntry) -> bool {
    process.waits_in_kernel.is_some()
}

/// Signals the container and waits for its end.
fn ask(system: &dyn ComputeSystem, state: State, request: StopRequest) -> Result<ExitStatus> {
    let policy = system.spec().stop;
    let grace = request
        .grace
        .unwrap_or_else(|| Duration::from_secs(policy.timeout_seconds.into()));
    match system.signal(request.signal.unwrap_or(policy.signal)) {
        // It ended between the look and the signal.
        Err(error) if error.kind() == ErrorKind::InvalidState => {}
        result => result?,
    }
    if state == State::Paused {
        // Frozen processes see no signal.
        match system.resume() {
            Err(error) if error.kind() == ErrorKind::InvalidState => {}
            result => result?,
        }
    }
    system.wait((grace != Duration::MAX).then_some(grace))
}

/// `Unkillable` or `Timeout`, with the processes that are left.
fn survivors(system: &Arc<dyn ComputeSystem>) -> Error {
    let seen = look(system);
    let is_stuck = is_stuck(&seen);
    let (first, left) = seen.map_or_else(Default::default, |seen| {
        (seen.summary.pid, seen.processes.unwrap_or_default())
    });
    let (kind, end) = match is_stuck {
        true => (ErrorKind::Unkillable, ": it is unkillable"),
        false => (ErrorKind::Timeout, ""),
    };
    let operation = format!("end container {} by force{end}", system.id());
    let error = Error::new(kind, Phase::Operate, operation).about(system.id().as_str());
    let unreaped = match is_stuck {
        true => Vec::new(),
        false => first.map_or_else(Vec::new, unreaped),
    };
    if !unreaped.is_empty() {
        return error.because(unreaped.join("; ")).remedy(
            "the container's first process ends when that parent waits: let it go on where it was stopped, or end it",
        );
    }
    if left.is_empty() {
        return error.remedy("try again: the processes may still be ending");
    }
    let left: Vec<String> = left
        .iter()
        .map(|process| match &process.waits_in_kernel {
            Some(channel) => format!("{} ({}, waits in {channel})", process.pid, process.command),
            None => format!("{} ({})", process.pid, process.command),
        })
        .collect();
    error
        .because(format!(
            "still there after SIGKILL: process {}",
            left.join(", ")
        ))
        .remedy("a process that cannot be killed waits inside the kernel, mostly for a file system or device; it ends when that does")
}

#[cfg(not(target_os = "linux"))]
fn unreaped(_first: u32) -> Vec<String> {
    Vec::new()
}

/// Runs `work` in a thread of its own and waits for at most `limit`. Work that takes longer goes on, unattended.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>> {
    Ok(begin(work)?.recv_timeout(limit).ok())
}

/// Runs `work` in a thread of its own, which gives what comes of it to whoever still listens then.
pub(super) fn begin<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Receiver<T>> {
    let (done, result) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("hoist-bounded".to_owned())
        .spawn(move || {
            let _ = done.send(work());
        })
        .map_err(|cause| {
            Error::new(ErrorKind::System, Phase::Operate, "start a thread").because(cause)
        })?;
    Ok(result)
}

pub(super) fn gone_is_done(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
