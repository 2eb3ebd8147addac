//! What containers are doing.

use std::collections::{BTreeMap, HashMap};

use hoist_compute::{
    Error, ErrorKind, ProcessEntry, Properties, Query, Result, State, Summary, Survey,
};
use hoist_spec::ContainerId;

#[cfg(target_os = "linux")]
use crate::InspectRestartPolicy;
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

/// The containers, as far as they can be read.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can, the newest first.
    pub containers: Vec<Listed>,
    /// Why the others cannot. The subject of each error is the container's id.
    pub unreadable: Vec<Error>,
}

impl Engine {
    /// The containers, the newest first; without `all` only those that run, are paused or will be started
    /// once more. One that cannot be read is left out: [`Engine::survey`] tells of it.
    pub fn list(&self, all: bool) -> Result<Vec<Listed>> {
        Ok(self.survey(all)?.containers)
    }

    /// As [`Engine::list`], with the reason for each container that cannot be read.
    pub fn survey(&self, all: bool) -> Result<Listing> {
        let mut names: HashMap<ContainerId, String> = self
            .names
            .all()?
            .into_iter()
            .map(|(name, id)| (id, name))
            .collect();
        let mut listed = Vec::new();
        let Survey {
            summaries,
            mut unreadable,
        } = self.service.survey()?;
        for summary in summaries {
            let restarting = match runs(summary.state) {
                true => Ok(false),
                false => self.restarts(&summary.id),
            };
            let restarting = match restarting {
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    unreadable.push(error.about(summary.id.as_str()));
                    continue;
                }
                restarting => restarting?,
            };
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
        Ok(Listing {
            containers: listed,
            unreadable,
        })
    }

    /// What a list shows of the container.
    pub fn summary(&self, id: &ContainerId) -> Result<Summary> {
        Ok(self.properties(id, Query::default())?.summary)
    }

    /// The container's labels, which are the annotations of its spec; none of one that is gone.
    pub fn labels(&self, id: &ContainerId) -> Result<BTreeMap<String, String>> {
        let labels = match self.with_spec(id, |spec| spec.oci.annotations().clone()) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            labels => labels?,
        };
        Ok(labels.unwrap_or_default().into_iter().collect())
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
        self.add_supervision(id, &mut inspected)?;
        Ok(inspected)
    }

    /// What there is to tell of a container that has a supervisor.
    #[cfg(target_os = "linux")]
    fn add_supervision(&self, id: &ContainerId, inspected: &mut Inspect) -> Result<()> {
        use crate::supervise::{LogDriver, RestartPolicy, WhenLogFails};
        let Some(options) = self.supervise_options(id)? else {
            return Ok(());
        };
        let host = &mut inspected.host_config;
        host.auto_remove = options.remove;
        host.restart_policy = match options.restart {
            RestartPolicy::No => InspectRestartPolicy::default(),
            RestartPolicy::Always => restart_policy("always", None),
            RestartPolicy::UnlessStopped => restart_policy("unless-stopped", None),
            RestartPolicy::OnFailure { most } => restart_policy("on-failure", most),
        };
        host.log_config.r#type = match options.log.driver {
            LogDriver::JsonFile => "json-file",
            LogDriver::None => "none",
        };
        if options.log.driver == LogDriver::JsonFile {
            let mode = match options.log.when_it_fails {
                WhenLogFails::Drop => "non-blocking",
                WhenLogFails::Block => "blocking",
            };
            host.log_config.config = [
                ("max-size", options.log.max_size.to_string()),
                ("max-file", options.log.max_files.to_string()),
                ("mode", mode.to_owned()),
            ]
            .into();
            inspected.log_path = self.log_path(id).display().to_string();
        }
        inspected.config.open_stdin = options.interactive;
        if let Some((status, _)) = self.supervisor_status(id)? {
            inspected.restart_count = status.restarts;
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn add_supervision(&self, _id: &ContainerId, _inspected: &mut Inspect) -> Result<()> {
        Ok(())
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
    pub(super) fn restarts(&self, id: &ContainerId) -> Result<bool> {
        self.is_restarting(id)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn restarts(&self, _id: &ContainerId) -> Result<bool> {
        Ok(false)
    }
}

#[cfg(target_os = "linux")]
fn restart_policy(name: &'static str, most: Option<u32>) -> InspectRestartPolicy {
    InspectRestartPolicy {
        name,
        maximum_retry_count: most.unwrap_or(0),
    }
}

fn runs(state: State) -> bool {
    matches!(state, State::Running | State::Paused)
}
