//! Ends that fail, or are not asked for, and looks that do.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio as ChildStdio},
    thread,
    time::Duration,
};

use hoist_compute::{ComputeService, ErrorKind, State, Stdio};
use hoist_hcs::Settings;
use serde_json::json;

use crate::place::{Case, HANGS_AFTER, Place, id, service, service_with, spec};

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "a look from outside that fails does not end the process that it was at",
        looked_at_in_vain,
    ),
    (
        "a shutdown that is accepted and never done becomes an end by force",
        a_deaf_shutdown,
    ),
    (
        "a failed shutdown becomes an end by force",
        a_failed_shutdown,
    ),
    (
        "with force_kill a system is ended by force, and never asked to end",
        a_system_is_not_asked_to_end,
    ),
    (
        "where it cannot be learned whether updates wait, the run ends as it does, and who would install them is told",
        updates_that_cannot_be_asked_for,
    ),
    (
        "an owner that is killed at any call leaves what the next one removes",
        an_owner_killed_at_any_call,
    ),
];

fn looked_at_in_vain(place: &Place) {
    let name = id("looked");
    let system = place.service.create(&name, &spec(&["sleep"])).unwrap();
    let process = system.start(Stdio::null()).unwrap();
    let foreign = service(&place.folder).open(&name).unwrap();
    place.faults(&json!([{"function": "HcsRegisterProcessCallback", "fail": 0x8007_05AA_u32}]));
    let error = foreign.wait(Some(Duration::from_millis(200))).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Timeout, "{error}");
    place.faults(&json!([]));
    assert_eq!(system.state().unwrap(), State::Running);
    let error = process.wait(Some(Duration::from_millis(500))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    system.terminate().unwrap();
    system.delete().unwrap();
}

// Row 41: each step with a time of its own.
fn a_deaf_shutdown(place: &Place) {
    place.faults(&json!([{"function": "HcsShutdownComputeSystem", "fail": 0xC037_0103_u32}]));
    runs_to_its_end(place, "deaf");
}

fn a_failed_shutdown(place: &Place) {
    place.faults(&json!([{"function": "HcsShutdownComputeSystem", "fail": 0x8007_05AA_u32}]));
    runs_to_its_end(place, "failed");
}

fn a_system_is_not_asked_to_end(place: &Place) {
    // That would be the end of the service.
    place.faults(&json!([{"function": "HcsShutdownComputeSystem", "die": true}]));
    let settings = Settings {
        force_kill: true,
        ..Settings::hoist()
    };
    runs_to_its_end_in(&*service_with(&place.folder, settings), "forced");
}

fn updates_that_cannot_be_asked_for(place: &Place) {
    let settings = Settings {
        asks_for_updates: true,
        ..Settings::hoist()
    };
    let service = service_with(&place.folder, settings);
    let name = id("updates");
    let system = service.create(&name, &spec(&["exit", "0"])).unwrap();
    let ends = || {
        let process = system.start(Stdio::null()).unwrap();
        assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(0));
    };
    place.faults(&json!([{"function": "HcsGetComputeSystemProperties", "fail": 0x8007_05AA_u32}]));
    ends();
    place.faults(&json!([]));
    let elsewhere = service_with(&place.folder, Settings::hoist()).open(&name);
    for system in [&*system, &*elsewhere.unwrap()] {
        let error = system.install_updates().unwrap_err();
        assert!(error.to_string().contains("updates"), "{error}");
        assert!(format!("{error:?}").contains("0x800705AA"), "{error:?}");
        assert!(error.what_to_do().is_some(), "{error:?}");
        assert_eq!(system.wait(Some(HANGS_AFTER)).unwrap().code, Some(0));
    }
    system.reset().unwrap();
    ends();
    system.install_updates().unwrap();
    system.delete().unwrap();
}

// Row 40: what a crashed daemon leaves can neither be started nor removed.
fn an_owner_killed_at_any_call(place: &Place) {
    const HANGS: u64 = 1500;
    for function in [
        "HcsCreateComputeSystem",
        "HcsRegisterComputeSystemCallback",
        "HcsStartComputeSystem",
        "HcsCreateProcess",
        "HcsRegisterProcessCallback",
    ] {
        place.faults(&json!([{"function": function, "nth": 1, "hang": HANGS}]));
        let name = id(&format!("killed{}", function.to_lowercase()));
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["own", name.as_str()])
            .arg(&place.folder)
            .stdout(ChildStdio::piped())
            .spawn()
            .unwrap();
        // It is in the call some time after it was there; where it is not yet, it is killed before, which must do as well.
        let mut said = BufReader::new(owner.stdout.take().unwrap());
        if function != "HcsCreateComputeSystem" && function != "HcsRegisterComputeSystemCallback" {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert_eq!(line.trim(), "made", "at {function}");
        }
        thread::sleep(Duration::from_millis(HANGS / 2));
        owner.kill().unwrap();
        owner.wait().unwrap();
        thread::sleep(Duration::from_millis(HANGS));
        place.faults(&json!([]));
        match place.service.open(&name) {
            Ok(system) => {
                system.terminate().unwrap();
                system.delete().unwrap();
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "at {function}: {error}");
                runs_to_its_end(place, &format!("killed{}", function.to_lowercase()));
            }
        }
        place.assert_nothing_left();
    }
}

fn runs_to_its_end(place: &Place, name: &str) {
    runs_to_its_end_in(&*place.service, name);
}

fn runs_to_its_end_in(service: &dyn ComputeService, name: &str) {
    let system = service.create(&id(name), &spec(&["exit", "3"])).unwrap();
    let process = system.start(Stdio::null()).unwrap();
    assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(3));
    system.delete().unwrap();
}

/// Another process that makes and starts a container, and owns it.
pub(crate) fn own(name: &str, folder: &Path) {
    let system = service(folder)
        .create(&name.parse().unwrap(), &spec(&["sleep"]))
        .unwrap();
    println!("made");
    let process = system.start(Stdio::null()).unwrap();
    println!("started");
    process.wait(None).unwrap();
    std::process::exit(0);
}
