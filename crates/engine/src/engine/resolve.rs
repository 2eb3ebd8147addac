//! From what a user calls a container to its id.

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_spec::ContainerId;

use crate::Engine;

impl Engine {
    /// The container that `reference` means: an id, else a name, else the beginning of one single id.
    ///
    /// `NotFound` where there is none; `InvalidSpec` where several ids begin so.
    pub fn resolve(&self, reference: &str) -> Result<ContainerId> {
        let none = || {
            Error::new(
                ErrorKind::NotFound,
                Phase::Plan,
                format!("no such container: {reference}"),
            )
        };
        let id: ContainerId = reference.parse().map_err(|_| none())?;
        if self.exists(&id)? {
            return Ok(id);
        }
        if let Some(named) = self.names.find(reference)?
            && self.exists(&named)?
        {
            return Ok(named);
        }
        let mut matches = self.service.ids(reference)?;
        match matches.len() {
            0 => Err(none()),
            1 => Ok(matches.remove(0)),
            _ => {
                let list: Vec<&str> = matches.iter().map(ContainerId::as_str).collect();
                Err(Error::new(
                    ErrorKind::InvalidSpec,
                    Phase::Plan,
                    format!("{reference:?} is the beginning of several container ids"),
                )
                .because(list.join(", "))
                .remedy("give more of the id"))
            }
        }
    }
}
