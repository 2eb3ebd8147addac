//! Notifications that are lost: every end is told all the same.

use std::{thread, time::Instant};

use hoist_compute::{Confinement, ExecSpec, State, Stdio};
use hoist_spec::Signal;
use serde_json::{Value, json};

use crate::place::{Case, HANGS_AFTER, Place, further, id, service, spec};

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "whatever notification is lost, a run ends with its code and the container is removed",
        whatever_notification_is_lost,
    ),
    (
        "whatever notification is lost, an end by force ends and is told",
        an_end_by_force_without_notifications,
    ),
    (
        "whatever notification is lost, an exec ends with its code, for those who wait elsewhere, too",
        execs_whatever_is_lost,
    ),
];

/// Every notification that a run is told by, once each.
fn lost() -> impl Iterator<Item = Value> {
    [0x1, 0x2, 0x3, 0x1_0000].into_iter().flat_map(|kind| {
        (1..=2).map(move |nth| json!([{"notification": kind, "nth": nth, "drop": true}]))
    })
}

// Row 41: waits that never end; row 42: output that is lost at the exit.
fn whatever_notification_is_lost(place: &Place) {
    for (number, rules) in lost().enumerate() {
        place.faults(&rules);
        let begun = Instant::now();
        let name = id(&format!("lost{number}"));
        let system = place.service.create(&name, &spec(&["exit", "5"])).unwrap();
        let process = system.start(Stdio::null()).unwrap();
        let status = process.wait(Some(HANGS_AFTER)).unwrap();
        assert_eq!(status.code, Some(5), "{rules}");
        assert_eq!(system.wait(Some(HANGS_AFTER)).unwrap(), status);
        assert_eq!(system.state().unwrap(), State::Stopped);
        system.delete().unwrap();
        assert!(begun.elapsed() < HANGS_AFTER, "{rules}");
    }
}

// Row 41, the same for stop and kill.
fn an_end_by_force_without_notifications(place: &Place) {
    for (number, rules) in lost().enumerate() {
        place.faults(&rules);
        let name = id(&format!("force{number}"));
        let system = place.service.create(&name, &spec(&["sleep"])).unwrap();
        let process = system.start(Stdio::null()).unwrap();
        let other = system
            .create_process(&further(&["sleep"]), Stdio::null())
            .unwrap();
        system.terminate().unwrap();
        for status in [
            process.wait(Some(HANGS_AFTER)).unwrap(),
            other.wait(Some(HANGS_AFTER)).unwrap(),
        ] {
            assert_eq!(
                (status.code, status.signal),
                (None, Some(Signal::KILL)),
                "{rules}"
            );
        }
        system.delete().unwrap();
    }
}

fn execs_whatever_is_lost(place: &Place) {
    for (number, rules) in lost().enumerate() {
        let name = id(&format!("execs{number}"));
        let system = place.service.create(&name, &spec(&["sleep"])).unwrap();
        system.start(Stdio::null()).unwrap();
        place.faults(&rules);
        let made = |word: &str, arguments: &[&str]| {
            let spec = ExecSpec {
                process: further(arguments),
                confinement: Confinement::default(),
                interactive: false,
            };
            system.create_exec(&id(word), &spec).unwrap()
        };
        let short = made("short", &["exit", "5"]);
        let status = short.start(Stdio::null()).unwrap();
        let status = status.wait(Some(HANGS_AFTER)).unwrap();
        assert_eq!(status.code, Some(5), "{rules}");
        let foreign = service(&place.folder).open(&name).unwrap();
        let seen = foreign.open_exec(short.id()).unwrap();
        assert_eq!(seen.wait(Some(HANGS_AFTER)).unwrap(), status, "{rules}");
        let long = made("long", &["sleep"]);
        let process = long.start(Stdio::null()).unwrap();
        let seen = foreign.open_exec(long.id()).unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| seen.wait(Some(HANGS_AFTER)).unwrap());
            foreign.open_exec(long.id()).unwrap().terminate().unwrap();
            let status = process.wait(Some(HANGS_AFTER)).unwrap();
            assert_eq!(status.signal, Some(Signal::KILL), "{rules}");
            assert_eq!(waits.join().unwrap(), status, "{rules}");
        });
        system.terminate().unwrap();
        system.delete().unwrap();
    }
}
