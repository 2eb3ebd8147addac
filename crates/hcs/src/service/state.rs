//! What a container is at this moment.

use hoist_compute::{Result, Summary};

use super::{
    process,
    record::{Config, Started},
    system::HcsSystem,
};
use crate::calls::{CallError, Failure, HcsExports};

/// What was found of a container.
pub(super) type Seen = hoist_windows::seen::Seen<Started>;

impl<E: HcsExports> HcsSystem<E> {
    /// Looks at the records, and where they tell no end asks the service.
    pub(super) fn look(&self) -> Result<(u64, Seen)> {
        let run = self.record.run()?;
        Ok((run, self.look_at(run)?))
    }

    pub(super) fn look_at(&self, run: u64) -> Result<Seen> {
        let started = self.record.started(run)?;
        if let Some(status) = self.record.exit(run)? {
            return Ok(Seen::Stopped { started, status });
        }
        let Some(started) = started else {
            // One that was deleted is not created.
            self.record.config::<Config>()?;
            return Ok(Seen::Created);
        };
        let looked = self
            .shared
            .calls
            .look(self.record.id().as_str(), "{}", Some(started.pid));
        let code = match looked {
            Ok(look) => match look.process {
                Some(Ok(process)) if !process.exited => {
                    return Ok(Seen::Running {
                        started,
                        process: (),
                        is_paused: look.properties.state == "Paused",
                    });
                }
                Some(Ok(process)) => self.shared.calls.code_of(process),
                Some(Err(error)) if error.is_gone() => Err(error),
                Some(Err(error)) => return Err(self.unseen(error)),
                None => Err(CallError::new("HcsOpenProcess", Failure::NotThere)),
            },
            Err(error) if error.is_gone() => Err(error),
            Err(error) => return Err(self.unseen(error)),
        };
        // Its owner records an end before it lets the process go: what is gone now has been recorded, or nobody knows more.
        if let Some(status) = self.record.exit(run)? {
            return Ok(Seen::Stopped {
                started: Some(started),
                status,
            });
        }
        let status = process::status(code, self.record.is_marked("forced", run));
        let status = self.record.write_exit(run, &status)?;
        Ok(Seen::Stopped {
            started: Some(started),
            status,
        })
    }

    fn unseen(&self, error: CallError) -> hoist_compute::Error {
        self.failed(error, hoist_compute::Phase::Operate, "ask about")
    }

    pub(super) fn summary(&self) -> Result<Summary> {
        let (_, seen) = self.look()?;
        Ok(self.summary_of(&seen))
    }

    pub(super) fn summary_of(&self, seen: &Seen) -> Summary {
        let process = self.config.spec.oci.process().as_ref();
        seen.summary(&self.record, process, self.config.created_at)
    }
}
