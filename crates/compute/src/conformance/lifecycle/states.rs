//! The states of a container, and what each allows.

use hoist_spec::Signal;

use super::super::{
    Fixture, Outcome,
    kit::{self, Container, create, expect_state, idle, obedient, ready, refused},
};
use crate::{ErrorKind, State, Stdio};

pub(super) fn a_new_container_is_created(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "0"])?;
    expect_state(&*container, State::Created)?;
    let summary = container.properties(Default::default())?.summary;
    ensure_eq!(summary.pid, None, "the process id of what was not started");
    ensure_eq!(summary.started_at, None, "its start");
    ensure!(
        summary.exit.is_none(),
        "it has ended with {:?}",
        summary.exit
    );
    Ok(())
}

pub(super) fn created_running_stopped(fixture: &dyn Fixture) -> Outcome {
    let running = ready(fixture, &["say", "ready", "+", "line", "+", "exit", "0"])?;
    expect_state(&*running.container, State::Running)?;
    drop(running.stdin);
    running.process.wait(Some(kit::DEADLINE))?;
    expect_state(&*running.container, State::Stopped)?;
    ensure!(
        running.container.state()? == State::Stopped,
        "a stopped container does not stay so"
    );
    Ok(())
}

pub(super) fn running_paused_running(fixture: &dyn Fixture) -> Outcome {
    let mut running = ready(
        fixture,
        &["say", "ready", "+", "line", "+", "say", "on", "+", "idle"],
    )?;
    running.container.pause()?;
    expect_state(&*running.container, State::Paused)?;
    // Were it not frozen, it would read this line and answer; nothing may come before the container goes on.
    {
        use std::io::Write;
        let stdin = running.stdin.as_mut().ok_or("no standard input")?;
        stdin.write_all(b"x\n")?;
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    expect_state(&*running.container, State::Paused)?;
    let told_while_paused = running.container.properties(Default::default())?.summary;
    ensure_eq!(told_while_paused.state, State::Paused, "the summary says");
    running.container.resume()?;
    expect_state(&*running.container, State::Running)?;
    kit::expect_line(&mut running.stdout, "got x")?;
    kit::expect_line(&mut running.stdout, "on")
}

/// That each of these operations is refused in the container's state and leaves it so.
fn refuses(fixture: &dyn Fixture, container: &Container, operations: &[&str]) -> Outcome {
    let state = container.state()?;
    for operation in operations {
        let result = match *operation {
            "start" => container.start(Stdio::null()).map(drop),
            "exec" => container
                .create_process(&fixture.process(&["exit", "0"]), Stdio::null())
                .map(drop),
            "pause" => container.pause(),
            "resume" => container.resume(),
            "signal" => container.signal(Signal::TERM),
            "delete" => container.delete(),
            _ => return Err(format!("{operation} is no operation").into()),
        };
        refused(
            result,
            ErrorKind::InvalidState,
            &format!("{operation} while {state:?}"),
        )?;
        ensure_eq!(
            container.state()?,
            state,
            "after a refused {operation} the container is"
        );
    }
    Ok(())
}

pub(super) fn created_allows(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "3"])?;
    refuses(fixture, &container, &["exec", "signal", "pause", "resume"])?;
    let process = container.start(Stdio::null())?;
    ensure_eq!(
        process.wait(Some(kit::DEADLINE))?.code,
        Some(3),
        "started afterwards, it gives"
    );
    Ok(())
}

pub(super) fn running_allows(fixture: &dyn Fixture) -> Outcome {
    let running = obedient(fixture, "4")?;
    refuses(fixture, &running.container, &["start", "resume", "delete"])?;
    running.tell_to_end()?;
    ensure_eq!(
        running.process.wait(Some(kit::DEADLINE))?.code,
        Some(4),
        "unharmed, it gives"
    );
    Ok(())
}

pub(super) fn paused_allows(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    running.container.pause()?;
    refuses(
        fixture,
        &running.container,
        &["start", "exec", "pause", "delete"],
    )?;
    running.container.resume()?;
    expect_state(&*running.container, State::Running)
}

pub(super) fn stopped_allows(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "0"])?;
    let process = container.start(Stdio::null())?;
    process.wait(Some(kit::DEADLINE))?;
    refuses(
        fixture,
        &container,
        &["start", "exec", "signal", "pause", "resume"],
    )?;
    container.delete()?;
    Ok(())
}
