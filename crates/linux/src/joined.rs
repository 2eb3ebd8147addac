//! The namespaces of other containers that a container joins, as those have them now.

use std::borrow::Cow;

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_spec::{ContainerId, ContainerSpec, oci::LinuxNamespaceType};

use crate::service::{Shared, not_found};
use crate::waiting::is_running;

impl Shared {
    /// The spec with the namespaces of the containers that it joins, which must run.
    pub(crate) fn with_joined<'a>(
        &self,
        spec: &'a ContainerSpec,
    ) -> Result<Cow<'a, ContainerSpec>> {
        spec.with_joined(|id, kind| self.process_to_join(id, kind))
    }

    fn process_to_join(&self, id: &ContainerId, kind: LinuxNamespaceType) -> Result<u32> {
        let folder = self.folder(id);
        let record = folder
            .read_record()
            .map_err(|error| not_found(id, &folder, error))?;
        match record.process() {
            Some(process) if is_running(&record)? => Ok(process.pid),
            _ => {
                let operation = format!("join the {kind} namespace of container {id}");
                Err(Error::new(ErrorKind::InvalidState, Phase::Plan, operation)
                    .about(id.as_str())
                    .because("it is not running")
                    .remedy("start it first"))
            }
        }
    }
}
