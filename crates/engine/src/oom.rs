//! Notice of out-of-memory kills while a container runs.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{ComputeService, Error, ErrorKind, Phase, Query, Result, State};
use hoist_spec::ContainerId;

/// How often a waiting [`OomNotice`] looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// What a waiting [`OomNotice`] learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oom {
    /// The kernel has killed processes of the container for want of memory: so many in all, since its start.
    Killed(u64),
    /// The container has ended, and nothing was killed that was not told before.
    Ended,
}

/// A live notice of a container's out-of-memory kills.
///
/// It reads the kernel's own counter, so that nothing is missed between two looks. A kill of the first process, with which the
/// container ends, is taken from its exit status.
#[derive(Clone)]
pub struct OomNotice {
    service: Arc<dyn ComputeService>,
    id: ContainerId,
    told: u64,
}

impl std::fmt::Debug for OomNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OomNotice")
            .field("id", &self.id)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

impl OomNotice {
    pub(crate) fn new(service: Arc<dyn ComputeService>, id: ContainerId) -> Self {
        Self {
            service,
            id,
            told: 0,
        }
    }

    /// Waits until there are more kills than were told before, or until the container has ended. The counter is
    /// looked at every 100 ms. `Timeout` where `timeout` (none: for ever) runs out first.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Oom> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let (kills, ended) = self.look()?;
            if kills > self.told {
                self.told = kills;
                return Ok(Oom::Killed(kills));
            }
            if ended {
                return Ok(Oom::Ended);
            }
            let left = until.map_or(INTERVAL, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    Phase::Operate,
                    "wait for an out-of-memory kill",
                )
                .about(self.id.as_str()));
            }
            thread::sleep(left.min(INTERVAL));
        }
    }

    /// The kills so far, and whether there can be no more.
    fn look(&self) -> Result<(u64, bool)> {
        let query = Query {
            statistics: true,
            processes: false,
        };
        let properties = match self
            .service
            .open(&self.id)
            .and_then(|system| system.properties(query))
        {
            Ok(properties) => properties,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((self.told, true)),
            Err(error) => return Err(error),
        };
        let counted = properties
            .statistics
            .and_then(|statistics| statistics.memory)
            .map_or(0, |memory| memory.oom_kills);
        let fatal = properties
            .summary
            .exit
            .is_some_and(|exit| exit.oom.is_some());
        Ok((
            // The cgroup with the counter may be gone before the exit status is.
            counted.max(if fatal { self.told.max(1) } else { 0 }),
            properties.summary.state == State::Stopped,
        ))
    }
}
