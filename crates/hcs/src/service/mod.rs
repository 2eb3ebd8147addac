//! The contract of `hoist-compute` over the `Hcs*` calls.
//!
//! - A container is a compute system of this service and a folder of records (`record`). The system is made when the container is, so that
//!   the service refuses what it cannot carry out; where it is gone before the start, the start makes it again.
//! - The service outlives its clients: a container runs on when its owner ends, and whoever learns of its end first records it.
//! - A further process that was made an object is a folder of records below its container's (`exec`), and the id and the time of creation
//!   that the service tells of its process.
//! - Ends are dealt with by one thread (`keeper`); a wait in another process listens to the service itself.

mod ended;
mod exec;
mod failure;
mod features;
mod keeper;
mod modify;
mod process;
mod readiness;
mod record;
mod remains;
mod request;
mod servicing;
mod signal;
mod state;
mod statistics;
mod system;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::{Duration, Instant},
};

use hoist_compute::{
    ComputeService, ComputeSystem, Error, ErrorKind, Feature, Features, Phase, Result, Summary,
    Survey,
};
use hoist_spec::{ContainerId, ContainerSpec};

use self::{
    keeper::Keeper,
    process::Watched,
    record::{Config, Record, Records},
    system::HcsSystem,
};
use crate::{
    Settings,
    calls::{CallError, CallResult, Calls, Ending, Failure, HcsCalls, HcsExports, HcsSystemHandle},
    documents::properties::SystemQuery,
};

/// For so long at most a caller who has ended something waits until its own process is told.
const UNTIL_TOLD: Duration = Duration::from_secs(5);

/// How long the service is given for what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a shutdown, before the system is ended by force.
    pub shutdown: Duration,
    /// For an end by force.
    pub terminate: Duration,
    /// How often processes and systems are asked whether they have ended, in case a notification was lost.
    pub poll: Duration,
}

impl Default for Patience {
    /// Docker 1.12's five minutes each.
    fn default() -> Self {
        Self {
            shutdown: Duration::from_secs(300),
            terminate: Duration::from_secs(300),
            poll: Duration::from_secs(10),
        }
    }
}

/// The Host Compute Service's containers of one owner, with their records below one folder.
pub struct HcsService<E: HcsExports> {
    shared: Arc<Shared<E>>,
}

/// By container or exec, and run.
type Owned<E> = HashMap<(String, u64), Weak<Watched<E>>>;

struct Shared<E: HcsExports> {
    calls: Arc<HcsCalls<E>>,
    settings: Settings,
    patience: Patience,
    records: Records,
    keeper: Keeper<E>,
    /// The service tells of updates that a run has left.
    tells_updates: bool,
    /// The first processes and execs that this program has started.
    owned: Mutex<Owned<E>>,
}

impl<E: HcsExports> HcsService<E> {
    /// The containers recorded below `root`, which is made where it is not there yet.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn new(
        calls: HcsCalls<E>,
        root: PathBuf,
        settings: Settings,
        patience: Patience,
    ) -> Result<Self> {
        let tells_updates = settings.asks_for_updates || servicing::is_told(features::build());
        Ok(Self {
            shared: Arc::new(Shared {
                calls: Arc::new(calls),
                keeper: Keeper::new(patience, settings.force_kill),
                settings,
                patience,
                records: Records::new(root)?,
                tells_updates,
                owned: Mutex::default(),
            }),
        })
    }
}

impl<E: HcsExports> Shared<E> {
    fn owned(&self) -> MutexGuard<'_, Owned<E>> {
        self.owned
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The process of a run, where this program has started it.
    fn owned_process(&self, record: &Record, run: u64) -> Option<Arc<Watched<E>>> {
        self.owned()
            .get(&(record.what(), run))
            .and_then(Weak::upgrade)
    }

    fn own(&self, record: &Record, run: u64, watched: &Arc<Watched<E>>) {
        let mut owned = self.owned();
        owned.retain(|_, process| process.strong_count() > 0);
        owned.insert((record.what(), run), Arc::downgrade(watched));
    }

    /// Waits until the end of a process that was ended is told to those who wait for it here.
    fn wait_until_told(&self, record: &Record, run: u64) {
        if let Some(watched) = self.owned_process(record, run) {
            watched.ended.wait(Some(UNTIL_TOLD));
        }
    }

    /// Opens a system; `None` where it is not there.
    fn open_system(&self, id: &ContainerId) -> CallResult<Option<HcsSystemHandle<E>>> {
        match self.calls.open_system(id.as_str()) {
            Ok(system) => Ok(Some(system)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a system and returns when it is gone: a shutdown where it is asked for, then by force, each with a time of its own.
    fn end_system(&self, id: &ContainerId, politely: bool) -> CallResult {
        let Some(system) = self.open_system(id)? else {
            return Ok(());
        };
        let ended = if politely && !self.settings.force_kill {
            self.carry_through(id, &system, self.patience.shutdown, |system| {
                self.calls.shutdown_system(system)
            })
            .or_else(|_| self.end_by_force(id, &system))
        } else {
            self.end_by_force(id, &system)
        };
        self.calls.close_system(&system);
        ended
    }

    fn end_by_force(&self, id: &ContainerId, system: &HcsSystemHandle<E>) -> CallResult {
        self.carry_through(id, system, self.patience.terminate, |system| {
            self.calls.terminate_system(system)
        })
    }

    /// Begins an end and waits for it. The notification may be lost: the service is asked, too.
    fn carry_through(
        &self,
        id: &ContainerId,
        system: &HcsSystemHandle<E>,
        limit: Duration,
        begin: impl FnOnce(&HcsSystemHandle<E>) -> CallResult<Ending>,
    ) -> CallResult {
        let deadline = Instant::now() + limit;
        match begin(system) {
            Ok(Ending::Ended | Ending::Gone) => return Ok(()),
            Ok(Ending::Pending) => {}
            Err(error) => return Err(error),
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if system.wait_exit(Some(left.min(self.patience.poll))) && system.has_ended() {
                return Ok(());
            }
            match self.calls.look(id.as_str(), "{}", None) {
                Err(error) if error.is_gone() => return Ok(()),
                _ if left.is_zero() => {
                    return Err(CallError::new("SystemExited", Failure::TimedOut(limit)));
                }
                // Nothing more is heard on this handle: it is asked again and again.
                _ if system.has_exited() => std::thread::sleep(Duration::from_millis(10)),
                _ => {}
            }
        }
    }
}

impl<E: HcsExports> HcsService<E> {
    fn system(&self, record: Record, config: Config) -> HcsSystem<E> {
        HcsSystem {
            shared: Arc::clone(&self.shared),
            record,
            config,
        }
    }
}

impl<E: HcsExports> ComputeService for HcsService<E> {
    fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Box<dyn ComputeSystem>> {
        let shared = &self.shared;
        let planned = request::plan(id, spec, &shared.settings)?;
        let record = shared.records.of(id);
        let _locked = shared.records.lock(&record)?;
        if record.is_made() {
            return Err(in_use(id));
        }
        if record.exists() {
            // What a crash has left of one that was not made.
            shared.end_system(id, false).map_err(|error| {
                failure::of_record(error, Phase::Create, "clean up after", &record)
            })?;
            shared.records.remove(&record)?;
        }
        let configuration = request::configuration(&planned, &*shared.calls, &shared.settings)
            .map_err(|error| request::refused(error, id))?;
        record.begin()?;
        let config = Config::new(spec.clone(), configuration);
        let made = shared
            .calls
            .create_system(id.as_str(), &config.configuration)
            .map_err(|error| {
                error
                    .into_error(Phase::Create, format!("create container {id}"))
                    .about(id.as_str())
            })
            .and_then(|system| {
                let written = record.write_config(&config);
                if written.is_err() {
                    // The error is told already.
                    let _ = shared.end_by_force(id, &system);
                }
                written
            });
        if let Err(error) = made {
            // Why it could not be made matters more; the next who makes it removes what is left.
            let _ = shared.records.remove(&record);
            return Err(error);
        }
        Ok(Box::new(self.system(record, config)))
    }

    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>> {
        let record = self.shared.records.of(id);
        let config = record.config()?;
        Ok(Box::new(self.system(record, config)))
    }

    fn enumerate(&self) -> Result<Vec<Summary>> {
        self.survey()?.whole()
    }

    fn survey(&self) -> Result<Survey> {
        let records = &self.shared.records;
        records.survey(|record, config| self.system(record, config).summary())
    }

    fn remove_damaged(&self, id: &ContainerId) -> Result<Vec<String>> {
        self.shared.remove_damaged(id)
    }

    fn ids(&self, beginning: &str) -> Result<Vec<ContainerId>> {
        self.shared.records.ids(beginning)
    }

    fn features(&self) -> Features {
        let query = SystemQuery {
            owners: vec![self.shared.settings.owner.clone()],
            ..SystemQuery::default()
        };
        let answer = serde_json::to_string(&query)
            .map_err(|error| error.to_string())
            .and_then(|query| {
                self.shared
                    .calls
                    .enumerate(&query)
                    .map_err(|error| error.to_string())
            });
        let service = match answer {
            Ok(_) => Feature {
                name: "host compute service",
                available: true,
                detail: "vmcompute.dll is loaded, and the service answers".to_owned(),
                remedy: None,
            },
            Err(reason) => Feature {
                name: "host compute service",
                available: false,
                detail: reason,
                remedy: Some("start the service vmcompute".to_owned()),
            },
        };
        let mut all = vec![service];
        all.extend(features::of_windows(features::build()));
        Features {
            backend: "hcs",
            features: all,
        }
    }
}

fn in_use(id: &ContainerId) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        Phase::Create,
        format!("create container {id}"),
    )
    .about(id.as_str())
    .remedy("use another id, or remove the container that has it")
}
