//! Owners that are killed, before a step or at any moment, and what whoever comes next removes.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use hoist_compute::{ComputeService, ErrorKind, State, Stdio};
use hoist_linux::LinuxService;
use hoist_linux::plan::Fault;
use hoist_spec::ContainerId;
use hoist_testing::conformance::chain;
use hoist_testing::{full, spec};

use super::place::{Place, id, index_of, tag};
use super::{PATIENCE, SIGKILL, long};

/// This program again, as the owner of a container: it starts it, and is killed before the step; without a number,
/// whenever the test wants.
pub(super) fn owner(place: &Path, kind: &str, id: &str, step: &str) -> ExitCode {
    let place = Place(place.to_owned());
    let service = match step.parse() {
        Ok(step) => place.faulty(step, Fault::LoseOwner),
        Err(_) => place.service(),
    };
    let tag = id.split('-').next().unwrap_or_default().to_owned();
    if kind == "further" {
        let system = service.open(&id.parse().unwrap()).unwrap();
        let process = system
            .create_process(&spec::process(&tag, &["exit", "7"]), Stdio::null())
            .unwrap();
        let status = process.wait(Some(long())).unwrap();
        return ExitCode::from(u8::try_from(status.code.unwrap()).unwrap());
    }
    let system = service
        .create(&id.parse().unwrap(), &place.spec(kind, &tag))
        .unwrap();
    match system.start(Place::stdio(kind)) {
        Ok(process) => {
            let _ = process.wait(Some(long()));
            if kind == "whole" {
                system.delete().unwrap();
            }
        }
        Err(error) => eprintln!("{}", chain(&error)),
    }
    ExitCode::FAILURE
}

pub(super) fn owner_command(place: &Place, kind: &str, id: &ContainerId, step: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg("owner")
        .arg(&place.0)
        .args([kind, id.as_str(), step]);
    command
}

pub(super) fn owner_is_lost_at_every_step(place: &Place, kind: &str) {
    let tag = tag(&format!("lost{kind}"));
    let steps = place.steps(kind);
    let release = index_of(&steps, "await_release");
    for step in &steps {
        let (index, words) = (step.index.unwrap(), &step.words);
        let at = format!("before step {index}, {words}");
        let leaks = place.leaks(&tag);
        let id = id(&tag, index);
        let status = owner_command(place, kind, &id, &index.to_string())
            .status()
            .unwrap();
        assert_eq!(
            status.signal(),
            Some(SIGKILL),
            "{at}: the owner is {status}"
        );
        let was = remove(&place.service(), &id, &at);
        let is_let_go = index > release;
        match was {
            Some(State::Created) => assert!(!is_let_go, "{at}"),
            // It goes on without its owner, and may have ended since, as its console is gone.
            Some(State::Running | State::Stopped) => assert!(is_let_go, "{at}"),
            other => panic!("{at}: it was {other:?}"),
        }
        leaks.after().unwrap_or_else(|left| panic!("{at}: {left}"));
    }
}

/// Between the owner's own steps, too: kills it after ever longer times, from its very start to beyond its end.
pub(super) fn owner_is_killed_at_any_moment(place: &Place, kind: &str) {
    let tag = tag(&format!("moment{kind}"));
    let times = if full() { 1000 } else { 120 };
    let (mut before_it_was, mut created, mut ran) = (0, 0, 0);
    for number in 0..times {
        let leaks = place.leaks(&tag);
        let id = id(&tag, number);
        let mut owner = owner_command(place, kind, &id, "none").spawn().unwrap();
        // A start takes some milliseconds; from there on it runs.
        let moment = u64::from(number) * 20_000 / u64::from(times);
        std::thread::sleep(Duration::from_micros(moment));
        owner.kill().unwrap();
        owner.wait().unwrap();
        let at = format!("try {number}");
        match remove(&place.service(), &id, &at) {
            None => before_it_was += 1,
            Some(State::Created) => created += 1,
            Some(_) => ran += 1,
        }
        // Whoever lists the containers sweeps what a removal that was cut short has left.
        place.service().enumerate().unwrap();
        leaks.after().unwrap_or_else(|left| panic!("{at}: {left}"));
    }
    eprintln!("unknown {before_it_was}, created {created}, started {ran}");
}

/// Ends and removes a container that lost its owner; its state before, or none where it was not even known.
pub(super) fn remove(service: &LinuxService, id: &ContainerId, at: &str) -> Option<State> {
    let system = match service.open(id) {
        Ok(system) => system,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{at}: {}", chain(&error));
            return None;
        }
    };
    let checked = |done: hoist_compute::Result<()>| {
        done.unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
    };
    let state = system
        .state()
        .unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
    if let Err(refused) = system.delete() {
        assert_eq!(refused.kind(), ErrorKind::InvalidState, "{at}");
        assert_eq!(state, State::Running, "{at}: {}", chain(&refused));
        checked(system.terminate());
        let status = system.wait(Some(PATIENCE)).unwrap();
        assert!(status.code != Some(0), "{at}: {status:?}");
        checked(system.delete());
    }
    let gone = service.open(id).map(|_| ()).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound, "{at}");
    Some(state)
}
