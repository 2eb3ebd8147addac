//! Updates that a run has left: whether there are any, and the servicing container that installs them.
//!
//! Services tell of them before build 16299 alone; later ones have no servicing containers any more.

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_spec::{ContainerId, ContainerSpec};

use super::{Shared, failure, record::Record, request};
use crate::{
    calls::{CallError, CallResult, Calls, HcsExports, HcsSystemHandle},
    documents::properties::{PENDING_UPDATES_QUERY, SystemProperties},
    lower::Pipes,
};

/// The first build that tells of no updates.
const TELLS_NO_MORE: u32 = 16299;

/// How a run is marked that has left updates.
const PENDING: &str = "updates-pending";

/// How one is marked of which nobody knows that.
const UNKNOWN: &str = "updates-unknown";

/// Whether a service of this build tells of updates.
pub(super) fn is_told(build: Option<u32>) -> bool {
    build.is_some_and(|build| build < TELLS_NO_MORE)
}

/// Records of a run that has ended well whether updates wait to be installed, as its system tells, which is still there.
///
/// Where that cannot be learned, why: the run itself has ended as it has, and who would install them is told.
pub(super) fn record_pending<C: Calls>(
    calls: &C,
    system: &C::System,
    record: &Record,
    run: u64,
) -> Result<()> {
    let recorded = match are_pending(calls, system) {
        Ok(true) => record.mark(PENDING, run),
        Ok(false) => Ok(()),
        Err(why) => record.note(UNKNOWN, run, &why),
    };
    recorded.or_else(|error| record.note(UNKNOWN, run, &error.to_string()))
}

fn are_pending<C: Calls>(calls: &C, system: &C::System) -> std::result::Result<bool, String> {
    let answer = calls
        .system_properties(system, PENDING_UPDATES_QUERY)
        .map_err(|error| error.to_string())?;
    SystemProperties::read(&answer)
        .map(|properties| properties.are_updates_pending)
        .map_err(|error| format!("the service's answer cannot be read: {error}"))
}

impl<E: HcsExports> Shared<E> {
    /// Installs what a run has left, where it has.
    pub(super) fn install_updates(&self, record: &Record, spec: &ContainerSpec) -> Result<()> {
        let run = record.run()?;
        if let Some(why) = record.noted(UNKNOWN, run)? {
            let operation = format!("learn whether {} has left updates", record.what());
            return Err(Error::new(ErrorKind::System, Phase::Operate, operation)
                .about(record.id().as_str())
                .because(why)
                .remedy(
                    "its writable layer may be without them: start the container once more, and end it",
                ));
        }
        if !record.is_marked(PENDING, run) {
            return Ok(());
        }
        let failed = |error: CallError| {
            failure::of_record(error, Phase::Operate, "install the updates of", record).remedy(
                "its writable layer is without them: start the container once more, and end it",
            )
        };
        // Two systems do not have the same layers.
        self.end_system(record.id(), true).map_err(failed)?;
        let refused = |text: String| {
            let operation = format!("install the updates of {}", record.what());
            Error::new(ErrorKind::System, Phase::Operate, operation).because(text)
        };
        let id: ContainerId = format!("{}_servicing", record.id())
            .parse()
            .map_err(|error| refused(format!("{error}")))?;
        let mut spec = spec.clone();
        let mut windows = spec.oci.windows().clone().unwrap_or_default();
        windows.set_servicing(Some(true));
        spec.oci.set_windows(Some(windows));
        let planned = request::plan(&id, &spec, &self.settings)?;
        let configuration = request::configuration(&planned, &*self.calls, &self.settings)
            .map_err(|error| request::refused(error, &id))?;
        let none = Pipes::default();
        let (parameters, _) = request::first_process(&id, &spec, none, None, &self.settings)?;
        // What a crash has left of an earlier try.
        self.end_system(&id, false).map_err(failed)?;
        let system = self
            .calls
            .create_system(id.as_str(), &configuration)
            .map_err(failed)?;
        let done = self.service(&id, &system, &parameters);
        let ended = match &done {
            Ok(0) => Ok(()),
            _ => self.end_by_force(&id, &system),
        };
        self.calls.close_system(&system);
        match done.map_err(failed)? {
            0 => record.unmark(PENDING, run),
            code => return Err(refused(format!("the servicing run ended with code {code}"))),
        }
        ended.map_err(failed)
    }

    /// Runs a servicing container to its end, which may take as long as updates do: the code of its process. After a good one it is shut
    /// down, which merges the updates.
    fn service(
        &self,
        id: &ContainerId,
        system: &HcsSystemHandle<E>,
        parameters: &str,
    ) -> CallResult<i32> {
        self.calls.start_system(system)?;
        let started = self
            .calls
            .create_process(system, parameters, Pipes::default())?;
        let waited = self.calls.wait_process(system, &started.process);
        self.calls.close_process(&started.process);
        let code = waited.code?;
        if code == 0 {
            self.carry_through(id, system, self.patience.shutdown, |system| {
                self.calls.shutdown_system(system)
            })?;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_before_16299_tell_of_updates() {
        assert!(is_told(Some(14393)) && is_told(Some(15063)));
        assert!(!is_told(Some(16299)) && !is_told(None));
    }
}
