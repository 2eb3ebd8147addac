//! The engine over the fake backend.

use std::{
    cell::RefCell,
    io::{Read, Write},
    path::Path,
    sync::{Arc, Barrier, atomic::Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{ComputeService, ErrorKind, ExitStatus, State, Stdio};
use hoist_spec::{ContainerId, Signal};

use super::{Ended, Engine, RunRequest, StopRequest, TERMINATE_LIMIT, random_id};
use crate::{
    HookContext, Hooks, Oom,
    fake::{self, FakeService},
};

/// Far more than anything here takes: it tells a hang from slow work.
const HANG: Duration = Duration::from_secs(30);

struct Bench {
    folder: tempfile::TempDir,
    service: Arc<FakeService>,
    engine: Engine,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Arc::new(FakeService::default());
        let engine = Engine::with_service(
            Arc::clone(&service) as Arc<dyn ComputeService>,
            folder.path(),
        );
        Self {
            folder,
            service,
            engine,
        }
    }

    fn start(&self, script: &str) -> ContainerId {
        let request = request(None, script);
        let container = self.engine.create(&request).unwrap();
        let stdio = Stdio::pipes();
        let process = self
            .engine
            .start(&container, stdio, &mut Hooks::default())
            .unwrap();
        // The script says so when its traps are set.
        let mut ready = [0; 6];
        let mut output = process.take_streams().stdout.unwrap();
        output.read_exact(&mut ready).unwrap();
        request.id
    }

    fn assert_nothing_is_left(&self) {
        assert!(self.service.is_empty());
        let names = self.folder.path().join("names");
        assert_eq!(files(&names), Vec::<String>::new());
    }
}

fn files(folder: &Path) -> Vec<String> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect(),
        Err(_) => Vec::new(),
    }
}

fn request(name: Option<&str>, script: &str) -> RunRequest {
    RunRequest {
        id: random_id().unwrap(),
        name: name.map(str::to_owned),
        spec: fake::spec(&["sh", "-c", script]),
        remove: true,
    }
}

fn id(text: &str) -> ContainerId {
    text.parse().unwrap()
}

#[test]
fn a_random_id_is_64_hexadecimal_digits_and_no_two_are_the_same() {
    let (one, other) = (random_id().unwrap(), random_id().unwrap());
    assert_eq!(one.as_str().len(), 64);
    assert!(
        one.as_str()
            .bytes()
            .all(|byte| b"0123456789abcdef".contains(&byte))
    );
    assert_ne!(one, other);
}

#[test]
fn where_updates_cannot_be_installed_the_run_keeps_its_code_and_the_container_stays() {
    let bench = Bench::new();
    bench.service.faults.updates_fail.store(true, SeqCst);
    let request = request(None, "exit 0");
    let mut hooks = Hooks::default();
    let status = bench
        .engine
        .run_with(&request, Stdio::null(), &mut hooks, |process| {
            process.wait(Some(HANG))
        })
        .unwrap();
    assert_eq!(status.code, Some(0));
    let [failure] = hooks.failures.try_into().unwrap();
    assert!(failure.to_string().contains("install updates"), "{failure}");
    assert!(bench.engine.summary(&request.id).is_ok());
    bench.service.faults.updates_fail.store(false, SeqCst);
    bench.engine.clean(&request.id, false).unwrap();
    bench.assert_nothing_is_left();
}

#[test]
fn a_run_calls_every_hook_once_in_order_and_leaves_nothing() {
    let bench = Bench::new();
    let calls = RefCell::new(Vec::new());
    let call = |what: &'static str| calls.borrow_mut().push(what);
    let request = request(Some("web"), "exit 7");
    let mut hooks = Hooks {
        pre_start: vec![
            Box::new(|context| {
                assert_eq!((context.id, context.name), (&request.id, Some("web")));
                call("first pre-start");
                Ok(())
            }),
            Box::new(|_| {
                call("second pre-start");
                Ok(())
            }),
        ],
        start: Some(Box::new(|_, pid, _| {
            assert!(pid > 0);
            call("start");
            Ok(())
        })),
        post_stop: vec![Box::new(|_| {
            call("post-stop");
            Ok(())
        })],
        ..Hooks::default()
    };
    let status = bench
        .engine
        .run(&request, Stdio::null(), &mut hooks)
        .unwrap();
    assert_eq!(status.code, Some(7));
    assert!(hooks.failures.is_empty());
    drop(hooks);
    assert_eq!(
        calls.into_inner(),
        ["first pre-start", "second pre-start", "start", "post-stop"]
    );
    bench.assert_nothing_is_left();
}

#[test]
fn a_container_that_is_not_to_be_removed_keeps_its_status_and_name() {
    let bench = Bench::new();
    let request = RunRequest {
        remove: false,
        ..request(Some("kept"), "exit 3")
    };
    bench
        .engine
        .run(&request, Stdio::null(), &mut Hooks::default())
        .unwrap();
    assert_eq!(bench.engine.resolve("kept").unwrap(), request.id);
    assert_eq!(bench.engine.wait(&request.id, None).unwrap().code, Some(3));
    assert!(bench.engine.list(false).unwrap().is_empty());
    let listed = bench.engine.list(true).unwrap();
    assert_eq!(listed[0].name.as_deref(), Some("kept"));
    bench.engine.clean(&request.id, false).unwrap();
    bench.assert_nothing_is_left();
}

#[test]
fn a_failing_pre_start_hook_stops_the_start_and_cleans_up() {
    let bench = Bench::new();
    let later = RefCell::new(0);
    let post_stops = RefCell::new(0);
    let mut hooks = Hooks {
        pre_start: vec![
            Box::new(|_| Err("no network".into())),
            Box::new(|_| {
                *later.borrow_mut() += 1;
                Ok(())
            }),
        ],
        post_stop: vec![Box::new(|_| {
            *post_stops.borrow_mut() += 1;
            Ok(())
        })],
        ..Hooks::default()
    };
    let marker = bench.folder.path().join("started");
    let request = request(Some("web"), &format!("touch {}", marker.display()));
    let error = bench
        .engine
        .run(&request, Stdio::null(), &mut hooks)
        .unwrap_err();
    assert_eq!(error.operation(), "run a pre-start hook");
    drop(hooks);
    assert!(!marker.exists());
    assert_eq!((later.into_inner(), post_stops.into_inner()), (0, 1));
    bench.assert_nothing_is_left();
}

#[test]
fn a_failed_start_calls_every_post_stop_hook_once_and_cleans_up() {
    let bench = Bench::new();
    bench.service.faults.start_fails.store(true, SeqCst);
    let post_stops = RefCell::new(0);
    let mut hooks = Hooks {
        post_stop: vec![
            Box::new(|_| Err("the first one fails".into())),
            Box::new(|_| {
                *post_stops.borrow_mut() += 1;
                Ok(())
            }),
        ],
        ..Hooks::default()
    };
    let request = request(Some("web"), "exit");
    let error = bench
        .engine
        .run(&request, Stdio::null(), &mut hooks)
        .unwrap_err();
    assert_eq!(error.operation(), "start");
    assert_eq!(hooks.failures.len(), 1);
    assert_eq!(hooks.failures[0].operation(), "run a post-stop hook");
    drop(hooks);
    assert_eq!(post_stops.into_inner(), 1);
    bench.assert_nothing_is_left();
}

#[test]
fn a_failing_start_hook_tears_the_container_down() {
    let bench = Bench::new();
    let mut hooks = Hooks {
        start: Some(Box::new(|_, _, _| Err("not wanted".into()))),
        ..Hooks::default()
    };
    let began = Instant::now();
    let error = bench
        .engine
        .run(&request(None, "sleep 100"), Stdio::null(), &mut hooks)
        .unwrap_err();
    assert_eq!(error.operation(), "run a start hook");
    assert!(began.elapsed() < HANG);
    bench.assert_nothing_is_left();
}

#[test]
fn a_failure_while_attending_ends_the_container() {
    let bench = Bench::new();
    let error = bench
        .engine
        .run_with(
            &request(Some("web"), "sleep 100"),
            Stdio::null(),
            &mut Hooks::default(),
            |_| {
                Err(hoist_compute::Error::new(
                    ErrorKind::System,
                    hoist_compute::Phase::Operate,
                    "attend",
                ))
            },
        )
        .unwrap_err();
    assert_eq!(error.operation(), "attend");
    bench.assert_nothing_is_left();
}

#[test]
fn starting_twice_is_refused_and_harms_nothing() {
    let bench = Bench::new();
    let id = bench.start("echo ready; sleep 100");
    let container = bench.engine.container(&id).unwrap();
    for pre_start in [
        Vec::new(),
        vec![Box::new(|_: &HookContext<'_>| Ok(())) as crate::Hook<'_>],
    ] {
        let mut hooks = Hooks {
            pre_start,
            ..Hooks::default()
        };
        let error = bench
            .engine
            .start(&container, Stdio::null(), &mut hooks)
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        assert!(bench.engine.is_running(&id).unwrap());
    }
    bench.engine.clean(&id, true).unwrap();
}

#[test]
fn stop_asks_first() {
    let bench = Bench::new();
    let id = bench.start("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done");
    let outcome = bench.engine.stop(&id, StopRequest::default()).unwrap();
    assert_eq!(outcome.how, Ended::Signalled);
    assert_eq!(outcome.status.unwrap().code, Some(9));
    let again = bench.engine.stop(&id, StopRequest::default()).unwrap();
    assert_eq!(again.how, Ended::NotRunning);
    assert_eq!(again.status.unwrap().code, Some(9));
}

#[test]
fn stop_terminates_what_does_not_listen() {
    let bench = Bench::new();
    let id = bench.start("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    let request = StopRequest {
        grace: Some(Duration::from_millis(50)),
        ..StopRequest::default()
    };
    let outcome = bench.engine.stop(&id, request).unwrap();
    assert_eq!(outcome.how, Ended::Terminated);
    assert_eq!(outcome.status.unwrap().signal, Some(Signal::KILL));
    assert!(outcome.failures.is_empty());
}

#[test]
fn stop_sends_another_signal_where_asked() {
    let bench = Bench::new();
    let id = bench.start("trap 'exit 4' USR1; echo ready; while :; do sleep 0.01; done");
    let request = StopRequest {
        signal: Some(Signal::USR1),
        grace: Some(Duration::MAX),
    };
    let outcome = bench.engine.stop(&id, request).unwrap();
    assert_eq!(outcome.status.unwrap().code, Some(4));
}

#[test]
fn a_paused_container_is_stopped_by_its_signal() {
    let bench = Bench::new();
    let id = bench.start("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done");
    let container = bench.engine.container(&id).unwrap();
    container.system().pause().unwrap();
    assert_eq!(bench.engine.summary(&id).unwrap().state, State::Paused);
    let outcome = bench.engine.stop(&id, StopRequest::default()).unwrap();
    assert_eq!(outcome.how, Ended::Signalled);
    assert_eq!(outcome.status.unwrap().code, Some(9));
}

#[test]
fn a_process_that_cannot_be_killed_is_named_and_nothing_hangs() {
    let bench = Bench::new();
    let id = bench.start("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    let pid = bench.engine.pids(&id).unwrap()[0];
    bench.service.faults.terminate_hangs.store(true, SeqCst);
    let began = Instant::now();
    let request = StopRequest {
        grace: Some(Duration::ZERO),
        ..StopRequest::default()
    };
    let error = bench.engine.stop(&id, request).unwrap_err();
    assert!(began.elapsed() < HANG);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(&format!("process {pid} (sh -c")), "{cause}");
    bench.service.faults.terminate_hangs.store(false, SeqCst);
    bench.engine.clean(&id, true).unwrap();
}

#[test]
fn processes_that_are_slow_to_end_are_no_error() {
    let bench = Bench::new();
    let id = bench.start("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    bench.service.faults.terminate_hangs.store(true, SeqCst);
    let request = StopRequest {
        grace: Some(Duration::ZERO),
        ..StopRequest::default()
    };
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(TERMINATE_LIMIT * 2);
            bench.service.faults.terminate_hangs.store(false, SeqCst);
        });
        bench.engine.stop(&id, request).unwrap()
    });
    assert_eq!(outcome.how, Ended::Terminated);
    assert_eq!(outcome.status.unwrap().signal, Some(Signal::KILL));
}

#[test]
fn stopping_a_container_that_was_never_started_leaves_it() {
    let bench = Bench::new();
    let request = request(None, "exit");
    bench.engine.create(&request).unwrap();
    let outcome = bench
        .engine
        .stop(&request.id, StopRequest::default())
        .unwrap();
    assert_eq!((outcome.how, outcome.status), (Ended::NotRunning, None));
}

#[test]
fn cleaning_needs_force_while_it_runs_and_may_be_repeated() {
    let bench = Bench::new();
    let id = bench.start("echo ready; sleep 100");
    let error = bench.engine.clean(&id, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
    bench.engine.clean(&id, true).unwrap();
    bench.engine.clean(&id, true).unwrap();
    bench.engine.clean(&id, false).unwrap();
    bench.assert_nothing_is_left();
}

#[test]
fn of_32_threads_one_gets_the_name() {
    let bench = Bench::new();
    bench.service.faults.create_is_slow.store(true, SeqCst);
    for _ in 0..20 {
        let barrier = Barrier::new(32);
        let winners: Vec<RunRequest> = thread::scope(|scope| {
            let threads: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        let request = request(Some("web"), "exit");
                        barrier.wait();
                        match bench.engine.create(&request) {
                            Ok(_) => Some(request),
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::AlreadyExists);
                                None
                            }
                        }
                    })
                })
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(winners.len(), 1);
        let winner = &winners[0].id;
        assert_eq!(&bench.engine.resolve("web").unwrap(), winner);
        assert_eq!(bench.engine.list(true).unwrap().len(), 1);
        // Its container goes without the name, as in a crash: the next round takes the name over.
        bench.service.open(winner).unwrap().delete().unwrap();
        assert_eq!(
            bench.engine.resolve("web").unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}

#[test]
fn names_are_taken_and_freed_by_many_at_once_without_a_trace() {
    let bench = Bench::new();
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let request = request(Some("web"), "exit");
                    match bench.engine.create(&request) {
                        Ok(_) => {
                            let holder = bench.engine.resolve("web").unwrap();
                            assert_eq!(holder, request.id);
                            bench.engine.clean(&request.id, false).unwrap();
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
                    }
                }
            });
        }
    });
    let last = request(Some("web"), "exit");
    bench.engine.create(&last).unwrap();
    bench.engine.clean(&last.id, false).unwrap();
    bench.assert_nothing_is_left();
}

#[test]
fn an_id_in_use_keeps_its_name_and_the_new_name_is_free_again() {
    let bench = Bench::new();
    let first = request(Some("one"), "exit");
    bench.engine.create(&first).unwrap();
    let second = RunRequest {
        name: Some("two".to_owned()),
        ..first.clone()
    };
    let error = bench.engine.create(&second).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(files(&bench.folder.path().join("names")), ["one"]);
}

#[test]
fn a_name_that_is_a_path_is_refused() {
    let bench = Bench::new();
    for name in ["../up", "", ".", "a/b"] {
        let error = bench.engine.create(&request(Some(name), "exit")).err();
        assert_eq!(error.unwrap().kind(), ErrorKind::InvalidSpec, "{name:?}");
    }
    bench.assert_nothing_is_left();
}

#[test]
fn a_reference_is_an_id_a_name_or_the_beginning_of_one_id() {
    let bench = Bench::new();
    for (own, name) in [("abc123", Some("abc")), ("abd", None), ("abd456", None)] {
        let request = RunRequest {
            id: id(own),
            ..request(name, "exit")
        };
        bench.engine.create(&request).unwrap();
    }
    let engine = &bench.engine;
    assert_eq!(engine.resolve("abd").unwrap(), id("abd"));
    assert_eq!(engine.resolve("abc").unwrap(), id("abc123"));
    assert_eq!(engine.resolve("abc1").unwrap(), id("abc123"));
    assert_eq!(engine.resolve("abd4").unwrap(), id("abd456"));

    let several = engine.resolve("ab").unwrap_err();
    assert_eq!(several.kind(), ErrorKind::InvalidSpec);
    let cause = std::error::Error::source(&several).unwrap().to_string();
    assert_eq!(cause, "abc123, abd, abd456");
    for unknown in ["x", "abc1234", "no/id", ""] {
        let none = engine.resolve(unknown).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        assert_eq!(none.to_string(), format!("no such container: {unknown}"));
    }
}

#[test]
fn exec_runs_beside_the_first_process() {
    let bench = Bench::new();
    let id = bench.start("echo ready; sleep 100");
    let process = fake::process(&["sh", "-c", "read line; echo got $line; exit 5"]);
    let mut started = 0;
    let mut hooks = Hooks {
        start: Some(Box::new(|_, pid, _| {
            started = pid;
            Ok(())
        })),
        ..Hooks::default()
    };
    let running = bench
        .engine
        .exec(&id, &process, Stdio::pipes(), &mut hooks)
        .unwrap();
    drop(hooks);
    assert_eq!(started, running.pid());
    let mut streams = running.take_streams();
    streams.stdin.take().unwrap().write_all(b"it\n").unwrap();
    let mut output = String::new();
    streams.stdout.unwrap().read_to_string(&mut output).unwrap();
    assert_eq!(output, "got it\n");
    assert_eq!(running.wait(None).unwrap().code, Some(5));
    assert!(bench.engine.is_running(&id).unwrap());
    bench.engine.clean(&id, true).unwrap();
}

#[test]
fn an_exec_whose_start_hook_fails_is_killed_and_the_container_lives() {
    let bench = Bench::new();
    let id = bench.start("echo ready; sleep 100");
    let mut hooks = Hooks {
        start: Some(Box::new(|_, _, _| Err("not wanted".into()))),
        ..Hooks::default()
    };
    let process = fake::process(&["sleep", "100"]);
    let began = Instant::now();
    assert!(
        bench
            .engine
            .exec(&id, &process, Stdio::null(), &mut hooks)
            .is_err()
    );
    assert!(began.elapsed() < HANG);
    assert!(hooks.failures.is_empty());
    assert!(bench.engine.is_running(&id).unwrap());
    bench.engine.clean(&id, true).unwrap();
}

#[test]
fn an_oom_notice_tells_of_kills_and_then_of_the_end() {
    let bench = Bench::new();
    let mut kept = None;
    let mut hooks = Hooks {
        start: Some(Box::new(|_, _, notice| {
            kept = Some(notice);
            Ok(())
        })),
        ..Hooks::default()
    };
    let request = request(None, "sleep 100");
    let container = bench.engine.create(&request).unwrap();
    let process = bench
        .engine
        .start(&container, Stdio::null(), &mut hooks)
        .unwrap();
    drop(hooks);
    let mut notice = kept.unwrap();
    let early = notice.wait(Some(Duration::from_millis(10))).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Timeout);
    let watching = thread::spawn(move || (notice.wait(None).unwrap(), notice.wait(None).unwrap()));
    bench.service.faults.oom_kills.store(2, SeqCst);
    thread::sleep(Duration::from_millis(300));
    process.signal(Signal::KILL).unwrap();
    assert_eq!(watching.join().unwrap(), (Oom::Killed(2), Oom::Ended));
}

#[test]
fn inspect_speaks_as_docker_does() {
    let bench = Bench::new();
    let request = RunRequest {
        remove: false,
        ..request(Some("web"), "exit 3")
    };
    let created = bench.engine.create(&request).unwrap();
    let before = serde_json::to_value(bench.engine.inspect(&request.id).unwrap()).unwrap();
    assert_eq!(before["State"]["Status"], "created");
    assert_eq!(before["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
    let process = bench
        .engine
        .start(&created, Stdio::null(), &mut Hooks::default())
        .unwrap();
    let status: ExitStatus = process.wait(None).unwrap();
    let after = serde_json::to_value(bench.engine.inspect(&request.id).unwrap()).unwrap();
    assert_eq!(after["Id"], request.id.as_str());
    assert_eq!(after["Name"], "/web");
    assert_eq!(after["Path"], "sh");
    assert_eq!(after["Args"][1], "exit 3");
    assert_eq!(after["State"]["Status"], "exited");
    assert_eq!(after["State"]["ExitCode"], 3);
    assert_eq!(after["State"]["OOMKilled"], false);
    assert_eq!(
        after["State"]["FinishedAt"],
        crate::rfc3339(status.finished_at)
    );
    assert_eq!(after["Config"]["StopSignal"], "SIGTERM");
    assert_eq!(after["Config"]["Cmd"][0], "sh");
    assert_eq!(after["HostConfig"]["NetworkMode"], "none");
}
