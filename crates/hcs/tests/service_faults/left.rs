//! What is held meanwhile, and what is left.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use hoist_compute::{ErrorKind, State, Stdio};
use hoist_spec::ConsoleSize;
use hoist_testing::{full, windows::Usage};
use serde_json::json;

use crate::place::{Case, HANGS_AFTER, Place, further, id, spec};

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "thousands of execs leave as many handles and as much private memory as there were before",
        execs_leave_nothing,
    ),
    (
        "a call that hangs inside the DLL holds up nobody else, and what it holds is let go of when it returns",
        a_call_that_hangs,
    ),
    (
        "a layer's links and files are as they were after a container's whole life on it",
        layers_are_left_alone,
    ),
];

// Row 43: what grows with every exec; of security.md, section 2d, CVE-2022-23471 and CVE-2025-64329. A process takes
// a tenth of a second to start under Wine, and a third on a busy machine.
fn execs_leave_nothing(place: &Place) {
    let (before, count) = if full() { (200, 10_000) } else { (20, 60) };
    let name = id("execs");
    let system = place.service.create(&name, &spec(&["sleep"])).unwrap();
    system.start(Stdio::null()).unwrap();
    let exec = |number: i32| {
        // A client that attaches and goes at once, and one whose process cannot be started.
        if number % 5 > 2 {
            let mut process = further(&["exit", "9"]);
            process.oci.set_terminal(Some(true));
            if number % 5 == 3 {
                process
                    .oci
                    .set_args(Some(vec!["no-such-program.exe".into()]));
            }
            let size = ConsoleSize {
                height: 24,
                width: 80,
            };
            let started = system.create_process(&process, Stdio::Console(size));
            assert_eq!(started.is_ok(), number % 5 == 4);
            return;
        }
        let process = system
            .create_process(&further(&["exit", "9"]), Stdio::pipes())
            .unwrap();
        // One whose streams are taken, one whose are left to it, and one that is let go of before its end.
        let streams = (number % 5 == 0).then(|| process.take_streams());
        if number % 5 == 1 {
            return;
        }
        assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(9));
        drop(streams);
    };
    // All have ended and nothing is being closed any more: what is open is the system and its first process.
    let kept = json!({"systems": 1, "processes": 1, "handles": 2, "callbacks": 2});
    let settled = || {
        let deadline = Instant::now() + HANGS_AFTER;
        loop {
            let open = place.double.report();
            if open == kept {
                // What the last one held is let go of a little later than told.
                thread::sleep(Duration::from_millis(500));
                return Usage::own().unwrap();
            }
            assert!(Instant::now() < deadline, "open in the service: {open}");
            thread::sleep(Duration::from_millis(20));
        }
    };
    // Whatever is made once is made now.
    (0..before).for_each(exec);
    let before = settled();
    for number in 0..count {
        exec(number);
        if number % 500 == 499 {
            eprintln!("{} execs", number + 1);
        }
    }
    let after = settled();
    assert!(before.handles > 0 && before.private_bytes > 0, "{before:?}");
    // One in a hundred, or what a thread or a heap grows by once; far less than one for each exec.
    let handles = (before.handles / 100).max(6);
    let memory = (before.private_bytes / 100).max(1 << 20);
    assert!(
        after.handles <= before.handles + handles
            && after.private_bytes <= before.private_bytes + memory,
        "{before:?} before {count} execs, {after:?} after them"
    );
    println!("{before:?} before {count} execs, {after:?} after them");
    system.terminate().unwrap();
    system.delete().unwrap();
}

// Row 41: one hanging call, and all of stop, wait and state hang with it.
fn a_call_that_hangs(place: &Place) {
    const HANGS: u64 = 6000;
    let system = place
        .service
        .create(&id("hangs"), &spec(&["sleep"]))
        .unwrap();
    let process = system.start(Stdio::null()).unwrap();
    let open = |kind: &str| place.double.report()[kind].as_u64().unwrap();
    let (handles, callbacks) = (open("handles"), open("callbacks"));
    place.faults(&json!([{"function": "HcsCreateProcess", "nth": 1, "hang": HANGS}]));
    thread::scope(|scope| {
        let begun = Instant::now();
        let hanging =
            scope.spawn(|| system.create_process(&further(&["exit", "9"]), Stdio::pipes()));
        // It has the system open for itself: counted apart from what is open otherwise.
        let deadline = begun + HANGS_AFTER;
        while open("handles") != handles + 1 {
            assert!(Instant::now() < deadline && !hanging.is_finished());
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(system.state().unwrap(), State::Running);
        let error = process.wait(Some(Duration::from_millis(50))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(!hanging.is_finished(), "the call did not hang");
        let exec = hanging.join().unwrap().unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(HANGS));
        assert_eq!(exec.wait(Some(HANGS_AFTER)).unwrap().code, Some(9));
    });
    let deadline = Instant::now() + HANGS_AFTER;
    while (open("handles"), open("callbacks")) != (handles, callbacks) {
        assert!(Instant::now() < deadline, "{}", place.double.report());
        thread::sleep(Duration::from_millis(5));
    }
    system.terminate().unwrap();
    system.delete().unwrap();
}

// Of security.md, section 2d: CVE-2018-8115, an image's files that lead out of it.
fn layers_are_left_alone(place: &Place) {
    let folder = place.folder.join("layers");
    let (layer, parent, bait) = (
        folder.join("own"),
        folder.join("parent"),
        folder.join("bait"),
    );
    for layer in [&layer, &parent] {
        fs::create_dir_all(layer.join("Files")).unwrap();
        fs::write(layer.join("Files").join("a"), "a").unwrap();
        fs::write(layer.join("layerchain.json"), "damaged").unwrap();
    }
    fs::write(&bait, "bait").unwrap();
    for layer in [&layer, &parent] {
        for name in ["Hives", "sandbox.vhdx", "tombstones.txt"] {
            fs::hard_link(&bait, layer.join(name)).unwrap();
        }
    }
    let seen = || {
        let mut list = Vec::new();
        let mut left = vec![folder.clone()];
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
                list.push((path, None));
            } else {
                let content = fs::read(&path).unwrap();
                list.push((path, Some(content)));
            }
        }
        list.sort();
        list
    };
    let before = seen();
    let mut spec = spec(&["exit", "0"]);
    let folders = [&parent, &layer].map(|layer| layer.to_string_lossy().into_owned());
    let windows = json!({"layerFolders": folders});
    spec.oci
        .set_windows(serde_json::from_value(windows).unwrap());
    let name = id("layers");
    let system = place.service.create(&name, &spec).unwrap();
    let process = system.start(Stdio::null()).unwrap();
    process.wait(Some(HANGS_AFTER)).unwrap();
    system.delete().unwrap();
    assert_eq!(seen(), before);
    fs::remove_dir_all(folder).unwrap();
}
