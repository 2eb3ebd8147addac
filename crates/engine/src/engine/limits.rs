//! Containers that stand still, other limits, what is used, other names.

use std::collections::HashMap;

use hoist_compute::{Error, ErrorKind, Phase, Query, Result, State, Statistics};
use hoist_spec::{ContainerId, oci::LinuxResources};

use crate::Engine;

/// What one container uses at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// The container.
    pub id: ContainerId,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// What it uses.
    pub statistics: Statistics,
}

/// What a removal of everything that does not run has removed, and why not what it has not.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The containers that are gone.
    pub removed: Vec<ContainerId>,
    /// What could not be removed.
    pub failures: Vec<Error>,
    /// Containers that cannot be read, which stay.
    pub unreadable: Vec<Error>,
}

impl Engine {
    /// Freezes every process of the container.
    pub fn pause(&self, id: &ContainerId) -> Result<()> {
        self.service.open(id)?.pause()
    }

    /// Lets a paused container go on.
    pub fn resume(&self, id: &ContainerId) -> Result<()> {
        self.service.open(id)?.resume()
    }

    /// Changes limits of a container: all of them, or after an error none. One that does not run has them when it is started.
    pub fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<()> {
        self.service.open(id)?.modify(resources)
    }

    /// What the container uses. One that does not run gives `InvalidState`.
    pub fn stats(&self, id: &ContainerId) -> Result<Usage> {
        let query = Query {
            statistics: true,
            processes: false,
        };
        let properties = self.properties(id, query)?;
        if !matches!(properties.summary.state, State::Running | State::Paused) {
            let operation = format!("look at what container {id} uses: it is not running");
            return Err(
                Error::new(ErrorKind::InvalidState, Phase::Operate, operation).about(id.as_str()),
            );
        }
        Ok(Usage {
            name: self.names.of(id)?,
            statistics: properties.statistics.unwrap_or_default(),
            id: id.clone(),
        })
    }

    /// Gives the container another name. One in use is `AlreadyExists`, and the container keeps the one it has.
    pub fn rename(&self, id: &ContainerId, name: &str) -> Result<()> {
        // It must be there.
        self.service.open(id)?;
        let before = self.names.of(id)?;
        if before.as_deref() == Some(name) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                Phase::Operate,
                format!("rename container {id}: {name} is its name"),
            ));
        }
        self.names
            .reserve(name, id, |holder| self.exists(holder))?
            .keep();
        match before {
            Some(before) => self.names.release_name(&before, id),
            None => Ok(()),
        }
    }

    /// Removes every container that has ended, and of those whose making was cut short what is left. One that is created and
    /// not started stays: somebody is about to start it.
    pub fn prune(&self) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let listing = self.survey(true)?;
        pruned.unreadable = listing.unreadable;
        for listed in listing.containers {
            if listed.summary.state != State::Stopped || listed.restarting {
                continue;
            }
            let id = listed.summary.id;
            match self.clean(&id, false) {
                Ok(()) => pruned.removed.push(id),
                // Somebody has started it once more.
                Err(error) if error.kind() == ErrorKind::InvalidState => {}
                Err(error) => pruned.failures.push(error),
            }
        }
        self.forget_names_of_nobody(&mut pruned)?;
        Ok(pruned)
    }

    /// Frees names whose containers are gone.
    fn forget_names_of_nobody(&self, pruned: &mut Pruned) -> Result<()> {
        let mut there: HashMap<ContainerId, bool> = HashMap::new();
        for (name, id) in self.names.all()? {
            let exists = match there.get(&id) {
                Some(exists) => *exists,
                None => self.exists(&id)?,
            };
            there.insert(id.clone(), exists);
            if !exists && let Err(error) = self.names.release_name(&name, &id) {
                pruned.failures.push(error);
            }
        }
        Ok(())
    }
}
