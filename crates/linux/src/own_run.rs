//! What the program that has made and started a container knows of its run: where nobody else has had part in that, it need not
//! read what it has written down itself.

use std::fs::File;
use std::sync::Arc;

use hoist_compute::Result;

use crate::record::{Folder, Held, Record};

/// The first run of a container, by its maker.
pub(crate) struct OwnRun {
    pub(crate) folder: Held,
    pub(crate) record: Arc<Record>,
}

impl OwnRun {
    /// The record of a run that has ended, with the container locked; none where somebody else has removed or started it since.
    pub(crate) fn end(self, folder: &Folder) -> Result<Option<(File, Arc<Record>)>> {
        let Some(lock) = folder.lock_held(self.folder)? else {
            return Ok(None);
        };
        Ok(match folder.was_started_again() {
            true => None,
            false => Some((lock, self.record)),
        })
    }
}
