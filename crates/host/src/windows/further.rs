//! Starting further processes in a container that runs.

use std::{
    os::windows::io::AsHandle,
    sync::{Arc, PoisonError},
};

use hoist_compute::{Confinement, Phase, Result, Stdio};
use hoist_spec::ProcessSpec;
use hoist_windows::error::system;

use super::{
    launch,
    process::{HostProcess, Watched},
    record::Started,
    run::{Run, Seen},
    streams::{self, ForProcess},
    sys::{Job, Process},
    system::{HostSystem, job_name},
};
use crate::plan::windows::{self as plan, Facts, Plan};
use crate::refused::not_without_isolation;

const VERB: &str = "start a process in";

impl HostSystem {
    /// The first process of a run, whose end this program sees to from now on.
    fn first(&self, run: &Run, started: &Started, process: Process) -> Result<Arc<Watched>> {
        let key = (run.record.id().clone(), run.number);
        let mut firsts = self
            .shared
            .firsts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = firsts.get(&key).and_then(std::sync::Weak::upgrade) {
            return Ok(first);
        }
        let job = run.job(VERB, started)?;
        let first = Arc::new(Watched::first(process, Arc::new(job), run.clone()));
        first.watch(None)?;
        firsts.retain(|_, first| first.strong_count() > 0);
        firsts.insert(key, Arc::downgrade(&first));
        Ok(first)
    }

    /// Starts a process; as `exec`, where it is that one.
    pub(super) fn start_further(
        &self,
        process: &ProcessSpec,
        confinement: Option<&Confinement>,
        exec: Option<&Run>,
        stdio: Stdio,
    ) -> Result<HostProcess> {
        let none = Confinement::default();
        let given = confinement.unwrap_or(&none);
        if given.root.is_some() {
            return Err(not_without_isolation("a root of its own"));
        }
        let plan = plan::further(
            &process.oci,
            process.user.as_deref(),
            &given.limits,
            &Facts::here(),
        )?;
        let run = self.run()?;
        let seen = run.look()?;
        let Seen::Running {
            started,
            process: first,
            is_paused: false,
        } = seen
        else {
            return Err(run.wrong_state(VERB, seen.state()));
        };
        let first = self.first(&run, &started, first)?;
        // What an exec leaves behind is told apart by the name of its job, and stays in the container.
        let name = job_name();
        let own = match (confinement, exec) {
            (None, _) => None,
            (Some(_), None) => Some(self.limited_job(Job::new(None), &plan.limits)?),
            (Some(_), Some(_)) => Some(self.limited_job(Job::within(&name), &plan.limits)?),
        };
        let prepared = streams::prepare(stdio, self.pipe_names(true).as_ref())?;
        let process = self.launch(&plan, &prepared.process, first.job())?;
        let watched = Watched::further(process, own, exec.cloned(), &first);
        let watched = Arc::new(watched.on(prepared.process.into_console(), prepared.caller));
        let begun = watched.assign_own().and_then(|()| {
            // Who ends or pauses the container from now on finds the process in its job.
            match run.look()? {
                Seen::Running {
                    is_paused: false, ..
                } if !run.is_forced() => {}
                seen => return Err(run.wrong_state(VERB, seen.state())),
            }
            if exec.is_some() {
                watched.record_exec(name)?;
            }
            watched.connect(prepared.carried)?;
            watched.process.resume().map_err(run.failed(VERB))?;
            // Not before: an end that is dealt with is recorded, and one that ran nothing has none.
            watched.watch(given.timeout)
        });
        if let Err(error) = begun {
            // Why it was not started is told.
            let _ = watched.end_unstarted();
            if let Some(exec) = exec {
                let _ = exec.record.forget_started(exec.number);
            }
            // It ends with its container, at whatever moment of its start.
            return Err(match run.look() {
                Ok(Seen::Running { .. }) => error,
                Ok(seen) => run.wrong_state(VERB, seen.state()).because(error),
                Err(gone) => gone,
            });
        }
        Ok(HostProcess::new(watched))
    }

    /// Makes the process of a plan, in a job, where it waits to be let go.
    pub(super) fn launch(&self, plan: &Plan, streams: &ForProcess, job: &Job) -> Result<Process> {
        let process = launch::create(plan, streams)?;
        job.assign(process.as_handle()).map_err(|error| {
            // Nothing of it has run.
            let _ = process.end();
            let operation = format!("put a process into the job of {}", self.record.what());
            system(Phase::Start, operation, error)
                .remedy("the caller is in a job that does not let another begin in it: start it outside of that")
        })?;
        Ok(process)
    }
}
