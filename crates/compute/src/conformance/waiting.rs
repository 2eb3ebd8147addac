//! Waiting: late, often, by many, from elsewhere, and not for ever.

use std::time::Duration;

use super::{
    Behaviour, Fixture, Outcome, another,
    kit::{self, create, exec, expect_state, idle, obedient, refused, together},
};
use crate::{ErrorKind, ExitStatus, State, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "waits of 16 threads, late ones and repeated ones all get the same status",
        covers: &["wait.waits", "wait.any", "exit.state", "process.wait"],
        needs: &[],
        run: all_waits_agree,
    },
    Behaviour {
        name: "waits of other processes, begun before and after the end, get the same status",
        covers: &["wait.any", "exit.state", "exit.durable"],
        needs: &[],
        run: waits_of_other_processes_agree,
    },
    Behaviour {
        name: "a wait that is given too little time is a timeout and harms nothing",
        covers: &["wait.timeout"],
        needs: &[],
        run: a_wait_runs_out,
    },
    Behaviour {
        name: "a process is ready exactly when a wait for it would return at once",
        covers: &["process.readiness"],
        needs: &[],
        run: readiness,
    },
    Behaviour {
        name: "the end of a further process does not end the container",
        covers: &["exec.starts", "wait.waits"],
        needs: &[],
        run: a_further_process_ends_alone,
    },
    Behaviour {
        name: "many short processes at once each get their own status",
        covers: &["service.threads", "process.wait"],
        needs: &[],
        run: many_at_once,
    },
    Behaviour {
        name: "a wait for a created container lasts until it has run",
        covers: &["wait.waits"],
        needs: &[],
        run: a_wait_for_a_created_container,
    },
];

fn all_waits_agree(fixture: &dyn Fixture) -> Outcome {
    let running = obedient(fixture, "42")?;
    let handles = (0..16)
        .map(|_| fixture.service().open(running.container.id()))
        .collect::<Result<Vec<_>, _>>()?;
    let statuses = together(17, |index| -> Outcome<Option<ExitStatus>> {
        if index == 16 {
            // By now some wait already and some have not begun; both must do.
            running.tell_to_end()?;
            return Ok(None);
        }
        Ok(Some(match index % 3 {
            0 => running.process.wait(Some(kit::DEADLINE))?,
            1 => running.container.wait(None)?,
            _ => handles[index].wait(Some(kit::DEADLINE))?,
        }))
    })?;
    let first = running.process.wait(None)?;
    ensure_eq!(first.code, Some(42), "the status");
    for status in statuses {
        if let Some(status) = status? {
            ensure_eq!(status, first, "one of the waits at once got");
        }
    }
    for _ in 0..3 {
        ensure_eq!(
            running.process.wait(Some(Duration::ZERO))?,
            first,
            "a repeated wait got"
        );
        ensure_eq!(
            running.container.wait(Some(Duration::ZERO))?,
            first,
            "a late wait got"
        );
        let opened = fixture.service().open(running.container.id())?;
        ensure_eq!(
            opened.wait(Some(kit::DEADLINE))?,
            first,
            "a late wait on a new handle got"
        );
    }
    Ok(())
}

fn waits_of_other_processes_agree(fixture: &dyn Fixture) -> Outcome {
    let running = obedient(fixture, "17")?;
    let id = running.container.id().as_str();
    let mut early = another::spawn(fixture, &["wait", id])?;
    let mut second = another::spawn(fixture, &["wait", id])?;
    running.tell_to_end()?;
    let status = running.process.wait(Some(kit::DEADLINE))?;
    ensure_eq!(status.code, Some(17), "the status");
    for told in [
        early.finish()?,
        second.finish()?,
        another::ask(fixture, &["wait", id])?,
        another::ask(fixture, &["wait", id])?,
    ] {
        let told: ExitStatus = serde_json::from_str(&told)?;
        ensure_eq!(told, status, "another process got");
    }
    Ok(())
}

fn a_wait_runs_out(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    for time in [
        Duration::ZERO,
        Duration::from_millis(1),
        Duration::from_millis(30),
    ] {
        refused(
            running.process.wait(Some(time)),
            ErrorKind::Timeout,
            "wait for a process",
        )?;
        refused(
            running.container.wait(Some(time)),
            ErrorKind::Timeout,
            "wait for a container",
        )?;
    }
    expect_state(&*running.container, State::Running)?;
    let opened = fixture.service().open(running.container.id())?;
    refused(
        opened.wait(Some(Duration::from_millis(5))),
        ErrorKind::Timeout,
        "wait on an opened handle",
    )
    .map(drop)
}

fn readiness(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let is_ready = || fixture.is_ready(running.process.readiness());
    ensure!(!is_ready(), "it is ready while it runs");
    running.container.terminate()?;
    kit::until("an ended process is ready", || Ok(is_ready()))?;
    running.process.wait(Some(Duration::ZERO))?;
    ensure!(is_ready(), "it is no longer ready after a wait");
    Ok(())
}

fn a_further_process_ends_alone(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let ran = exec(fixture, &*running.container, &["exit", "1"])?;
    ensure_eq!(ran.status.code, Some(1), "the further process gives");
    expect_state(&*running.container, State::Running)?;
    refused(
        running.container.wait(Some(Duration::ZERO)),
        ErrorKind::Timeout,
        "wait for the container",
    )
    .map(drop)
}

fn many_at_once(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let results = together(32, |index| -> Outcome<(i32, ExitStatus)> {
        let code = index as i32 + 1;
        let status = if index % 2 == 0 {
            exec(fixture, &*running.container, &["exit", &code.to_string()])?.status
        } else {
            kit::run(fixture, &["exit", &code.to_string()])?.status
        };
        Ok((code, status))
    })?;
    for result in results {
        let (code, status) = result?;
        ensure_eq!(status.code, Some(code), "exit {code} was told as");
    }
    Ok(())
}

fn a_wait_for_a_created_container(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "6"])?;
    refused(
        container.wait(Some(Duration::from_millis(5))),
        ErrorKind::Timeout,
        "wait for what never ran",
    )?;
    let waiting = fixture.service().open(container.id())?;
    std::thread::scope(|scope| {
        let wait = scope.spawn(move || waiting.wait(Some(kit::DEADLINE)));
        let process = container.start(Stdio::null())?;
        let status = process.wait(Some(kit::DEADLINE))?;
        let told = wait.join().map_err(|_| "the waiting thread panicked")??;
        ensure_eq!(told, status, "the wait from before the start got");
        Ok(())
    })
}
