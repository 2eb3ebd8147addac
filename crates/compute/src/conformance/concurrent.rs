//! Many threads at once, and what the library does not touch in the process that uses it.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use hoist_spec::Signal;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{self, create, exec, idle, run, together},
};
use crate::{ErrorKind, Query, State, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "any method may be called on one container from several threads at once",
        covers: &["service.threads", "system.state"],
        needs: &[],
        run: every_method_at_once,
    },
    Behaviour {
        name: "a container is started once, however many try",
        covers: &["start.not-created", "service.threads", "owner.one"],
        needs: &[],
        run: one_start_of_many,
    },
    Behaviour {
        name: "many containers at once live and end without disturbing one another",
        covers: &["service.threads"],
        needs: &[],
        run: many_containers,
    },
    Behaviour {
        name: "a caller whose threads allocate and lock without pause is served as well",
        covers: &["library.safe"],
        needs: &[],
        run: a_busy_caller,
    },
    Behaviour {
        name: "the caller's directory, variables, umask and signal masks are never touched",
        covers: &["library.environment"],
        needs: &[],
        run: the_caller_is_not_touched,
    },
    Behaviour {
        name: "pausing and resuming from several threads leaves the container in one of the two states",
        covers: &["pause.freezes", "resume.goes-on", "service.threads"],
        needs: &[Ability::Pause],
        run: pause_at_once,
    },
];

fn every_method_at_once(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let service = fixture.service();
    let results = together(8, |index| -> Outcome {
        for _ in 0..10 {
            match index {
                0 => ensure_eq!(running.container.state()?, State::Running, "the state"),
                1 => {
                    running.container.properties(Query {
                        statistics: true,
                        processes: true,
                    })?;
                }
                2 => {
                    let list = service.enumerate()?;
                    ensure!(
                        list.iter()
                            .any(|summary| summary.id == *running.container.id()
                                && summary.state == State::Running),
                        "the list lacks the container"
                    );
                }
                3 => {
                    let opened = service.open(running.container.id())?;
                    ensure_eq!(opened.state()?, State::Running, "the opened one is");
                }
                4 => {
                    kit::refused(
                        running
                            .container
                            .wait(Some(std::time::Duration::from_millis(1))),
                        ErrorKind::Timeout,
                        "wait",
                    )?;
                }
                // A signal that is ignored unless a process asks for it.
                5 if fixture.lacks(Ability::Signals).is_none() => running
                    .container
                    .signal(Signal::from_number(28).ok_or("no such signal")?)?,
                _ => {
                    let status = exec(fixture, &*running.container, &["exit", "9"])?.status;
                    ensure_eq!(status.code, Some(9), "a further process gives");
                }
            }
        }
        Ok(())
    })?;
    results.into_iter().collect()
}

fn one_start_of_many(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["idle"])?;
    let results = together(8, |_| container.start(Stdio::null()))?;
    let mut started = Vec::new();
    for result in results {
        match result {
            Ok(process) => started.push(process),
            Err(error) => ensure_eq!(
                error.kind(),
                ErrorKind::InvalidState,
                "start failed ({error}) as"
            ),
        }
    }
    ensure_eq!(started.len(), 1, "so many starts succeeded");
    kit::expect_state(&*container, State::Running)
}

fn many_containers(fixture: &dyn Fixture) -> Outcome {
    let results = together(16, |index| -> Outcome {
        for round in 0..4 {
            let code = (index * 4 + round).to_string();
            let ran = run(fixture, &["say", &code, "+", "exit", &code])?;
            ensure_eq!(ran.text(), format!("{code}\n"), "container {code} says");
            ensure_eq!(ran.status.code, code.parse().ok(), "container {code} gives");
        }
        Ok(())
    })?;
    results.into_iter().collect()
}

fn a_busy_caller(fixture: &dyn Fixture) -> Outcome {
    // Row 44 of the failures that engines are known for: a child of a process with threads finds its locks held for ever.
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..8_usize {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let kept: BTreeMap<usize, Vec<u8>> = (0..64)
                        .map(|key| (key, vec![0; (seed + key) * 97 % 5000]))
                        .collect();
                    std::hint::black_box(&kept);
                    std::hint::black_box(std::env::var_os("PATH"));
                }
            });
        }
        let result = (|| -> Outcome {
            let running = idle(fixture)?;
            for code in 0..kit::rounds(fixture, 40) {
                let ran = run(fixture, &["exit", &code.to_string()])?;
                ensure_eq!(
                    ran.status.code,
                    i32::try_from(code).ok(),
                    "a container gives"
                );
                let ran = exec(fixture, &*running.container, &["exit", &code.to_string()])?;
                ensure_eq!(
                    ran.status.code,
                    i32::try_from(code).ok(),
                    "a further process gives"
                );
            }
            Ok(())
        })();
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// What the caller would miss if it were changed.
fn caller() -> Outcome<Vec<String>> {
    let mut seen = vec![format!("{:?}", std::env::current_dir()?)];
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    seen.push(format!("{variables:?}"));
    // Absent where the kernel is another.
    for line in fs::read_to_string("/proc/thread-self/status")
        .unwrap_or_default()
        .lines()
    {
        let name = line.split(':').next().unwrap_or_default();
        if [
            "Umask",
            "Uid",
            "Gid",
            "Groups",
            "SigBlk",
            "SigIgn",
            "SigCgt",
            "CapInh",
            "CapPrm",
            "CapEff",
            "CapBnd",
            "CapAmb",
            "NoNewPrivs",
            "Seccomp",
        ]
        .contains(&name)
        {
            seen.push(line.to_owned());
        }
    }
    for name in [
        "mnt",
        "pid",
        "pid_for_children",
        "user",
        "uts",
        "ipc",
        "net",
        "cgroup",
        "time",
        "time_for_children",
    ] {
        if let Ok(target) = fs::read_link(format!("/proc/self/ns/{name}")) {
            seen.push(target.display().to_string());
        }
    }
    for file in ["oom_score_adj", "cgroup", "coredump_filter", "limits"] {
        seen.push(fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default());
    }
    Ok(seen)
}

fn the_caller_is_not_touched(fixture: &dyn Fixture) -> Outcome {
    let before = caller()?;
    let running = idle(fixture)?;
    exec(fixture, &*running.container, &["exit", "0"])?;
    ensure_eq!(caller()?, before, "while a container runs the caller has");
    running.container.terminate()?;
    running.container.delete()?;
    let spec = kit::with_arguments(fixture.spec(&[]), &["/no/such/program"]);
    let failed = kit::create_from(fixture, &spec)?;
    ensure!(
        failed.start(Stdio::null()).is_err(),
        "a missing program was started"
    );
    drop(failed);
    ensure_eq!(caller()?, before, "afterwards the caller has");
    Ok(())
}

fn pause_at_once(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let results = together(6, |index| -> Outcome {
        for _ in 0..10 {
            let result = if index % 2 == 0 {
                running.container.pause()
            } else {
                running.container.resume()
            };
            if let Err(error) = result {
                ensure_eq!(
                    error.kind(),
                    ErrorKind::InvalidState,
                    "it failed ({error}) as"
                );
            }
        }
        Ok(())
    })?;
    results.into_iter().collect::<Outcome<()>>()?;
    if running.container.state()? == State::Paused {
        running.container.resume()?;
    }
    kit::expect_state(&*running.container, State::Running)?;
    ensure_eq!(
        exec(fixture, &*running.container, &["exit", "6"])?
            .status
            .code,
        Some(6),
        "a further process gives"
    );
    Ok(())
}
