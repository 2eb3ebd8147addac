//! A further process as an object with an id.

use std::time::Duration;

use hoist_compute::{
    ErrorKind, Exec, ExecSpec, ExitStatus, Process, Properties, Query, Result, Stdio,
};
use hoist_spec::{ExecId, Signal};
use hoist_windows::records::Record;

use super::{
    process::invalid_state,
    record::Config,
    run::{Run, Seen},
    system::HostSystem,
};

/// The contract's exec.
pub(super) struct HostExec {
    container: HostSystem,
    run: Run,
    config: Config<ExecSpec>,
}

impl HostExec {
    pub(super) fn create(container: &HostSystem, id: &ExecId, spec: &ExecSpec) -> Result<Self> {
        let record = container.record.exec(id);
        let config = Config::new(spec.clone());
        container.shared.records.make_exec(&record, &config)?;
        Ok(Self::new(container, &record, config))
    }

    pub(super) fn open(container: &HostSystem, record: &Record) -> Result<Self> {
        Ok(Self::new(container, record, record.config()?))
    }

    fn new(container: &HostSystem, record: &Record, config: Config<ExecSpec>) -> Self {
        Self {
            container: container.clone(),
            run: Run::of_exec(record, &container.record),
            config,
        }
    }
}

impl Exec for HostExec {
    fn id(&self) -> &ExecId {
        self.run.record.id()
    }

    fn spec(&self) -> &ExecSpec {
        &self.config.spec
    }

    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>> {
        let _locked = self.container.shared.records.lock(&self.run.record)?;
        if !matches!(self.run.look()?, Seen::Created) {
            let operation = format!("start {}", self.run.what());
            return Err(invalid_state(operation, "it was started before"));
        }
        let ExecSpec {
            process,
            confinement,
            ..
        } = &self.config.spec;
        let started =
            self.container
                .start_further(process, Some(confinement), Some(&self.run), stdio)?;
        Ok(Box::new(started))
    }

    fn properties(&self, query: Query) -> Result<Properties> {
        let process = &self.config.spec.process.oci;
        self.run
            .properties(query, Some(process), self.config.created_at)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.run.signal(signal)
    }

    fn terminate(&self) -> Result<()> {
        self.run.terminate()
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        self.run.wait(timeout)
    }

    fn delete(&self) -> Result<()> {
        let records = &self.container.shared.records;
        let _locked = records.lock(&self.run.record)?;
        match self.run.look() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(Seen::Running { .. }) => {
                let operation = format!("delete {}", self.run.what());
                return Err(invalid_state(operation, "it is running").remedy("stop it first"));
            }
            Ok(Seen::Created | Seen::Stopped { .. }) => {}
        }
        // What it has left behind stays in the container, and is found there no more: it ends with it.
        records.remove(&self.run.record)
    }
}
