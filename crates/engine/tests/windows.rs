//! The engine on Windows, over the `vmcompute.dll` of the system folder: under Wine that is the double, which `HOIST_TEST_HCS_INSTALLED=1`
//! says. On other platforms there are no cases.

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
        io::{BufRead, BufReader, Read, Write},
        path::PathBuf,
        process::{Command, ExitCode},
        thread,
        time::Duration,
    };

    use hoist::{Ended, Engine, EngineOptions, Hooks, Oom, RunRequest, StopRequest, random_id};
    use hoist_compute::{Confinement, ErrorKind, ExecSpec, State, Stdio};
    use hoist_spec::{ContainerId, ProcessSpec, RootSource, Signal};
    use hoist_testing::{unfiltered, windows::Double};
    use libtest_mimic::{Arguments, Completion, Trial};
    use serde_json::{Value, json};

    const INSTALLED: &str = "HOIST_TEST_HCS_INSTALLED";
    /// The variable that names the double's file of faults.
    const FAULTS: &str = "HOIST_HCS_DOUBLE_FAULTS";
    const DEADLINE: Duration = Duration::from_secs(120);

    type Case = fn(&Place);

    const CASES: &[(&str, Case)] = &[
        (
            "the engine runs a program, and its output, code and end come back",
            it_runs_a_program,
        ),
        (
            "the engine executes in a container that runs, lists it, stops it and removes it",
            it_works_on_a_container,
        ),
        (
            "another engine finds what ran, with its code, by name",
            another_engine_finds_it,
        ),
        (
            "another program re-attaches to what a killed one has left running, and gets its true code",
            another_program_re_attaches,
        ),
        (
            "ending a container with its thread is refused, not forgotten",
            taking_along_is_refused,
        ),
        (
            "with force_kill the engine's containers are ended by force, and never asked to end",
            none_is_asked_to_end,
        ),
    ];

    pub(super) fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().collect();
        match arguments.as_slice() {
            [_, first, text, code] if first == "say" => {
                println!("{text}");
                std::process::exit(code.parse().unwrap());
            }
            [_, first, path, code] if first == "until" => {
                while fs::metadata(path).is_err() {
                    thread::sleep(Duration::from_millis(5));
                }
                std::process::exit(code.parse().unwrap());
            }
            [_, first, root, path] if first == "own" => own(root, path),
            [_, first] if first == "sleep" => loop {
                println!("ready");
                std::io::stdout().flush().unwrap();
                thread::sleep(Duration::from_secs(3600));
            },
            _ => {}
        }
        let faults = std::env::temp_dir().join(format!("engine-faults-{}", std::process::id()));
        if std::env::var_os(INSTALLED).is_some()
            && let Some(code) = Double::main(Some(&faults))
        {
            let _ = fs::remove_file(&faults);
            return code;
        }
        let trials = CASES
            .iter()
            .map(|(name, case)| {
                Trial::ignorable_test(*name, move || {
                    if std::env::var_os(INSTALLED).is_none() {
                        let reason =
                            format!("{INSTALLED} does not say that the double is installed");
                        return Ok(Completion::ignored_with(reason));
                    }
                    let place = Place::new();
                    case(&place);
                    fs::remove_dir_all(&place.0).unwrap();
                    Ok(Completion::Completed)
                })
            })
            .collect();
        let arguments = Arguments {
            test_threads: Some(1),
            ..Arguments::from_args()
        };
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            let name = format!("engine-{}", random_id().unwrap());
            Self(std::env::temp_dir().join(name))
        }

        fn engine(&self) -> Engine {
            Engine::open(EngineOptions {
                state_root: Some(self.0.clone()),
                ..EngineOptions::default()
            })
            .unwrap()
        }
    }

    fn process(arguments: &[&str]) -> Value {
        let program = std::env::current_exe().unwrap();
        let mut all = vec![program.to_string_lossy().into_owned()];
        all.extend(arguments.iter().map(|&word| word.to_owned()));
        json!({"args": all, "cwd": "C:\\", "user": {"uid": 0, "gid": 0}})
    }

    fn request(arguments: &[&str], name: Option<&str>) -> RunRequest {
        let oci = json!({
            "ociVersion": "1.2.0", "root": {"path": "C:\\"}, "process": process(arguments),
        });
        RunRequest {
            id: random_id().unwrap(),
            name: name.map(str::to_owned),
            spec: unfiltered(oci, RootSource::Directory("C:\\".into())),
            remove: false,
        }
    }

    fn run(engine: &Engine, request: &RunRequest) -> (String, Option<i32>) {
        let mut said = String::new();
        let mut hooks = Hooks::default();
        let status = engine
            .run_with(request, Stdio::pipes(), &mut hooks, |process| {
                let streams = process.take_streams();
                streams.stdout.unwrap().read_to_string(&mut said).unwrap();
                process.wait(Some(DEADLINE))
            })
            .unwrap();
        (said.replace("\r\n", "\n"), status.code)
    }

    fn it_runs_a_program(place: &Place) {
        let engine = place.engine();
        assert_eq!(engine.features().backend, "hcs");
        let mut once = request(&["say", "hello", "42"], None);
        once.remove = true;
        assert_eq!(run(&engine, &once), ("hello\n".to_owned(), Some(42)));
        assert!(engine.list(true).unwrap().is_empty());
    }

    fn it_works_on_a_container(place: &Place) {
        let engine = place.engine();
        let request = request(&["sleep"], Some("web"));
        let container = engine.create(&request).unwrap();
        let mut notice = None;
        let mut starting = Hooks {
            start: Some(Box::new(|_, _, told| {
                notice = Some(told);
                Ok(())
            })),
            ..Hooks::default()
        };
        let first = engine
            .start(&container, Stdio::null(), &mut starting)
            .unwrap();
        drop(starting);
        let mut hooks = Hooks::default();
        // Windows kills nothing for want of memory: the notice waits as long as the container runs, and then tells its end.
        let mut notice = notice.unwrap();
        let waits = notice.wait(Some(Duration::from_millis(300))).unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::Timeout);
        assert!(engine.is_running(&request.id).unwrap());
        assert!(engine.pids(&request.id).unwrap().contains(&first.pid()));
        let further = ProcessSpec {
            oci: serde_json::from_value(process(&["say", "x", "7"])).unwrap(),
            user: None,
        };
        let exec = engine
            .exec(&request.id, &further, Stdio::null(), &mut hooks)
            .unwrap();
        assert_eq!(exec.wait(Some(DEADLINE)).unwrap().code, Some(7));
        let refused = engine.clean(&request.id, false).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidState);
        let asked = StopRequest {
            signal: None,
            grace: Some(DEADLINE),
        };
        let stopped = engine.stop(&request.id, asked).unwrap();
        assert_eq!(stopped.how, Ended::Signalled);
        assert_eq!(notice.wait(Some(DEADLINE)).unwrap(), Oom::Ended);
        engine.clean(&request.id, false).unwrap();
        assert!(engine.list(true).unwrap().is_empty());
    }

    fn another_engine_finds_it(place: &Place) {
        let request = request(&["say", "x", "5"], Some("job"));
        run(&place.engine(), &request);
        let other = place.engine();
        let found: ContainerId = other.resolve("job").unwrap();
        assert_eq!(found, request.id);
        let summary = other.summary(&found).unwrap();
        assert_eq!(summary.state, State::Stopped);
        assert_eq!(summary.exit.unwrap().code, Some(5));
        other.clean(&found, true).unwrap();
    }

    /// Runs a container and an exec of it until a file is there.
    fn own(root: &str, path: &str) {
        let engine = Place(root.into()).engine();
        let request = request(&["until", path, "9"], Some("left"));
        let container = engine.create(&request).unwrap();
        let mut hooks = Hooks::default();
        let first = engine.start(&container, Stdio::null(), &mut hooks);
        let first = first.unwrap();
        let exec = engine.create_exec(&request.id, &further(&["until", path, "11"]));
        engine.start_exec(&exec.unwrap(), Stdio::null()).unwrap();
        println!("started");
        first.wait(None).unwrap();
    }

    fn further(arguments: &[&str]) -> ExecSpec {
        ExecSpec {
            process: ProcessSpec {
                oci: serde_json::from_value(process(arguments)).unwrap(),
                user: None,
            },
            confinement: Confinement::default(),
            interactive: false,
        }
    }

    fn another_program_re_attaches(place: &Place) {
        fs::create_dir_all(&place.0).unwrap();
        let file = place.0.join("now");
        let (root, path) = (place.0.to_str().unwrap(), file.to_str().unwrap());
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["own", root, path])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = owner.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), "started");
        owner.kill().unwrap();
        owner.wait().unwrap();
        let engine = place.engine();
        let [found] = engine.list(true).unwrap().try_into().unwrap();
        let id = found.summary.id;
        assert_eq!(engine.resolve("left").unwrap(), id);
        assert_eq!(found.summary.state, State::Running);
        let [exec] = engine.execs(Some(&id), false).unwrap().try_into().unwrap();
        let exec = exec.reference();
        // It is a container like any other: more is started in it, and waited for.
        let more = engine
            .create_exec(&id, &further(&["say", "x", "7"]))
            .unwrap();
        engine.start_exec(&more, Stdio::null()).unwrap();
        let done = engine.wait_exec(&more, Some(DEADLINE)).unwrap();
        assert_eq!(done.code, Some(7));
        thread::scope(|scope| {
            let first = scope.spawn(|| engine.wait(&id, Some(DEADLINE)).unwrap());
            let further = scope.spawn(|| engine.wait_exec(&exec, Some(DEADLINE)).unwrap());
            // Both are waited for by now, or the exit code would go with the processes.
            thread::sleep(Duration::from_secs(2));
            fs::write(&file, "").unwrap();
            assert_eq!(first.join().unwrap().code, Some(9));
            let status = further.join().unwrap();
            // It ended by itself, or with its container where that was quicker.
            assert!(
                status.code == Some(11)
                    || status.signal == Some(Signal::KILL)
                    || status.unknown.is_some(),
                "{status:?}"
            );
        });
        engine.clean(&id, false).unwrap();
    }

    fn none_is_asked_to_end(place: &Place) {
        let engine = Engine::open(EngineOptions {
            state_root: Some(place.0.clone()),
            force_kill: true,
            ..EngineOptions::default()
        })
        .unwrap();
        let faults = std::env::var_os(FAULTS).unwrap();
        // That would be the end of the service.
        let rules = json!([{"function": "HcsShutdownComputeSystem", "die": true}]);
        fs::write(&faults, rules.to_string()).unwrap();
        let mut ends = request(&["say", "x", "3"], None);
        ends.remove = true;
        assert_eq!(run(&engine, &ends), ("x\n".to_owned(), Some(3)));
        assert!(engine.list(true).unwrap().is_empty());
        let stays = request(&["sleep"], None);
        let container = engine.create(&stays).unwrap();
        let first = engine.start(&container, Stdio::null(), &mut Hooks::default());
        let asked = StopRequest {
            signal: Some(Signal::KILL),
            grace: None,
        };
        engine.stop(&stays.id, asked).unwrap();
        let ended = first.unwrap().wait(Some(DEADLINE)).unwrap();
        assert_eq!(ended.signal, Some(Signal::KILL));
        engine.clean(&stays.id, false).unwrap();
        fs::remove_file(faults).unwrap();
    }

    fn taking_along_is_refused(place: &Place) {
        let options = EngineOptions {
            state_root: Some(place.0.clone()),
            takes_containers_along: true,
            ..EngineOptions::default()
        };
        let error = Engine::open(options).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        fs::create_dir_all(&place.0).unwrap();
    }
}
