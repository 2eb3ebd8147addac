//! Further processes of a running container that fail, die or lose their owner.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;

use hoist_compute::{ComputeService, ComputeSystem, ExitStatus, Process, State, Stdio};
use hoist_linux::LinuxService;
use hoist_linux::plan::Fault;
use hoist_spec::ContainerId;
use hoist_testing::conformance::chain;
use hoist_testing::{Leaks, spec};

use super::owner::owner_command;
use super::place::{Place, id, tag};
use super::{EIO, PATIENCE, SIGKILL};

/// A plain container, whose first process idles: when it does, it looks the same whenever it is looked at.
struct Idle {
    id: ContainerId,
    system: Box<dyn ComputeSystem>,
    first: Box<dyn Process>,
    stdout: File,
    /// What there was before it.
    leaks: Leaks,
    /// What there is with it alone.
    inside: Leaks,
}

impl Idle {
    fn start(place: &Place, tag: &str) -> Self {
        let leaks = place.leaks(tag);
        let id = id(tag, 0);
        let spec = place.spec("plain", tag);
        let system = place.service().create(&id, &spec).unwrap();
        let first = system.start(Stdio::pipes()).unwrap();
        let mut ready = [0; 6];
        let mut stdout = first.take_streams().stdout.unwrap();
        stdout.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        Self {
            id,
            system,
            first,
            stdout,
            leaks,
            inside: place.leaks(tag),
        }
    }

    /// Ends it; nothing is left.
    fn end(self) {
        self.system.terminate().unwrap();
        self.first.wait(Some(PATIENCE)).unwrap();
        self.system.delete().unwrap();
        let leaks = self.leaks;
        drop((self.system, self.first, self.stdout));
        leaks.assert_none();
    }
}

pub(super) fn further_processes_fail(place: &Place) {
    let tag = tag("exec");
    let idle = Idle::start(place, &tag);
    let further = |service: &LinuxService, probe: &[&str]| {
        let system = service.open(&idle.id).unwrap();
        system.create_process(&spec::process(&tag, probe), Stdio::null())
    };
    let mut met = 0;
    for (fault, describe) in [
        (Fault::Fail(EIO), "fail with Input/output error (EIO)"),
        (Fault::Die, "ended unexpectedly"),
    ] {
        for index in 0.. {
            let started = further(&place.faulty(index, fault), &["exit", "7"]);
            let status = match started {
                Err(error) => {
                    assert!(
                        error.operation().contains(describe),
                        "step {index}: {}",
                        chain(&error)
                    );
                    None
                }
                Ok(process) => Some(process.wait(Some(PATIENCE)).unwrap()),
            };
            idle.inside
                .after()
                .unwrap_or_else(|left| panic!("step {index}: {left}"));
            assert_eq!(idle.system.state().unwrap(), State::Running, "step {index}");
            match status {
                None => met += 1,
                // Behind the last step the fault is not met.
                Some(ExitStatus {
                    code: Some(7),
                    signal: None,
                    ..
                }) => break,
                Some(status) => {
                    assert!(
                        fault == Fault::Die && status.signal.is_some(),
                        "step {index}: {status:?}"
                    );
                    met += 1;
                }
            }
        }
    }
    assert!(met > 16, "only {met} steps");
    let process = further(&place.service(), &["exit", "7"]).unwrap();
    assert_eq!(process.wait(Some(PATIENCE)).unwrap().code, Some(7));
    drop(process);
    idle.end();
}

pub(super) fn owner_of_a_further_process_is_lost(place: &Place) {
    let tag = tag("further");
    let idle = Idle::start(place, &tag);
    let mut met = 0;
    for step in 0.. {
        let status = owner_command(place, "further", &idle.id, &step.to_string())
            .status()
            .unwrap();
        // It goes on or gives up without its owner; either way it is soon gone.
        idle.inside
            .after()
            .unwrap_or_else(|left| panic!("step {step}: {left}"));
        assert_eq!(idle.system.state().unwrap(), State::Running, "step {step}");
        match (status.signal(), status.code()) {
            (Some(SIGKILL), _) => met += 1,
            (None, Some(7)) => break,
            _ => panic!("step {step}: {status}"),
        }
    }
    assert!(met > 8, "only {met} steps");
    idle.end();
}
