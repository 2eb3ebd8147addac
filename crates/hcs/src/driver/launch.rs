//! Making a container and starting its first process.

use std::{
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
    time::Instant,
};

use super::{
    Attach, Attached, Container, Driver, DriverError, Event, EventKind, INIT, Process,
    RestartManager, Shared, Stdin,
};
use crate::{
    Dialect, Guid, Plan,
    calls::{Calls, Started},
    documents::to_text,
    request::Refusal,
};

/// A container whose first process has just been started, and its pipes.
pub(super) struct Launched<C: Calls> {
    pub(super) container: Arc<Container<C>>,
    pub(super) stdin: Option<std::fs::File>,
    pub(super) stdout: Option<std::fs::File>,
    pub(super) stderr: Option<std::fs::File>,
}

/// What stays with a container for its life.
#[derive(Clone, Default)]
pub(super) struct Company {
    pub(super) attach: Option<Arc<dyn Attach>>,
    pub(super) restart: Option<Arc<RestartManager>>,
}

impl<C: Calls> Driver<C> {
    /// Makes a container and starts its first process; returns when that has started. Its end is an [`Event`].
    ///
    /// A servicing container is the exception: it has no streams and no events, and this returns when it has ended.
    ///
    /// # Errors
    /// The request is refused, a call fails, or `attach` does: then nothing of the container is left.
    /// [`DriverError::Event`]: the receiver refused the start event; the container runs.
    pub fn create(
        &self,
        plan: Plan,
        attach: Arc<dyn Attach>,
        restart: Option<Arc<RestartManager>>,
    ) -> Result<(), DriverError> {
        told_of_exits::<C>()?;
        let company = Company {
            attach: Some(attach),
            restart,
        };
        self.shared.create(plan, company)
    }
}

/// What is not waited for must be told of.
pub(super) fn told_of_exits<C: Calls>() -> Result<(), DriverError> {
    if C::TELLS_EXITS {
        return Ok(());
    }
    Err(DriverError::Unsupported(
        "these builds tell of an end only to whoever waits for it: use run and exec",
    ))
}

impl<C: Calls> Shared<C> {
    pub(super) fn create(
        self: &Arc<Self>,
        plan: Plan,
        company: Company,
    ) -> Result<(), DriverError> {
        let servicing = plan.request().servicing;
        let launched = self.launch(plan, company)?;
        let container = launched.container;
        if servicing {
            return self.service(&container);
        }
        let attached = Attached {
            stdin: launched
                .stdin
                .map(|pipe| self.stdin(pipe, &container, &container.init)),
            stdout: launched.stdout,
            stderr: launched.stderr,
            console: container.init.console,
        };
        if let Some(attach) = &container.attach
            && let Err(source) = attach.attach(INIT, attached)
        {
            self.end_by_force(&container);
            return Err(DriverError::Attach {
                process: INIT.to_owned(),
                source,
            });
        }
        self.containers()
            .insert(container.id.clone(), Arc::clone(&container));
        let told = self.receiver.event(&Event {
            container: container.id.clone(),
            kind: EventKind::StartContainer,
            process: String::new(),
            pid: container.init.pid,
            exit: None,
            update_pending: false,
        });
        // Only now: an exit is never told before the start.
        self.watch(&container, &container.init);
        told.map_err(DriverError::Event)
    }

    /// Makes the system, starts it and its first process.
    pub(super) fn launch(&self, plan: Plan, company: Company) -> Result<Launched<C>, DriverError> {
        let id = plan.request().id.clone();
        if self.containers().contains_key(&id) {
            return Err(DriverError::AlreadyRuns(id));
        }
        let layers = plan
            .layer_names()
            .map(|name| self.calls.layer_guid(name))
            .collect::<Result<Vec<Guid>, _>>()?;
        let endpoints = self.endpoints(&plan)?;
        let made = plan
            .configuration(&layers, &endpoints)
            .map_err(DriverError::from)
            .and_then(|text| Ok(self.calls.create_system(&id, &text)?));
        let system = match made {
            Ok(system) => system,
            Err(error) => {
                self.delete_endpoints(&endpoints);
                return Err(error);
            }
        };
        let started = self.start(&plan, &system);
        let Started {
            process,
            pid,
            stdin,
            stdout,
            stderr,
        } = match started {
            Ok(started) => started,
            Err(error) => {
                self.delete_endpoints(&endpoints);
                return Err(error);
            }
        };
        let request = &plan.request().process;
        let init = Arc::new(Process {
            name: INIT.to_owned(),
            pid,
            handle: process,
            command_line: request.program().to_owned(),
            console: request.console,
            input: OnceLock::new(),
        });
        Ok(Launched {
            container: Arc::new(Container {
                id,
                plan,
                system,
                endpoints,
                init,
                others: Mutex::default(),
                started: Instant::now(),
                terminated: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
                attach: company.attach,
                restart: company.restart,
            }),
            stdin,
            stdout,
            stderr,
        })
    }

    /// Starts a system and its first process; after an error the system has ended.
    fn start(&self, plan: &Plan, system: &C::System) -> Result<Started<C::Process>, DriverError> {
        if let Err(error) = self.calls.start_system(system) {
            self.abandon(system);
            return Err(error.into());
        }
        self.calls
            .create_process(system, plan.process_parameters(), plan.pipes())
            .map_err(|error| {
                // The execution drivers shut down what runs, and libcontainerd ended by force what runs nothing.
                if matches!(
                    self.settings.dialect,
                    Dialect::Docker19 | Dialect::Docker110
                ) {
                    let stopped = self.stop(system);
                    self.report_stop(&plan.request().id, &stopped);
                    self.calls.close_system(system);
                } else {
                    self.abandon(system);
                }
                error.into()
            })
    }

    fn endpoints(&self, plan: &Plan) -> Result<Vec<String>, DriverError> {
        let Some(endpoint) = plan.endpoint() else {
            return Ok(Vec::new());
        };
        let text = to_text(endpoint).map_err(|_| Refusal::NotExpressible {
            what: "the endpoint".to_owned(),
            why: "it has no form in JSON",
        })?;
        Ok(vec![self.calls.create_endpoint(&text)?])
    }

    pub(super) fn delete_endpoints(&self, endpoints: &[String]) {
        for endpoint in endpoints {
            if let Err(error) = self.calls.delete_endpoint(endpoint) {
                self.warn(&format!("endpoint {endpoint} is left"), &error);
            }
        }
    }

    pub(super) fn stdin(
        self: &Arc<Self>,
        pipe: std::fs::File,
        container: &Container<C>,
        process: &Arc<Process<C>>,
    ) -> Stdin {
        Stdin::new(
            pipe,
            Arc::downgrade(self),
            Arc::clone(process),
            container.plan.request().image_build,
        )
    }
}
