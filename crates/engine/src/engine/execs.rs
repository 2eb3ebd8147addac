//! Further processes as objects: made, started by whoever will own them, waited for, ended, forgotten.

use hoist_compute::{
    Error, ErrorKind, Exec, ExecSpec, ExitStatus, Phase, Process, Properties, Query, Result, Stdio,
    Summary,
};
use hoist_spec::{ContainerId, ExecId, Signal};
use std::time::Duration;

use super::stop::{begin, gone_is_done, is_stuck, look_at, patiently};
use crate::{Engine, StopRequest, random_id};

/// Which exec of which container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecRef {
    /// The container.
    pub container: ContainerId,
    /// The exec's id, one of its own among those of the container.
    pub id: ExecId,
}

/// One exec in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedExec {
    /// Its container.
    pub container: ContainerId,
    /// What it is doing; the id is the exec's.
    pub summary: Summary,
}

impl ListedExec {
    /// Which one it is.
    pub fn reference(&self) -> ExecRef {
        ExecRef {
            container: self.container.clone(),
            id: self.summary.id.clone(),
        }
    }
}

impl Engine {
    /// Makes a further process of a container an object with a new id. It is not started.
    ///
    /// ```
    /// use hoist::{Engine, EngineOptions, Hooks, RunRequest, random_id};
    /// use hoist_compute::{Confinement, ExecSpec, Stdio};
    /// use hoist_spec::{Command, ProcessConfig, Signal};
    ///
    /// # #[cfg(target_os = "linux")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let state_root = Some(folder.path().to_owned());
    /// let engine = Engine::open(EngineOptions { state_root, ..EngineOptions::default() })?;
    /// // Without a root, it is this machine's own programs, read-only.
    /// let sleep = ProcessConfig::new("sleep").argument("1000");
    /// let id = random_id()?;
    /// let spec = Command::new().id(id.as_str()).process(sleep).to_container_spec()?;
    /// let request = RunRequest { id, name: None, spec, remove: true };
    /// let mut hooks = Hooks::default();
    /// let container = engine.create(&request)?;
    /// # let started = engine.start(&container, Stdio::null(), &mut hooks);
    /// # if started.is_err() && !engine.features().features.iter().all(|feature| feature.available) {
    /// #     return Ok(()); // This machine makes no container for this user.
    /// # }
    /// # let first = started?;
    /// # /*
    /// let first = engine.start(&container, Stdio::null(), &mut hooks)?;
    /// # */
    ///
    /// let exit = ProcessConfig::new("sh").argument("-c").argument("exit 7");
    /// let exec = engine.create_exec(container.id(), &ExecSpec {
    ///     process: container.spec().exec_process(&exit)?,
    ///     confinement: Confinement::default(),
    ///     interactive: false,
    /// })?;
    /// engine.start_exec(&exec, Stdio::null())?;
    /// // From here, or from any other process with the same state root, now or later.
    /// assert_eq!(engine.wait_exec(&exec, None)?.code, Some(7));
    /// engine.remove_exec(&exec, false)?;
    ///
    /// engine.signal(container.id(), Signal::KILL)?;
    /// first.wait(None)?;
    /// engine.finish(&container, true, &mut hooks)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn create_exec(&self, container: &ContainerId, spec: &ExecSpec) -> Result<ExecRef> {
        let id = random_id()?;
        self.service.open(container)?.create_exec(&id, spec)?;
        Ok(ExecRef {
            container: container.clone(),
            id,
        })
    }

    fn open_exec(&self, exec: &ExecRef) -> Result<Box<dyn Exec>> {
        self.service.open(&exec.container)?.open_exec(&exec.id)
    }

    /// What it was made from.
    pub fn exec_spec(&self, exec: &ExecRef) -> Result<ExecSpec> {
        Ok(self.open_exec(exec)?.spec().clone())
    }

    /// Starts an exec; the caller owns it. After an error it is as it was, and so is its container.
    pub fn start_exec(&self, exec: &ExecRef, stdio: Stdio) -> Result<Box<dyn Process>> {
        self.open_exec(exec)?.start(stdio)
    }

    /// What an exec is doing at this moment.
    pub fn exec_properties(&self, exec: &ExecRef, query: Query) -> Result<Properties> {
        self.open_exec(exec)?.properties(query)
    }

    /// The execs of a container, or of all; of those that have ended only with `all`.
    pub fn execs(&self, container: Option<&ContainerId>, all: bool) -> Result<Vec<ListedExec>> {
        let containers = match container {
            Some(container) => vec![container.clone()],
            None => {
                let listed = self.service.survey()?.summaries.into_iter();
                listed.map(|summary| summary.id).collect()
            }
        };
        let mut found = Vec::new();
        for id in containers {
            let execs = match self.service.open(&id).and_then(|system| system.execs()) {
                // Removed at this moment.
                Err(error) if error.kind() == ErrorKind::NotFound && container.is_none() => {
                    continue;
                }
                execs => execs?,
            };
            let listed = execs.into_iter().map(|summary| ListedExec {
                container: id.clone(),
                summary,
            });
            found.extend(listed);
        }
        use hoist_compute::State::{Paused, Running};
        found.retain(|exec| all || matches!(exec.summary.state, Running | Paused));
        Ok(found)
    }

    /// Waits until an exec has ended; `Timeout` where `timeout` (none: for ever) runs out first. Whoever asks, however late,
    /// gets the same status.
    pub fn wait_exec(&self, exec: &ExecRef, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.open_exec(exec)?.wait(timeout)
    }

    /// Sends `signal` to an exec's process. One that does not run gives `InvalidState`.
    pub fn signal_exec(&self, exec: &ExecRef, signal: Signal) -> Result<()> {
        self.open_exec(exec)?.signal(signal)
    }

    /// Ends an exec: asks by a signal, waits for the grace period, then ends it by force with all it has started. One that does
    /// not run is left as it is; its status, where it has ended. `Timeout` where even force does not end it.
    pub fn stop_exec(&self, exec: &ExecRef, request: StopRequest) -> Result<Option<ExitStatus>> {
        let policy = self.service.open(&exec.container)?.spec().stop;
        let opened = self.open_exec(exec)?;
        match opened.signal(request.signal.unwrap_or(policy.signal)) {
            Err(error) if error.kind() == ErrorKind::InvalidState => {
                return Ok(opened.properties(Query::default())?.summary.exit);
            }
            sent => sent?,
        }
        let grace = request
            .grace
            .unwrap_or_else(|| Duration::from_secs(policy.timeout_seconds.into()));
        match opened.wait((grace != Duration::MAX).then_some(grace)) {
            Err(error) if error.kind() == ErrorKind::Timeout => {}
            ended => return ended.map(Some),
        }
        self.terminate_exec(exec)?;
        let ended = |limit| match self.wait_exec(exec, Some(limit)) {
            Err(error) if error.kind() == ErrorKind::Timeout => None,
            other => Some(other),
        };
        match patiently(ended, || self.is_stuck(exec)) {
            Some(ended) => ended.map(Some),
            None => Err(does_not_end(exec)),
        }
    }

    /// Ends an exec by force, with all it has started; one that has ended, what it has left behind.
    pub fn terminate_exec(&self, exec: &ExecRef) -> Result<()> {
        let opened = self.open_exec(exec)?;
        let ending = begin(move || opened.terminate())?;
        let ended = |limit| ending.recv_timeout(limit).ok();
        patiently(ended, || self.is_stuck(exec)).unwrap_or_else(|| Err(does_not_end(exec)))
    }

    /// Whether one of its processes, which were killed, is stuck in the kernel.
    fn is_stuck(&self, exec: &ExecRef) -> bool {
        let opened = self.open_exec(exec).ok();
        opened.is_some_and(|opened| is_stuck(&look_at(move |query| opened.properties(query))))
    }

    /// Forgets an exec. With `force` one that runs is ended first, without it that is `InvalidState`. Again is success.
    pub fn remove_exec(&self, exec: &ExecRef, force: bool) -> Result<()> {
        if force {
            gone_is_done(self.terminate_exec(exec))?;
        }
        gone_is_done(self.open_exec(exec).and_then(|opened| opened.delete()))?;
        #[cfg(target_os = "linux")]
        self.forget_exec_owner(exec)?;
        Ok(())
    }

    /// The exec that `reference` means: an id, or the beginning of one single id, of all containers.
    ///
    /// `NotFound` where there is none; `InvalidSpec` where several ids begin so.
    pub fn resolve_exec(&self, reference: &str) -> Result<ExecRef> {
        if let Some(exact) = self.exec_with_id(reference)? {
            return Ok(exact);
        }
        let mut matches = self.execs(None, true)?;
        matches.retain(|exec| exec.summary.id.as_str().starts_with(reference));
        let (kind, operation) = match matches.as_slice() {
            [one] if !reference.is_empty() => return Ok(one.reference()),
            [] => (ErrorKind::NotFound, format!("no such exec: {reference}")),
            _ => (
                ErrorKind::InvalidSpec,
                format!("{reference:?} is the beginning of several exec ids"),
            ),
        };
        Err(Error::new(kind, Phase::Plan, operation))
    }

    /// The exec with exactly this id. A container keeps a thousand that have ended: none but this one is read.
    fn exec_with_id(&self, id: &str) -> Result<Option<ExecRef>> {
        let Ok(id) = id.parse::<ExecId>() else {
            return Ok(None);
        };
        let containers = self.service.survey()?.summaries.into_iter();
        let mut places = containers.map(|summary| ExecRef {
            container: summary.id,
            id: id.clone(),
        });
        Ok(places.find(|place| self.open_exec(place).is_ok()))
    }
}

fn does_not_end(exec: &ExecRef) -> Error {
    let operation = format!("end exec {} by force", exec.id);
    Error::new(ErrorKind::Timeout, Phase::Operate, operation)
        .about(exec.id.as_str())
        .remedy("a process that cannot be killed waits inside the kernel, mostly for a file system or device")
}
