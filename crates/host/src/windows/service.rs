//! Where containers without isolation are kept, made, opened and listed.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, Weak},
};

use hoist_compute::{
    ComputeService, ComputeSystem, Feature, Features, Result, StreamTransport, Summary, Survey,
};
use hoist_spec::{ContainerId, ContainerSpec};
use hoist_windows::records::{Record, Records};

use super::{
    process::Watched, record::Config, remains, sys::has_pseudo_consoles, system::HostSystem,
};
use crate::plan::windows::{self as plan, Facts};
use crate::refused::id_in_use;

/// How a [`HostService`] works.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostOptions {
    /// How the streams of its processes are carried. The names of pipes are those of fake containers ("dummy mode"), in this machine's
    /// namespace.
    pub transport: StreamTransport,
}

/// Containers without isolation that are recorded below one directory.
pub struct HostService(Arc<Shared>);

/// What all handles of one service share.
pub(super) struct Shared {
    pub(super) records: Records,
    pub(super) transport: StreamTransport,
    /// First processes whose ends this program sees to, by container and run.
    pub(super) firsts: Mutex<HashMap<(ContainerId, u64), Weak<Watched>>>,
}

impl HostService {
    /// The containers below `state_root/unisolated`, which is made where it is not there yet.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn new(state_root: PathBuf) -> Result<Self> {
        Self::with_options(state_root, HostOptions::default())
    }

    /// The same, in another way than the usual one.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(state_root: PathBuf, options: HostOptions) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            records: Records::new(state_root.join("unisolated"))?,
            transport: options.transport,
            firsts: Mutex::default(),
        })))
    }

    /// Whether there is such a container.
    pub fn has(&self, id: &ContainerId) -> bool {
        self.0.records.of(id).is_made()
    }

    fn system(&self, record: Record, config: Config) -> HostSystem {
        HostSystem {
            shared: Arc::clone(&self.0),
            record,
            config,
        }
    }
}

impl ComputeService for HostService {
    fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Box<dyn ComputeSystem>> {
        plan::plan(spec, &Facts::here())?;
        let records = &self.0.records;
        let record = records.of(id);
        let _locked = records.lock(&record)?;
        if record.is_made() {
            return Err(id_in_use(id));
        }
        let config = Config::new(spec.clone());
        records.make(&record, &config)?;
        Ok(Box::new(self.system(record, config)))
    }

    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>> {
        let record = self.0.records.of(id);
        let config = record.config()?;
        Ok(Box::new(self.system(record, config)))
    }

    fn enumerate(&self) -> Result<Vec<Summary>> {
        self.survey()?.whole()
    }

    fn survey(&self) -> Result<Survey> {
        let records = &self.0.records;
        records.survey(|record, config| self.system(record, config).summary())
    }

    fn remove_damaged(&self, id: &ContainerId) -> Result<Vec<String>> {
        remains::remove(&self.0, id)
    }

    fn ids(&self, beginning: &str) -> Result<Vec<ContainerId>> {
        self.0.records.ids(beginning)
    }

    fn features(&self) -> Features {
        let feature = |name, available, detail: &str| Feature {
            name,
            available,
            detail: detail.to_owned(),
            remedy: None,
        };
        Features {
            backend: "host",
            features: vec![
                feature(
                    "processes without isolation",
                    true,
                    "a job object keeps all that a process starts",
                ),
                feature(
                    "limits without isolation",
                    true,
                    "of a job: memory, processor time, number of processes",
                ),
                feature(
                    "consoles without isolation",
                    has_pseudo_consoles(),
                    "a pseudoconsole (Windows 10 1809), which ends with its owner",
                ),
            ],
        }
    }
}
