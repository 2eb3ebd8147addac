//! Ending systems: asked first, by force where that does not help, with limits; and what is done after a process's end.

use std::sync::Arc;

use super::{Container, DriverError, Exit, INIT, Process, Shared};
use crate::{
    calls::{CallError, CallResult, Calls, Ending, Failure, Waited},
    documents::properties::{PENDING_UPDATES_QUERY, SystemProperties},
    plan::asks_for_updates,
};

/// What came of ending a system.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    /// It did not end when it was asked to.
    pub(super) refused: Option<CallError>,
    /// It did not end by force either.
    pub(super) failed: Option<CallError>,
}

impl<C: Calls> Shared<C> {
    /// Asks a system to end, and ends it by force where that fails or takes too long.
    pub(super) fn stop(&self, system: &C::System) -> Stopped {
        if self.settings.force_kill {
            return self.terminate(system, None);
        }
        let asked = self
            .calls
            .shutdown_system(system)
            .and_then(|ending| self.wait_ending(system, ending));
        match asked {
            Ok(()) => Stopped::default(),
            Err(refused) => self.terminate(system, Some(refused)),
        }
    }

    /// Ends a system by force.
    pub(super) fn terminate(&self, system: &C::System, refused: Option<CallError>) -> Stopped {
        let failed = self
            .calls
            .terminate_system(system)
            .and_then(|ending| self.wait_ending(system, ending))
            .err();
        Stopped { refused, failed }
    }

    fn wait_ending(&self, system: &C::System, ending: Ending) -> CallResult {
        match ending {
            Ending::Ended | Ending::Gone => Ok(()),
            Ending::Pending => self.calls.wait_system(system, self.patience.ending),
        }
    }

    /// Ends and lets go of a system in which no process was started.
    pub(super) fn abandon(&self, system: &C::System) {
        if let Some(error) = self.terminate(system, None).failed {
            self.warn("a system whose start failed is left", &error);
        }
        self.calls.close_system(system);
    }

    pub(super) fn report_stop(&self, id: &str, stopped: &Stopped) {
        if let Some(error) = &stopped.refused {
            self.warn(&format!("container {id} was ended by force"), error);
        }
        if let Some(error) = &stopped.failed {
            self.warn(&format!("container {id} could not be ended"), error);
        }
    }

    /// Ends a container whose process nobody will wait for.
    pub(super) fn end_by_force(&self, container: &Container<C>) {
        let stopped = self.terminate(&container.system, None);
        self.report_stop(&container.id, &stopped);
        self.close_process(&container.init);
        self.let_go(container);
    }

    /// Lets go of a process that has ended: of its input, too, which its writer may still hold.
    pub(super) fn close_process(&self, process: &Process<C>) {
        if let Some(input) = process.input.get() {
            input.end();
        }
        self.calls.close_process(&process.handle);
    }

    /// Closes a system that has ended, and removes what was made for it.
    pub(super) fn let_go(&self, container: &Container<C>) {
        self.calls.close_system(&container.system);
        self.delete_endpoints(&container.endpoints);
    }

    /// Runs a servicing container to its end.
    pub(super) fn service(&self, container: &Arc<Container<C>>) -> Result<(), DriverError> {
        let waited = self
            .calls
            .wait_process(&container.system, &container.init.handle);
        let code = self.code_of(container, &container.init, waited);
        self.close_process(&container.init);
        let done = match code {
            Ok(0) => {
                // A shutdown is what merges the updates: one that failed has lost them.
                let stopped = self.stop(&container.system);
                match stopped.refused.or(stopped.failed) {
                    Some(error) => Err(error.into()),
                    None => Ok(()),
                }
            }
            Ok(code) => {
                let stopped = self.terminate(&container.system, None);
                self.report_stop(&container.id, &stopped);
                Err(DriverError::ServicingFailed {
                    container: container.id.clone(),
                    code,
                })
            }
            Err(error) => {
                let stopped = self.terminate(&container.system, None);
                self.report_stop(&container.id, &stopped);
                Err(error.into())
            }
        };
        self.let_go(container);
        done
    }

    /// The exit code that a wait has told; what went wrong with the wait itself is a warning.
    pub(super) fn code_of(
        &self,
        container: &Container<C>,
        process: &Process<C>,
        waited: Waited,
    ) -> CallResult<i32> {
        if let Some(error) = &waited.failure
            && !error
                .hresult()
                .is_some_and(|hresult| hresult.is_broken_pipe())
            && !(error.failure == Failure::SystemExited && container.was_terminated())
        {
            let words = format!("waiting for {} of container {}", process.name, container.id);
            self.warn(&words, error);
        }
        waited.code
    }

    /// How a process ended, where there is nobody to whom an error could be given.
    pub(super) fn exit_of(
        &self,
        container: &Container<C>,
        process: &Process<C>,
        waited: Waited,
    ) -> Exit {
        match self.code_of(container, process, waited) {
            Ok(code) => Exit::Code(code),
            Err(_) if container.was_terminated() => Exit::Terminated,
            Err(_) => Exit::Unknown,
        }
    }

    /// Whether updates wait to be installed in a system that is about to end.
    pub(super) fn updates_pending(&self, container: &Container<C>) -> bool {
        if !asks_for_updates(self.settings.dialect) {
            return false;
        }
        let words = format!(
            "whether updates wait for {INIT} of {} is not known",
            container.id
        );
        match self
            .calls
            .system_properties(&container.system, PENDING_UPDATES_QUERY)
        {
            Ok(text) => match SystemProperties::read(&text) {
                Ok(properties) => properties.are_updates_pending,
                Err(error) => {
                    self.warn(&words, &error);
                    false
                }
            },
            Err(error) => {
                self.warn(&words, &error);
                false
            }
        }
    }
}
