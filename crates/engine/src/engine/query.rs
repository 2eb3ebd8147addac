//! What containers are doing.

use std::collections::{BTreeMap, HashMap};

use hoist_compute::{ErrorKind, ProcessEntry, Properties, Query, Result, State, Summary};
use hoist_spec::ContainerId;

use crate::{Engine, Inspect, inspect::inspect};

/// One container in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// What the backend says of it.
    pub summary: Summary,
    /// It has ended, and its supervisor will start it once more.
    pub restarting: bool,
    /// Its first process was killed and does not end, for it waits inside the kernel: where.
    pub unkillable: Option<String>,
}

impl Engine {
    /// The containers, the newest first; without `all` only those that run, are paused or will be started
    /// once more.
    pub fn list(&self, all: bool) -> Result<Vec<Listed>> {
        let mut names: HashMap<ContainerId, String> = self
            .names
            .all()?
            .into_iter()
            .map(|(name, id)| (id, name))
            .collect();
        let mut listed = Vec::new();
        for summary in self.service.enumerate()? {
            let restarting = !runs(summary.state) && self.restarts(&summary.id)?;
            if all || restarting || runs(summary.state) {
                listed.push(Listed {
                    name: names.remove(&summary.id),
                    unkillable: self.unkillable(&summary),
                    summary,
                    restarting,
                });
            }
        }
        listed.sort_by_key(|container| std::cmp::Reverse(container.summary.created_at));
        Ok(listed)
    }

    /// What a list shows of the container.
    pub fn summary(&self, id: &ContainerId) -> Result<Summary> {
        Ok(self.properties(id, Query::default())?.summary)
    }

    /// The container's labels, which are the annotations of its spec; none of one that is gone.
    pub fn labels(&self, id: &ContainerId) -> Result<BTreeMap<String, String>> {
        let spec = match self.spec(id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            spec => spec?,
        };
        let labels = spec.oci.annotations().clone().unwrap_or_default();
        Ok(labels.into_iter().collect())
    }

    /// Whether the container's first process lives, paused or not.
    pub fn is_running(&self, id: &ContainerId) -> Result<bool> {
        Ok(runs(self.service.open(id)?.state()?))
    }

    /// The container's processes.
    pub fn processes(&self, id: &ContainerId) -> Result<Vec<ProcessEntry>> {
        let query = Query {
            statistics: false,
            processes: true,
        };
        Ok(self.properties(id, query)?.processes.unwrap_or_default())
    }

    /// The ids of the container's processes on this machine.
    pub fn pids(&self, id: &ContainerId) -> Result<Vec<u32>> {
        let processes = self.processes(id)?;
        Ok(processes.iter().map(|process| process.pid).collect())
    }

    /// What the backend says of the container.
    pub fn properties(&self, id: &ContainerId, query: Query) -> Result<Properties> {
        self.service.open(id)?.properties(query)
    }

    /// Everything known of the container, in the form of `docker inspect`.
    pub fn inspect(&self, id: &ContainerId) -> Result<Inspect> {
        let container = self.container(id)?;
        let properties = container.system.properties(Query::default())?;
        let added = container.system.added_mounts()?;
        let mut inspected = inspect(
            container.name(),
            container.spec(),
            &properties.summary,
            &added,
            self.volumes().folder(),
        );
        if !runs(properties.summary.state) && self.restarts(id)? {
            inspected.state.status = "restarting";
            inspected.state.restarting = true;
        }
        inspected.state.unkillable = self.unkillable(&properties.summary).is_some();
        Ok(inspected)
    }

    #[cfg(target_os = "linux")]
    fn unkillable(&self, summary: &Summary) -> Option<String> {
        let pid = summary.pid.filter(|_| runs(summary.state))?;
        crate::unkillable::waits_in(pid)
    }

    #[cfg(not(target_os = "linux"))]
    fn unkillable(&self, _summary: &Summary) -> Option<String> {
        None
    }

    #[cfg(target_os = "linux")]
    fn restarts(&self, id: &ContainerId) -> Result<bool> {
        self.is_restarting(id)
    }

    #[cfg(not(target_os = "linux"))]
    fn restarts(&self, _id: &ContainerId) -> Result<bool> {
        Ok(false)
    }
}

fn runs(state: State) -> bool {
    matches!(state, State::Running | State::Paused)
}
