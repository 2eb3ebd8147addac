//! A container whose record is damaged: its end and its removal, by what the service itself knows of it.

use hoist_compute::{Phase, Result};
use hoist_spec::ContainerId;

use super::{Shared, failure};
use crate::calls::{CallError, HcsExports};

impl<E: HcsExports> Shared<E> {
    /// Removes what there is; the result says what was found.
    pub(super) fn remove_damaged(&self, id: &ContainerId) -> Result<Vec<String>> {
        let record = self.records.of(id);
        let _locked = self.records.lock(&record)?;
        if !record.exists() {
            return Ok(Vec::new());
        }
        let mut told = Vec::new();
        let failed = |error: CallError| failure::of_record(error, Phase::Delete, "end", &record);
        if self.open_system(id).map_err(failed)?.is_some() {
            let run = record.runs()?.pop();
            // Whoever waits for it is told that it was ended by force.
            run.map_or(Ok(()), |run| record.mark("forced", run))?;
            self.end_system(id, false).map_err(failed)?;
            if let Some(run) = run {
                self.wait_until_told(&record, run);
            }
            told.push("its system, with all its processes".to_owned());
        }
        self.records.remove(&record)?;
        told.push(format!("its record {}", record.path().display()));
        Ok(told)
    }
}
