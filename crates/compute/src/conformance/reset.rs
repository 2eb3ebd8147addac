//! What becomes of a container after its end: it is started once more, and updates are installed.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{self, DEADLINE, create, expect_state, idle, in_and_out, ready, refused, together},
};
use crate::{ErrorKind, State, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "a container that has ended is created again by a reset, and starts once more",
        covers: &["reset.created"],
        needs: &[Ability::Reset],
        run: it_starts_once_more,
    },
    Behaviour {
        name: "a container that is created or running is not reset",
        covers: &["reset.not-stopped"],
        needs: &[Ability::Reset],
        run: only_what_has_ended_is_reset,
    },
    Behaviour {
        name: "who waits for a run gets the status of that run, however soon the next one begins",
        covers: &["reset.waiters"],
        needs: &[Ability::Reset],
        run: waiters_get_their_own_run,
    },
    Behaviour {
        name: "where no updates wait to be installed, none are, and nothing changes",
        covers: &["updates.none"],
        needs: &[],
        run: nothing_waits,
    },
];

fn nothing_waits(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "0"])?;
    container.install_updates()?;
    expect_state(&*container, State::Created)?;
    let process = container.start(Stdio::null())?;
    let status = process.wait(Some(DEADLINE))?;
    for _ in 0..2 {
        container.install_updates()?;
        ensure_eq!(container.wait(None)?, status, "it is told as");
    }
    expect_state(&*container, State::Stopped)
}

fn it_starts_once_more(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "7"])?;
    for _ in 0..3 {
        let process = container.start(Stdio::null())?;
        ensure_eq!(process.wait(Some(DEADLINE))?.code, Some(7), "it ended with");
        expect_state(&*container, State::Stopped)?;
        container.reset()?;
        expect_state(&*container, State::Created)?;
        let found = fixture.service().open(container.id())?;
        ensure_eq!(found.spec(), container.spec(), "the spec is");
        expect_state(&*found, State::Created)?;
    }
    Ok(())
}

fn only_what_has_ended_is_reset(fixture: &dyn Fixture) -> Outcome {
    let created = create(fixture, &["exit", "0"])?;
    refused(
        created.reset(),
        ErrorKind::InvalidState,
        "resetting a created container",
    )?;
    expect_state(&*created, State::Created)?;
    let running = idle(fixture)?;
    refused(
        running.container.reset(),
        ErrorKind::InvalidState,
        "resetting a running container",
    )?;
    expect_state(&*running.container, State::Running)
}

fn waiters_get_their_own_run(fixture: &dyn Fixture) -> Outcome {
    let running = ready(fixture, &["idle"])?;
    let container = &running.container;
    let begun = AtomicUsize::new(0);
    let waited = together(5, |index| -> Outcome<_> {
        if index > 0 {
            let system = fixture.service().open(container.id());
            begun.fetch_add(1, Ordering::Relaxed);
            return Ok(system?.wait(Some(DEADLINE))?.signal);
        }
        kit::until("all are about to wait", || {
            Ok(begun.load(Ordering::Relaxed) == 4)
        })?;
        // That they do can be seen of none.
        thread::sleep(Duration::from_secs(1));
        container.terminate()?;
        let ended = running.process.wait(Some(DEADLINE))?;
        container.reset()?;
        let again = container.start(in_and_out())?;
        drop(again.take_streams().stdin);
        Ok(ended.signal)
    })?;
    let expected = Some(hoist_spec::Signal::KILL);
    for signal in waited {
        ensure_eq!(signal?, expected, "a waiter was told the signal");
    }
    Ok(())
}
