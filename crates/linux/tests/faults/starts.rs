//! Starts that fail, or whose process dies or is not in its place.

use hoist_compute::{ComputeService, ComputeSystem, Error, OsCode, Phase, State, Stdio};
use hoist_linux::plan::{Fault, PlannedStep};
use hoist_testing::Leaks;
use hoist_testing::conformance::chain;

use super::place::{Place, id, index_of, tag};
use super::{EIO, PATIENCE, SIGKILL};

/// The error of a start that must fail.
fn why_not_started(system: &dyn ComputeSystem, stdio: Stdio, at: &str) -> Error {
    match system.start(stdio) {
        Ok(process) => {
            system.terminate().unwrap();
            panic!("{at}: process {} was started", process.pid());
        }
        Err(error) => error,
    }
}

/// Removes what was not started or has ended.
fn leaves_nothing(system: Box<dyn ComputeSystem>, leaks: &Leaks, at: &str) {
    system
        .delete()
        .unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
    drop(system);
    leaks.after().unwrap_or_else(|left| panic!("{at}: {left}"));
}

pub(super) fn fails_at_every_step(place: &Place, kind: &str) {
    let tag = tag(&format!("fail{kind}"));
    for step in place.steps(kind) {
        let (index, words) = (step.index.unwrap(), &step.words);
        let at = format!("before step {index}, {words}");
        let leaks = place.leaks(&tag);
        let service = place.faulty(index, Fault::Fail(EIO));
        let id = id(&tag, index);
        let system = service.create(&id, &place.spec(kind, &tag)).unwrap();
        let error = why_not_started(&*system, Place::stdio(kind), &at);
        assert_eq!(
            error.operation(),
            "fail with Input/output error (EIO)",
            "{at}"
        );
        assert_eq!(error.os_code(), Some(OsCode::Errno(EIO)), "{at}: {error}");
        assert_eq!(error.phase(), Phase::Start, "{at}: {error}");
        assert_eq!(system.state().unwrap(), State::Created, "{at}");
        leaves_nothing(system, &leaks, &at);
    }
}

pub(super) fn dies_at_every_step(place: &Place, kind: &str) {
    let tag = tag(&format!("die{kind}"));
    let steps = place.steps(kind);
    let (clone, release) = (index_of(&steps, "clone"), index_of(&steps, "await_release"));
    for step in &steps {
        let (index, words) = (step.index.unwrap(), &step.words);
        let at = format!("before step {index}, {words}");
        let leaks = place.leaks(&tag);
        let service = place.faulty(index, Fault::Die);
        let id = id(&tag, index);
        let system = service.create(&id, &place.spec(kind, &tag)).unwrap();
        match system.start(Place::stdio(kind)) {
            // Let go, it is on its own: whatever ends it then is its exit status.
            Ok(process) => {
                assert!(index > release, "{at}: it counts as started");
                let status = process.wait(Some(PATIENCE)).unwrap();
                assert!(status.signal.is_some(), "{at}: {status:?}");
                assert_eq!(system.wait(Some(PATIENCE)).unwrap(), status, "{at}");
            }
            Err(error) => {
                assert!(index <= release, "{at}: {}", chain(&error));
                let who = if index <= clone {
                    "the helper"
                } else {
                    "the new process"
                };
                assert_eq!(
                    error.operation(),
                    format!("start the process: {who} ended unexpectedly"),
                    "{at}"
                );
                assert_eq!(error.phase(), Phase::Start, "{at}: {error}");
                assert_eq!(system.state().unwrap(), State::Created, "{at}");
            }
        }
        leaves_nothing(system, &leaks, &at);
    }
}

/// The process says that it is in its place; its owner looks.
pub(super) fn is_not_let_go_elsewhere(place: &Place) {
    let tag = tag("elsewhere");
    let mut steps = place.steps("plain");
    index_of(&steps, "new_cgroup_namespace");
    // Where cgroups are v2's alone, it is born in its own, and joins none.
    steps.retain(|step| ["join_cgroup", "new_cgroup_namespace"].contains(&&*step.name));
    for PlannedStep {
        index, name, words, ..
    } in &steps
    {
        let (index, at) = (index.unwrap(), format!("without the step {words}"));
        let leaks = place.leaks(&tag);
        let id = id(&tag, index);
        let system = place
            .faulty(index, Fault::LeaveOut)
            .create(&id, &place.spec("plain", &tag))
            .unwrap();
        let error = why_not_started(&*system, Stdio::null(), &at);
        let found = match name.as_str() {
            "join_cgroup" => "it is in cgroup ",
            _ => "it shares the host's cgroup namespace",
        };
        let said = chain(&error);
        assert!(
            said.contains(&format!("compare the process with the plan: {found}")),
            "{at}: {said}"
        );
        assert_eq!(error.phase(), Phase::Start, "{at}: {said}");
        assert_eq!(system.state().unwrap(), State::Created, "{at}");
        leaves_nothing(system, &leaks, &at);
    }
}

pub(super) fn is_started_by_the_next_attempt(place: &Place) {
    let tag = tag("again");
    for step in place.steps("plain") {
        let index = step.index.unwrap();
        let leaks = place.leaks(&tag);
        let id = id(&tag, index);
        let faulty = place.faulty(index, Fault::Fail(EIO));
        let system = faulty.create(&id, &place.spec("plain", &tag)).unwrap();
        assert!(system.start(Stdio::null()).is_err(), "{}", step.words);
        let again = place.service().open(&id).unwrap();
        let process = again
            .start(Stdio::null())
            .unwrap_or_else(|error| panic!("{}: {}", step.words, chain(&error)));
        again.terminate().unwrap();
        assert_eq!(
            process
                .wait(Some(PATIENCE))
                .unwrap()
                .signal
                .map(|signal| signal.number()),
            Some(SIGKILL)
        );
        again.delete().unwrap();
        drop((system, again, process));
        leaks
            .after()
            .unwrap_or_else(|left| panic!("{}: {left}", step.words));
    }
}
