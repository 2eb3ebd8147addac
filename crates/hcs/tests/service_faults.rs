//! The contract over a service that loses notifications, fails, and does not do what it has accepted: the double of `vmcompute.dll` with
//! faults at will. There are cases on Windows alone, and under Wine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::process::ExitCode;

#[cfg(not(windows))]
fn main() -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(windows)]
fn main() -> ExitCode {
    on_windows::main()
}

#[cfg(windows)]
mod on_windows {
    use std::{
        fs,
        io::{self, BufRead, BufReader, Read, Write},
        path::{Path, PathBuf},
        process::{Command, ExitCode, Stdio as ChildStdio},
        sync::Arc,
        thread,
        time::{Duration, Instant},
    };

    use hoist_compute::{
        ComputeService, Confinement, ErrorKind, ExecSpec, ExitStatus, State, Stdio, Stream,
    };
    use hoist_hcs::{
        Dialect, HcsService, Patience, Settings,
        calls::{HcsCalls, Limits},
        sys::Vmcompute,
    };
    use hoist_spec::{ConsoleSize, ContainerId, ContainerSpec, ProcessSpec, RootSource, Signal};
    use hoist_testing::{
        full, unfiltered,
        windows::{Double, Usage},
    };
    use libtest_mimic::{Arguments, Completion, Trial};
    use serde_json::{Value, json};

    /// The variable that names the file of faults.
    const FAULTS: &str = "HOIST_HCS_DOUBLE_FAULTS";
    /// What the service is given in these tests, so that its silence is noticed soon.
    const PATIENCE: Patience = Patience {
        shutdown: Duration::from_secs(2),
        terminate: Duration::from_secs(2),
        poll: Duration::from_millis(100),
    };
    /// Generous: the machine may be slow, and stand still for minutes.
    const HANGS_AFTER: Duration = Duration::from_secs(600);

    type Case = fn(&Place);

    const CASES: &[(&str, Case)] = &[
        (
            "a look from outside that fails does not end the process that it was at",
            looked_at_in_vain,
        ),
        (
            "whatever notification is lost, a run ends with its code and the container is removed",
            whatever_notification_is_lost,
        ),
        (
            "whatever notification is lost, an end by force ends and is told",
            an_end_by_force_without_notifications,
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
            "whatever notification is lost, an exec ends with its code, for those who wait elsewhere, too",
            execs_whatever_is_lost,
        ),
        (
            "what a process has written is whole however late it is read, and the end of its input is told without a byte",
            whole_streams,
        ),
        (
            "thousands of execs leave as many handles and as much private memory as there were before",
            execs_leave_nothing,
        ),
        (
            "output that is copied or that nobody reads takes none of the engine's memory",
            output_takes_no_memory,
        ),
        (
            "a call that hangs inside the DLL holds up nobody else, and what it holds is let go of when it returns",
            a_call_that_hangs,
        ),
        (
            "a layer's links and files are as they were after a container's whole life on it",
            layers_are_left_alone,
        ),
        (
            "an owner that is killed at any call leaves what the next one removes",
            an_owner_killed_at_any_call,
        ),
        (
            "with faults at random calls each run and exec has the right result or an error, and nothing is left",
            faults_at_random_calls,
        ),
    ];

    pub(super) fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().collect();
        match arguments.as_slice() {
            [_, first, id, folder] if first == "own" => own(id, Path::new(folder)),
            [_, first] if first == "sleep" => loop {
                thread::sleep(Duration::from_secs(3600));
            },
            [_, first, code] if first == "exit" => std::process::exit(code.parse().unwrap()),
            [_, first, count] if first == "write" => {
                io::stdout()
                    .write_all(&vec![b'x'; count.parse().unwrap()])
                    .unwrap();
                std::process::exit(6);
            }
            [_, first] if first == "drain" => {
                let taken = io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
                std::process::exit(i32::try_from(taken).unwrap() + 4);
            }
            _ => {}
        }
        let folder = std::env::temp_dir().join(format!("service-faults-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        if let Some(code) = Double::main(Some(&folder.join("faults.json"))) {
            let _ = fs::remove_dir_all(&folder);
            return code;
        }
        let trials = CASES
            .iter()
            .map(|(name, case)| {
                let folder = folder.clone();
                Trial::ignorable_test(*name, move || {
                    if Double::path().is_none() {
                        let reason = "HOIST_TEST_HCS_DOUBLE names no double of vmcompute.dll";
                        return Ok(Completion::ignored_with(reason));
                    }
                    let place = Place::new(&folder);
                    place.faults(&json!([]));
                    let longest = if full() { 48 } else { 2 };
                    hoist_testing::hangs_after(HANGS_AFTER * longest, move || {
                        case(&place);
                        place.faults(&json!([]));
                        place.assert_nothing_left();
                    });
                    Ok(Completion::Completed)
                })
            })
            .collect();
        let arguments = Arguments {
            test_threads: Some(1),
            ..Arguments::from_args()
        };
        let code = libtest_mimic::run(&arguments, trials).exit_code();
        let _ = fs::remove_dir_all(&folder);
        code
    }

    struct Place {
        folder: PathBuf,
        service: Arc<dyn ComputeService>,
        double: Double,
    }

    fn service(folder: &Path) -> Arc<dyn ComputeService> {
        service_with(folder, Settings::hoist())
    }

    fn service_with(folder: &Path, settings: Settings) -> Arc<dyn ComputeService> {
        let dll = Vmcompute::load_double(&Double::path().unwrap()).unwrap();
        let limits = Limits {
            operation: Duration::from_secs(5),
            poll: PATIENCE.poll,
        };
        let calls = HcsCalls::new(dll, Dialect::Schema1, limits);
        let root = folder.join("records");
        Arc::new(HcsService::new(calls, root, settings, PATIENCE).unwrap())
    }

    fn process(arguments: &[&str]) -> Value {
        let mut all = vec![
            std::env::current_exe()
                .unwrap()
                .to_string_lossy()
                .into_owned(),
        ];
        all.extend(arguments.iter().map(|&word| word.to_owned()));
        json!({"args": all, "cwd": "C:\\", "user": {"uid": 0, "gid": 0}})
    }

    fn spec(arguments: &[&str]) -> ContainerSpec {
        let oci =
            json!({"ociVersion": "1.2.0", "root": {"path": "C:\\"}, "process": process(arguments)});
        unfiltered(oci, RootSource::Directory("C:\\".into()))
    }

    fn further(arguments: &[&str]) -> ProcessSpec {
        ProcessSpec {
            oci: serde_json::from_value(process(arguments)).unwrap(),
            user: None,
        }
    }

    fn id(text: &str) -> ContainerId {
        format!("{text}-{}", std::process::id()).parse().unwrap()
    }

    impl Place {
        fn new(folder: &Path) -> Self {
            Self {
                folder: folder.to_owned(),
                service: service(folder),
                double: Double::load().unwrap(),
            }
        }

        fn faults(&self, rules: &Value) {
            let file = std::env::var_os(FAULTS).unwrap();
            fs::write(file, rules.to_string()).unwrap();
        }

        fn assert_nothing_left(&self) {
            self.assert_nothing_left_after("");
        }

        fn assert_nothing_left_after(&self, what: &str) {
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let left = self.double.report();
                let records = fs::read_dir(self.folder.join("records").join("containers"))
                    .unwrap()
                    .count();
                let none = ["handles", "callbacks", "systems", "processes"]
                    .iter()
                    .all(|kind| left[*kind] == 0);
                if none && records == 0 {
                    return;
                }
                assert!(
                    Instant::now() < deadline,
                    "left: {left} and {records} records {what}"
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

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

    fn a_system_is_not_asked_to_end(place: &Place) {
        // That would be the end of the service.
        place.faults(&json!([{"function": "HcsShutdownComputeSystem", "die": true}]));
        let settings = Settings {
            force_kill: true,
            ..Settings::hoist()
        };
        runs_to_its_end_in(&*service_with(&place.folder, settings), "forced");
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

    // Row 41: each step with a time of its own.
    fn a_deaf_shutdown(place: &Place) {
        place.faults(&json!([{"function": "HcsShutdownComputeSystem", "fail": 0xC037_0103_u32}]));
        runs_to_its_end(place, "deaf");
    }

    fn a_failed_shutdown(place: &Place) {
        place.faults(&json!([{"function": "HcsShutdownComputeSystem", "fail": 0x8007_05AA_u32}]));
        runs_to_its_end(place, "failed");
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
        place.faults(
            &json!([{"function": "HcsGetComputeSystemProperties", "fail": 0x8007_05AA_u32}]),
        );
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

    // Row 42: output that is lost at exit, a hang on a pipe, an end of the input that is never told.
    fn whole_streams(place: &Place) {
        let name = id("streams");
        let system = place.service.create(&name, &spec(&["sleep"])).unwrap();
        system.start(Stdio::null()).unwrap();
        let start = |arguments: &[&str]| {
            system
                .create_process(&further(arguments), Stdio::pipes())
                .unwrap()
        };
        // What fits into a pipe is there after the process's end, and what does not makes it wait until somebody reads.
        for (count, waits_first) in [(1000, true), (1 << 20, false)] {
            let process = start(&["write", &count.to_string()]);
            let streams = process.take_streams();
            if waits_first {
                process.wait(Some(HANGS_AFTER)).unwrap();
            }
            thread::sleep(Duration::from_millis(300));
            let mut output = Vec::new();
            streams.stdout.unwrap().read_to_end(&mut output).unwrap();
            assert_eq!(output.len(), count);
            assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(6));
            // It reads nothing any more: that is no error of the caller's.
            process.close_stdin().unwrap();
        }
        for written in [&b""[..], b"ab"] {
            let process = start(&["drain"]);
            let mut input = process.take_streams().stdin.unwrap();
            input.write_all(written).unwrap();
            drop(input);
            let code = i32::try_from(written.len()).unwrap() + 4;
            assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(code));
        }
        let process = start(&["drain"]);
        process.close_stdin().unwrap();
        assert_eq!(process.wait(Some(HANGS_AFTER)).unwrap().code, Some(4));
        system.terminate().unwrap();
        system.delete().unwrap();
    }

    // Of security.md, section 2d: CVE-2022-31030 and CVE-2022-1708, an exec's output without end kept in memory.
    fn output_takes_no_memory(place: &Place) {
        const MOST: usize = 8 << 20;
        const WRITTEN: usize = 64 << 20;
        let system = place
            .service
            .create(&id("output"), &spec(&["sleep"]))
            .unwrap();
        system.start(Stdio::null()).unwrap();
        let before = Usage::own().unwrap().private_bytes;
        let file = place.folder.join("output");
        let given = Stdio::Streams {
            stdin: Stream::Null,
            stdout: Stream::Given(fs::File::create(&file).unwrap()),
            stderr: Stream::Null,
        };
        let write = further(&["write", &WRITTEN.to_string()]);
        let copied = system.create_process(&write, given).unwrap();
        let unread = system.create_process(&write, Stdio::pipes()).unwrap();
        assert_eq!(copied.wait(Some(HANGS_AFTER)).unwrap().code, Some(6));
        let after = Usage::own().unwrap().private_bytes;
        // What nobody reads is not written.
        let error = unread.wait(Some(Duration::from_millis(200))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(
            after < before + MOST,
            "{before} bytes before, {after} after"
        );
        let deadline = Instant::now() + HANGS_AFTER;
        while fs::metadata(&file).unwrap().len() < WRITTEN as u64 {
            assert!(Instant::now() < deadline, "the copy is short");
            thread::sleep(Duration::from_millis(20));
        }
        system.terminate().unwrap();
        system.delete().unwrap();
        fs::remove_file(file).unwrap();
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

    /// Another process that makes and starts a container, and owns it.
    fn own(name: &str, folder: &Path) {
        let system = service(folder)
            .create(&name.parse().unwrap(), &spec(&["sleep"]))
            .unwrap();
        println!("made");
        let process = system.start(Stdio::null()).unwrap();
        println!("started");
        process.wait(None).unwrap();
        std::process::exit(0);
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
            if function != "HcsCreateComputeSystem"
                && function != "HcsRegisterComputeSystemCallback"
            {
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

    fn is_right(status: &ExitStatus) -> bool {
        // A code that could not be read is unknown, never another.
        status.code == Some(9) || status.unknown.is_some()
    }

    /// The rules of a batch: each call and each notification that a round makes may fail, be lost or come late.
    fn random_faults(seed: u64) -> Value {
        let functions = [
            "HcsCreateComputeSystem",
            "HcsOpenComputeSystem",
            "HcsRegisterComputeSystemCallback",
            "HcsStartComputeSystem",
            "HcsShutdownComputeSystem",
            "HcsGetComputeSystemProperties",
            "HcsCreateProcess",
            "HcsOpenProcess",
            "HcsRegisterProcessCallback",
            "HcsGetProcessProperties",
            "HcsModifyProcess",
        ];
        let mut seeds = (0..).map(|number: u64| seed.wrapping_mul(1000) + number);
        let mut rules: Vec<Value> = functions
            .iter()
            .zip(&mut seeds)
            .map(|(function, seed)| json!({"function": function, "one_in": 25, "seed": seed, "fail": 0x8007_05AA_u32}))
            .collect();
        for (kind, seed) in [0x1, 0x2, 0x3, 0x1_0000].into_iter().zip(seeds) {
            rules.push(json!({"notification": kind, "one_in": 25, "seed": seed, "drop": true}));
            rules.push(json!({"notification": kind, "one_in": 10, "seed": seed ^ 1, "delay": 20}));
        }
        rules.into()
    }

    /// A container is made and run, a process executed in it, and all ended; what is wrong, in words.
    fn round(service: &dyn ComputeService, name: &ContainerId) -> Result<(), String> {
        let right = |status: &ExitStatus, is_right: bool| {
            if is_right {
                return Ok(());
            }
            Err(format!("it ended as {status:?}"))
        };
        let mut wrong = Ok(());
        let done = service.create(name, &spec(&["sleep"])).and_then(|system| {
            let process = system.start(Stdio::null())?;
            let exec = system.create_process(&further(&["exit", "9"]), Stdio::null())?;
            let status = exec.wait(Some(HANGS_AFTER))?;
            wrong = right(&status, is_right(&status));
            system.terminate()?;
            let status = process.wait(Some(HANGS_AFTER))?;
            wrong = wrong.clone().and(right(&status, status.code.is_none()));
            system.delete()
        });
        wrong?;
        match done {
            Err(error) if error.kind() == ErrorKind::InvalidSpec => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    // 2,000 runs and as many execs with HOIST_TESTS_FULL=1, 40 of each without. HOIST_TEST_SEED=N begins with another batch.
    fn faults_at_random_calls(place: &Place) {
        const BATCH: u64 = 40;
        const AT_ONCE: u64 = 4;
        let first = std::env::var("HOIST_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
        let service = &*place.service;
        let batches = if full() { 2000 / BATCH } else { 1 };
        for seed in first..first + batches {
            place.faults(&random_faults(seed));
            let name = |number: u64| id(&format!("random{seed}x{number}"));
            let wrong: Vec<String> = thread::scope(|scope| {
                let workers: Vec<_> = (0..AT_ONCE)
                    .map(|worker| {
                        let rounds = (worker..BATCH).step_by(AT_ONCE as usize);
                        scope.spawn(move || {
                            rounds
                                .filter_map(|number| {
                                    let words = round(service, &name(number)).err()?;
                                    Some(format!("round {number}: {words}"))
                                })
                                .collect::<Vec<_>>()
                        })
                    })
                    .collect();
                let done = workers.into_iter().map(|worker| worker.join().unwrap());
                done.flatten().collect()
            });
            assert!(wrong.is_empty(), "with HOIST_TEST_SEED={seed}: {wrong:#?}");
            // Whatever failed, what is left can be removed; with the service well again that does not fail.
            place.faults(&json!([]));
            let mut failed = 0;
            for number in 0..BATCH {
                if let Ok(system) = place.service.open(&name(number)) {
                    failed += 1;
                    let removed = system.terminate().and_then(|()| system.delete());
                    assert!(
                        removed.is_ok(),
                        "with HOIST_TEST_SEED={seed}, round {number} cannot be removed: {removed:?}"
                    );
                }
            }
            assert!(
                failed < BATCH,
                "with HOIST_TEST_SEED={seed} no round ended well"
            );
            place.assert_nothing_left_after(&format!("with HOIST_TEST_SEED={seed}"));
            if full() {
                let done = (seed - first + 1) * BATCH;
                eprintln!(
                    "{done} runs and execs; {failed} of the last {BATCH} left something to remove"
                );
            }
        }
    }
}
