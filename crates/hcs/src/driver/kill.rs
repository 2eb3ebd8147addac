//! Signals, of which Windows of that time knew one: the end.

use std::sync::atomic::Ordering;

use super::{Container, Driver, DriverError, INIT, Shared};
use crate::{
    Dialect,
    calls::{Calls, Ending},
};

/// SIGKILL.
const KILL: i32 = 9;

impl<C: Calls> Driver<C> {
    /// Ends a container for a signal: at once for SIGKILL, by way of its first process for any other. It is not started again; one
    /// that is due to be has ended for good.
    ///
    /// # Errors
    /// The container does not run, or a call fails; that it has ended already is none.
    pub fn signal(&self, container: &str, signal: i32) -> Result<(), DriverError> {
        let shared = &self.shared;
        if let Some(restart) = shared.restarting().get(container) {
            restart.cancel();
            return Ok(());
        }
        let container = shared.container(container)?;
        container.stopped.store(true, Ordering::Release);
        let by_force = signal == KILL || shared.settings.force_kill;
        match shared.settings.dialect {
            Dialect::Docker19 => {
                shared.end_first_process(&container);
                shared.end_system(&container, shared.settings.force_kill)
            }
            Dialect::Docker110 => {
                if !by_force {
                    shared.end_first_process(&container);
                }
                shared.end_system(&container, by_force)
            }
            Dialect::Docker112 | Dialect::Schema1 | Dialect::Schema2 if by_force => {
                shared.end_system(&container, true)
            }
            Dialect::Docker112 | Dialect::Schema1 | Dialect::Schema2 => {
                match shared
                    .calls
                    .terminate_process(&container.system, &container.init.handle)
                {
                    Err(error) if !error.is_gone() => Err(error.into()),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Ends a further process, whatever the signal.
    ///
    /// # Errors
    /// The container or process does not run, it is the first one, or the call fails.
    pub fn signal_process(&self, container: &str, process: &str) -> Result<(), DriverError> {
        let shared = &self.shared;
        let container = shared.container(container)?;
        if process == INIT {
            return Err(DriverError::NoProcess {
                container: container.id.clone(),
                process: process.to_owned(),
            });
        }
        let process = container.process(process)?;
        let ended = match shared.settings.dialect {
            // Docker 1.12 mixed the sets of calls here.
            Dialect::Docker112 => shared
                .calls
                .terminate_process_by_id(&container.id, process.pid),
            _ => shared
                .calls
                .terminate_process(&container.system, &process.handle),
        };
        match ended {
            Err(error) if !error.is_gone() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl<C: Calls> Shared<C> {
    /// The system is ended next: that its process could not be is worth no more than a warning.
    fn end_first_process(&self, container: &Container<C>) {
        if let Err(error) = self
            .calls
            .terminate_process(&container.system, &container.init.handle)
        {
            let words = format!("process {} of {}", container.init.pid, container.id);
            self.warn(&words, &error);
        }
    }

    fn end_system(&self, container: &Container<C>, by_force: bool) -> Result<(), DriverError> {
        let ending = if by_force {
            // Before the call: its processes may be gone before it returns.
            container.terminated.store(true, Ordering::Release);
            self.calls.terminate_system(&container.system)
        } else {
            self.calls.shutdown_system(&container.system)
        };
        match ending {
            Ok(Ending::Ended | Ending::Gone | Ending::Pending) => Ok(()),
            Err(error) => {
                if by_force {
                    container.terminated.store(false, Ordering::Release);
                }
                Err(error.into())
            }
        }
    }
}
