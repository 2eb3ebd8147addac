//! A further process as an object with an id.

use std::time::Duration;

use hoist_compute::{
    Error, ErrorKind, Exec, ExecSpec, ExitStatus, Phase, Process, Properties, Query, Result, State,
    Stdio, Timestamp,
};
use hoist_spec::{ExecId, Signal};
use serde::{Deserialize, Serialize};

use super::record::{Folder, VERSION, optional};
use super::run::{Run, Seen, end_keeper, gone, invalid_state, of_exec};
use super::system::{HostSystem, exec_folder, properties};

/// `config.json` of an exec.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    version: u32,
    created_at: Timestamp,
    spec: ExecSpec,
}

/// The contract's exec.
pub(crate) struct HostExec {
    container: HostSystem,
    id: ExecId,
    config: Config,
    folder: Folder,
}

impl HostExec {
    pub(crate) fn create(container: &HostSystem, id: &ExecId, spec: &ExecSpec) -> Result<Self> {
        let exec = Self {
            container: container.clone(),
            id: id.clone(),
            config: Config {
                version: VERSION,
                created_at: Timestamp::now(),
                spec: spec.clone(),
            },
            folder: Folder(exec_folder(container, id)),
        };
        match exec.folder.make_with(&exec.config, &[])? {
            true => Ok(exec),
            false => Err(Error::new(
                ErrorKind::AlreadyExists,
                Phase::Create,
                format!("create exec {id}: the id is in use"),
            )
            .about(id.as_str())
            .remedy("choose another, or remove that exec")),
        }
    }

    pub(crate) fn open(container: &HostSystem, id: &ExecId) -> Result<Self> {
        let folder = Folder(exec_folder(container, id));
        let config = optional(folder.config())?.ok_or_else(|| no_such(id))?;
        Ok(Self {
            container: container.clone(),
            id: id.clone(),
            config,
            folder,
        })
    }

    fn what(&self) -> String {
        format!("exec {}", self.id)
    }

    fn run(&self) -> Result<Run> {
        match self.folder.exists() {
            true => Ok(of_exec(&self.folder.0)),
            false => Err(no_such(&self.id)),
        }
    }
}

fn no_such(id: &ExecId) -> Error {
    gone(&format!("exec: {id}")).about(id.as_str())
}

impl Exec for HostExec {
    fn id(&self) -> &ExecId {
        &self.id
    }

    fn spec(&self) -> &ExecSpec {
        &self.config.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>> {
        let _lock = self.folder.lock()?.ok_or_else(|| no_such(&self.id))?;
        let run = self.run()?;
        if !matches!(run.look_locked()?, Seen::Created) {
            let operation = format!("start {}", self.what());
            return Err(invalid_state(operation, "it was started before"));
        }
        let ExecSpec {
            process,
            confinement,
            ..
        } = &self.config.spec;
        let process = self
            .container
            .start_further(run, process, confinement, stdio, true)?;
        Ok(Box::new(process))
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let run = self.run()?;
        let seen = run.look()?;
        let state = match &seen {
            Seen::Created => State::Created,
            Seen::Stopped(..) => State::Stopped,
            Seen::Running(_) => match self.container.look()?.0 {
                State::Paused => State::Paused,
                _ => State::Running,
            },
        };
        let keepers: Vec<u32> = run.keeper()?.map(|keeper| keeper.pid).into_iter().collect();
        let process = Some(&self.config.spec.process.oci);
        let created_at = self.config.created_at;
        let summary = HostSystem::summary_of(self.id.clone(), process, created_at, (state, seen));
        properties(summary, &keepers, query)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.run()?.signal(&self.what(), signal)
    }

    fn terminate(&self) -> Result<()> {
        match self.run()?.keeper()? {
            Some(keeper) => end_keeper(keeper),
            None => Ok(()),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.run()?.wait(&self.what(), timeout)
    }

    fn delete(&self) -> Result<()> {
        let Some(_lock) = self.folder.lock()? else {
            return Ok(());
        };
        let run = of_exec(&self.folder.0);
        if let Seen::Running(_) = run.look_locked()? {
            let operation = format!("delete {}", self.what());
            return Err(invalid_state(operation, "it is running").remedy("stop it first"));
        }
        // What it has left behind stays in the container, and is found there no more: it ends with it.
        self.folder.remove()
    }
}
