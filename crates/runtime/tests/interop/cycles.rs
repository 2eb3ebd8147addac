//! Many containers under docker, several at a time, with the daemon killed in between.

use std::{
    process::Output,
    sync::{
        RwLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use hoist_testing::{Suite, full};

use crate::{
    docker::DOCKER,
    kit::{Docker, IMAGE, await_that},
};

const AT_A_TIME: u32 = 8;
const DEATHS: u32 = 2;

pub(crate) fn add(suite: Suite) -> Suite {
    suite.test_or_skip(
        "thousands of containers under docker, with the daemon killed twice: every exit status is right and nothing is left",
        DOCKER,
        cycles,
    )
}

fn cycles() -> Result<(), String> {
    let count: u32 = if full() { 5000 } else { 48 };
    let docker = RwLock::new(Docker::start()?);
    let (next, done) = (AtomicU32::new(0), AtomicU32::new(0));
    // Its number changes when the daemon is about to be killed, and when it is there again.
    let epoch = AtomicU32::new(0);
    let call = |words: &[&str]| -> Output {
        let host = docker.read().unwrap().host();
        // Longer than anything takes, also with all the others at work: only a hang is ended.
        std::process::Command::new("timeout")
            .args(["--kill-after", "5", "180", "docker"])
            .args(words)
            .env("DOCKER_HOST", host)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    };
    let long_lived = call(&[
        "run",
        "--detach",
        "--name",
        "long",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "trap 'exit 42' TERM; while :; do sleep 0.1; done",
    ]);
    assert!(long_lived.status.success(), "{long_lived:?}");
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        break;
                    }
                    loop {
                        let before = epoch.load(Ordering::SeqCst);
                        let outcome = cycle(&call, number);
                        let interrupted = before % 2 == 1 || epoch.load(Ordering::SeqCst) != before;
                        match outcome {
                            Ok(()) => break,
                            // Of one that the daemon's death has met, docker itself may know nothing, or half.
                            Err(_) if interrupted => {
                                while epoch.load(Ordering::SeqCst) % 2 == 1 {
                                    thread::sleep(Duration::from_millis(50));
                                }
                                await_that("the removal of what was interrupted", || {
                                    call(&["rm", "--force", &name(number)]);
                                    let found = call(&["inspect", &name(number)]);
                                    String::from_utf8_lossy(&found.stderr).contains("No such")
                                });
                            }
                            Err(reason) => {
                                // The others need not go on.
                                next.store(count, Ordering::SeqCst);
                                panic!("cycle {number}: {reason}");
                            }
                        }
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| {
            for death in 1..=DEATHS {
                let at = count / (DEATHS + 1) * death;
                while done.load(Ordering::SeqCst) < at && next.load(Ordering::SeqCst) < count {
                    thread::sleep(Duration::from_millis(20));
                }
                epoch.fetch_add(1, Ordering::SeqCst);
                let mut docker = docker.write().unwrap();
                docker.kill_daemon();
                docker.start_daemon();
                drop(docker);
                epoch.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    assert_eq!(done.load(Ordering::SeqCst), count);
    let stopped = call(&["stop", "--time", "20", "long"]);
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(
        words(&call(&["wait", "long"])),
        "42",
        "it has lived through both deaths"
    );
    call(&["rm", "long"]);
    await_that("the removals", || {
        words(&call(&["ps", "--all", "--quiet"])).is_empty()
    });
    let docker = docker.read().unwrap();
    docker.end_forgotten();
    docker.assert_nothing_is_left();
    Ok(())
}

fn name(number: u32) -> String {
    format!("cycle-{number}")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// One container's whole life. An error tells what was not as it should be.
fn cycle(call: &dyn Fn(&[&str]) -> Output, number: u32) -> Result<(), String> {
    let name = name(number);
    let (code, by_itself) = ((number % 200) as i32, number.is_multiple_of(2));
    let script = match by_itself {
        true => format!("trap 'exit {code}' USR1; touch /ready; while :; do sleep 0.05; done"),
        false => "touch /ready; sleep 1000".to_owned(),
    };
    let expect = |what: &str, output: Output, code: i32| match output.status.code() {
        Some(found) if found == code => Ok(output),
        _ => Err(format!("{what}: {output:?}")),
    };
    let create = [
        "create",
        "--name",
        &name,
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        &script,
    ];
    expect("create", call(&create), 0)?;
    expect("start", call(&["start", &name]), 0)?;
    let when_ready = "until [ -e /ready ]; do sleep 0.05; done; exit 5";
    expect("exec", call(&["exec", &name, "sh", "-c", when_ready]), 5)?;
    let (signal, status) = match by_itself {
        true => ("USR1", code),
        false => ("KILL", 137),
    };
    expect("kill", call(&["kill", "--signal", signal, &name]), 0)?;
    let waited = expect("wait", call(&["wait", &name]), 0)?;
    if words(&waited) != status.to_string() {
        return Err(format!("wait: {waited:?}, not {status}"));
    }
    let seen = call(&[
        "inspect",
        "--format",
        "{{.State.ExitCode}} {{.State.OOMKilled}}",
        &name,
    ]);
    if words(&seen) != format!("{status} false") {
        return Err(format!("inspect: {seen:?}, not {status}"));
    }
    expect("rm", call(&["rm", &name]), 0).map(drop)
}
