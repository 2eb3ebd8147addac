//! What can be asked of the driver.

use super::{Driver, DriverError, Event, EventKind, Exit};
use crate::{calls::Calls, documents::properties::SystemProperties};

/// One process of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSummary {
    /// Its id.
    pub pid: u32,
    /// The first process: its program; a further one: its command line.
    pub command: String,
}

impl<C: Calls> Driver<C> {
    /// Whether the container's first process was started and has not ended.
    pub fn is_running(&self, container: &str) -> bool {
        self.shared.containers().contains_key(container)
    }

    /// The processes that the driver has started in a container and that have not ended, the first one first, then by name.
    ///
    /// # Errors
    /// The container does not run.
    pub fn summary(&self, container: &str) -> Result<Vec<ProcessSummary>, DriverError> {
        let container = self.shared.container(container)?;
        let others = container.others();
        Ok(std::iter::once(&container.init)
            .chain(others.values())
            .map(|process| ProcessSummary {
                pid: process.pid,
                command: process.command_line.clone(),
            })
            .collect())
    }

    /// The ids of these processes.
    ///
    /// # Errors
    /// The container does not run.
    pub fn pids(&self, container: &str) -> Result<Vec<u32>, DriverError> {
        let summary = self.summary(container)?;
        Ok(summary.into_iter().map(|process| process.pid).collect())
    }

    /// What the service says of a running container, statistics and processes included.
    ///
    /// # Errors
    /// The container does not run, or the service does not tell.
    pub fn properties(&self, container: &str) -> Result<SystemProperties, DriverError> {
        const QUERY: &str = r#"{"PropertyTypes":["Statistics","ProcessList"]}"#;
        let container = self.shared.container(container)?;
        let text = self
            .shared
            .calls
            .system_properties(&container.system, QUERY)?;
        SystemProperties::read(&text)
            .map_err(|_| DriverError::Unsupported("the service's answer is no properties document"))
    }

    /// Freezes a container: with these documents and exports there is no way to.
    ///
    /// # Errors
    /// Always.
    pub fn pause(&self, container: &str) -> Result<(), DriverError> {
        self.shared.container(container)?;
        Err(DriverError::Unsupported(
            "containers of this driver cannot be paused or resumed",
        ))
    }

    /// Changes a running container's limits: with these documents and exports there is no way to.
    ///
    /// # Errors
    /// Always.
    pub fn update(&self, container: &str) -> Result<(), DriverError> {
        self.shared.container(container)?;
        Err(DriverError::Unsupported(
            "limits of a running container cannot be changed by this driver",
        ))
    }

    /// After the driver's own end: ends a system that outlived it, as its processes cannot be heard any more, and tells that it has
    /// ended. One that is not there any more has ended with an unknown code.
    ///
    /// # Errors
    /// The system cannot be opened or ended.
    pub fn restore(&self, container: &str) -> Result<(), DriverError> {
        let shared = &self.shared;
        match shared.calls.open_system(container) {
            Ok(system) => {
                let stopped = shared.terminate(&system, None);
                shared.calls.close_system(&system);
                if let Some(error) = stopped.failed {
                    return Err(error.into());
                }
            }
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error.into()),
        }
        shared
            .receiver
            .event(&Event {
                container: container.to_owned(),
                kind: EventKind::Exit,
                process: String::new(),
                pid: 0,
                exit: Some(Exit::Unknown),
                update_pending: false,
            })
            .map_err(DriverError::Event)
    }
}
