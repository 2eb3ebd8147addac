//! Two backends as one: containers of the platform's own kind, and plain processes for those that ask for no isolation.

use hoist_compute::{
    ComputeService, ComputeSystem, Error, ErrorKind, Features, Phase, Result, Summary, Survey,
};
use hoist_host::HostService;
use hoist_spec::{ContainerId, ContainerSpec, RootSource};

/// The spec chooses where a container is made; where it is found is where it was made.
pub(super) struct Backends<T> {
    pub(super) isolated: T,
    pub(super) unisolated: HostService,
}

impl<T: ComputeService> Backends<T> {
    /// Where a container of this spec is made. An id that the other backend has is `AlreadyExists`.
    fn backend_for(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<&dyn ComputeService> {
        let is_unisolated = spec.root == RootSource::Unisolated;
        let is_taken = match is_unisolated {
            true => match self.isolated.open(id) {
                Err(error) => error.kind() != ErrorKind::NotFound,
                Ok(_) => true,
            },
            false => self.unisolated.has(id),
        };
        if is_taken {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                Phase::Create,
                format!("create container {id}: the id is in use"),
            )
            .about(id.as_str()));
        }
        match is_unisolated {
            true => Ok(&self.unisolated),
            false => Ok(&self.isolated),
        }
    }
}

impl<T: ComputeService> ComputeService for Backends<T> {
    fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Box<dyn ComputeSystem>> {
        self.backend_for(id, spec)?.create(id, spec)
    }

    fn create_to_start(
        &self,
        id: &ContainerId,
        spec: &ContainerSpec,
    ) -> Result<Box<dyn ComputeSystem>> {
        self.backend_for(id, spec)?.create_to_start(id, spec)
    }

    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>> {
        match self.isolated.open(id) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.unisolated.has(id) => {
                self.unisolated.open(id)
            }
            opened => opened,
        }
    }

    fn enumerate(&self) -> Result<Vec<Summary>> {
        self.survey()?.whole()
    }

    fn survey(&self) -> Result<Survey> {
        let mut survey = self.isolated.survey()?;
        let unisolated = self.unisolated.survey()?;
        survey.summaries.extend(unisolated.summaries);
        survey.summaries.sort_by_key(|summary| summary.created_at);
        survey.unreadable.extend(unisolated.unreadable);
        Ok(survey)
    }

    fn remove_damaged(&self, id: &ContainerId) -> Result<Vec<String>> {
        match self.unisolated.has(id) {
            true => self.unisolated.remove_damaged(id),
            false => self.isolated.remove_damaged(id),
        }
    }

    fn ids(&self, beginning: &str) -> Result<Vec<ContainerId>> {
        let mut ids = self.isolated.ids(beginning)?;
        ids.extend(self.unisolated.ids(beginning)?);
        ids.sort();
        Ok(ids)
    }

    fn features(&self) -> Features {
        let mut features = self.isolated.features();
        features
            .features
            .extend(self.unisolated.features().features);
        features
    }
}
