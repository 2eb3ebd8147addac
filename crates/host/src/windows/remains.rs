//! A container whose record is damaged: its end and its removal, by what of the record can still be read.

use hoist_compute::Result;
use hoist_spec::ContainerId;

use super::{record::Started, run::Run, service::Shared};

/// Removes what there is; the result says what was found, and what was not.
pub(super) fn remove(shared: &Shared, id: &ContainerId) -> Result<Vec<String>> {
    let record = shared.records.of(id);
    let _locked = shared.records.lock(&record)?;
    if !record.exists() {
        return Ok(Vec::new());
    }
    let mut told = Vec::new();
    for number in record.runs()? {
        told.extend(end(&Run::of_container(&record, number))?);
    }
    for exec in record.execs()? {
        if !exec.runs()?.is_empty() {
            told.extend(end(&Run::of_exec(&exec, &record))?);
        }
    }
    shared.records.remove(&record)?;
    told.push(format!("its record {}", record.path().display()));
    Ok(told)
}

/// Ends what a run has started, which is in a job whose name stands in the record alone.
fn end(run: &Run) -> Result<Option<String>> {
    let Ok(started) = run.record.started::<Started>(run.number) else {
        return Ok(Some(format!(
            "not the processes of {}, of which it cannot be read which they are",
            run.what()
        )));
    };
    let Some(started) = started else {
        return Ok(None);
    };
    if !run.has_job(&started)? {
        return Ok(None);
    }
    // Whoever waits for it is told that it was ended by force.
    run.record.mark("forced", run.number)?;
    run.end_job(&started)?;
    let pid = started.pid;
    Ok(Some(format!("process {pid} and what it has started")))
}
