//! Ids: who has one, and when it is free again.

use super::super::{
    Fixture, Outcome,
    kit::{self, expect_state, idle, new_id, refused, together},
};
use crate::{ErrorKind, State, Stdio};

pub(super) fn an_id_in_use_is_refused(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let running = idle(fixture)?;
    let spec = fixture.spec(&["exit", "0"]);
    for state in [State::Running, State::Stopped] {
        expect_state(&*running.container, state)?;
        refused(
            service.create(running.container.id(), &spec),
            ErrorKind::AlreadyExists,
            "create with an id in use",
        )?;
        expect_state(&*running.container, state)?;
        running.container.terminate()?;
    }
    Ok(())
}

pub(super) fn one_of_many_creators_succeeds(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let id = new_id(fixture)?;
    let spec = fixture.spec(&["exit", "0"]);
    let results = together(16, |_| service.create(&id, &spec))?;
    let container = kit::adopt(fixture, &id)?;
    let mut made = 0;
    for result in results {
        match result {
            Ok(_) => made += 1,
            Err(error) => ensure_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
        }
    }
    ensure_eq!(made, 1, "so many creators of one id succeeded");
    expect_state(&*container, State::Created)
}

pub(super) fn an_id_is_free_again(fixture: &dyn Fixture) -> Outcome {
    let id = new_id(fixture)?;
    for round in 0..3 {
        let container = fixture
            .service()
            .create(&id, &fixture.spec(&["exit", "0"]))?;
        let process = container.start(Stdio::null())?;
        ensure_eq!(
            process.wait(Some(kit::DEADLINE))?.code,
            Some(0),
            "round {round} gives"
        );
        container.delete()?;
    }
    Ok(())
}
