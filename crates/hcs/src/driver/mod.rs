//! The driver: what Docker's execution driver and its successor did with the service, over either set of calls.
//!
//! [`Driver::run`] and [`Driver::exec`] are the execution driver's: they return when the process has ended.
//! [`Driver::create`] and [`Driver::add_process`] are libcontainerd's: they return when the process has started, and its end
//! is an [`Event`]. Both make a container in the same way (`launch`) and end it in the same way (`ending`). Ends are noticed by
//! callbacks and dealt with by one thread (`reaper`), whatever the number of containers.

mod ending;
mod error;
mod event;
mod kill;
mod launch;
mod options;
mod process;
mod query;
mod reaper;
mod restart;
mod run;
mod streams;

pub use error::{BoxError, DriverError};
pub use event::{Event, EventKind, Exit, Receiver};
pub use options::{OptionError, parse_options};
pub use query::ProcessSummary;
pub use restart::{Restart, RestartManager};
pub use run::{StartHook, StartedProcess, Streams};
pub use streams::{Attach, Attached, Stdin};

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hoist_windows::input::InputEnd;

use crate::{Plan, Settings, calls::Calls};
use reaper::Reaper;

/// What the container's first process is called.
pub const INIT: &str = "init";

/// How long the driver waits at the end of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a system may take to end when it is asked to, and again when it is ended by force.
    pub ending: Duration,
    /// How long output is still copied after a process has ended.
    pub output: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            ending: Duration::from_secs(300),
            output: Duration::from_secs(1),
        }
    }
}

/// Containers of one set of calls.
pub struct Driver<C: Calls> {
    shared: Arc<Shared<C>>,
}

/// What the driver's threads share.
struct Shared<C: Calls> {
    calls: C,
    settings: Settings,
    receiver: Box<dyn Receiver>,
    containers: Mutex<HashMap<String, Arc<Container<C>>>>,
    /// Those that have ended and are due to be started again.
    restarting: Mutex<HashMap<String, Arc<RestartManager>>>,
    reaper: Reaper<C>,
    patience: Patience,
}

/// A container whose first process was started.
struct Container<C: Calls> {
    id: String,
    plan: Plan,
    system: C::System,
    endpoints: Vec<String>,
    init: Arc<Process<C>>,
    others: Mutex<BTreeMap<String, Arc<Process<C>>>>,
    started: Instant,
    /// It was ended by force: what its processes came to is not known afterwards.
    terminated: AtomicBool,
    /// It was signalled: it is not started again.
    stopped: AtomicBool,
    attach: Option<Arc<dyn Attach>>,
    restart: Option<Arc<RestartManager>>,
}

/// A process of a container.
struct Process<C: Calls> {
    name: String,
    pid: u32,
    handle: C::Process,
    command_line: String,
    console: bool,
    /// Where somebody writes to it.
    input: OnceLock<InputEnd>,
}

impl<C: Calls> Driver<C> {
    /// Over `calls`; `receiver` is told of events and warnings.
    pub fn new(calls: C, settings: Settings, receiver: Box<dyn Receiver>) -> Self {
        Self::with_patience(calls, settings, receiver, Patience::default())
    }

    /// The same, with other limits.
    pub fn with_patience(
        calls: C,
        settings: Settings,
        receiver: Box<dyn Receiver>,
        patience: Patience,
    ) -> Self {
        Self {
            shared: Arc::new_cyclic(|shared| Shared {
                calls,
                settings,
                receiver,
                containers: Mutex::default(),
                restarting: Mutex::default(),
                reaper: Reaper::new(shared.clone()),
                patience,
            }),
        }
    }
}

impl<C: Calls> Shared<C> {
    fn containers(&self) -> MutexGuard<'_, HashMap<String, Arc<Container<C>>>> {
        self.containers
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn restarting(&self) -> MutexGuard<'_, HashMap<String, Arc<RestartManager>>> {
        self.restarting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn container(&self, id: &str) -> Result<Arc<Container<C>>, DriverError> {
        self.containers()
            .get(id)
            .cloned()
            .ok_or_else(|| DriverError::NoContainer(id.to_owned()))
    }

    /// Forgets a container that has ended; not one that has taken its id since.
    fn forget(&self, container: &Arc<Container<C>>) {
        let mut containers = self.containers();
        if containers
            .get(&container.id)
            .is_some_and(|known| Arc::ptr_eq(known, container))
        {
            containers.remove(&container.id);
        }
    }

    fn warn(&self, words: &str, error: &dyn std::error::Error) {
        self.receiver.warning(&format!("{words}: {error}"));
    }
}

impl<C: Calls> Container<C> {
    fn others(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Process<C>>>> {
        self.others
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn process(&self, name: &str) -> Result<Arc<Process<C>>, DriverError> {
        if name == INIT {
            return Ok(Arc::clone(&self.init));
        }
        self.others()
            .get(name)
            .cloned()
            .ok_or_else(|| DriverError::NoProcess {
                container: self.id.clone(),
                process: name.to_owned(),
            })
    }

    fn was_terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }
}
