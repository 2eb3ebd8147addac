//! Starts that fail because of the program, and containers that are made to be started.

use hoist_spec::ContainerSpec;

use super::super::{
    Ability, Fixture, Outcome,
    kit::{self, create_from, expect_state, refused, with_arguments},
};
use crate::{Error, ErrorKind, Phase, State, Stdio};

/// Programs that cannot be executed, and as what that is told where the kernel has one word for it.
pub(in super::super) fn no_programs(fixture: &dyn Fixture) -> Vec<(String, Option<ErrorKind>)> {
    let by_mode = |kind| fixture.lacks(Ability::Modes).is_none().then_some(kind);
    let file = |path: &str, kind| (fixture.path(path), kind);
    vec![
        file("/no/such/program", Some(ErrorKind::NotFound)),
        (
            "no-such-program-on-path".to_owned(),
            Some(ErrorKind::NotFound),
        ),
        file("/bin/orphan-script", by_mode(ErrorKind::NotFound)),
        file("/bin/text", by_mode(ErrorKind::PermissionDenied)),
        file("/tmp", by_mode(ErrorKind::PermissionDenied)),
        file("/bin/garbage", None),
    ]
}

/// That this is the error of a program that cannot be executed.
pub(in super::super) fn expect_execute_error<T>(
    result: Result<T, Error>,
    program: &str,
    kind: Option<ErrorKind>,
) -> Outcome {
    let error = match result {
        Ok(_) => return Err(format!("{program} was started").into()),
        Err(error) => error,
    };
    ensure_eq!(
        error.phase(),
        Phase::Execute,
        "{program} failed ({error}) in phase"
    );
    if let Some(kind) = kind {
        ensure_eq!(error.kind(), kind, "{program} failed ({error}) as");
    }
    ensure!(
        error.to_json().to_string().contains(program),
        "the error does not name {program}: {error}"
    );
    Ok(())
}

pub(super) fn a_program_that_cannot_be_executed(fixture: &dyn Fixture) -> Outcome {
    for (program, kind) in no_programs(fixture) {
        let spec = with_arguments(fixture.spec(&[]), &[&program, "argument"]);
        let container = create_from(fixture, &spec)?;
        // Twice: a failed start leaves nothing that could disturb the next.
        for _ in 0..2 {
            expect_execute_error(container.start(Stdio::null()), &program, kind)?;
            expect_state(&*container, State::Created)?;
        }
        container.delete()?;
    }
    Ok(())
}

pub(super) fn a_container_that_is_made_to_be_started(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let id = kit::new_id(fixture)?;
    let in_use = |spec: &ContainerSpec| {
        let again = service.create(&id, spec);
        refused(again, ErrorKind::AlreadyExists, "create with an id in use")
    };
    let gone = || refused(service.open(&id), ErrorKind::NotFound, "open after delete");
    for (program, kind) in no_programs(fixture) {
        let spec = with_arguments(fixture.spec(&[]), &[&program, "argument"]);
        let container = kit::create_to_start(fixture, &id, &spec)?;
        in_use(&spec)?;
        expect_execute_error(container.start(Stdio::null()), &program, kind)?;
        container.delete()?;
        gone()?;
    }
    let spec = fixture.spec(&["idle"]);
    kit::create_to_start(fixture, &id, &spec)?.delete()?;
    gone()?;

    let container = kit::create_to_start(fixture, &id, &spec)?;
    in_use(&spec)?;
    let process = container.start(Stdio::null())?;
    in_use(&spec)?;
    let opened = kit::adopt(fixture, &id)?;
    expect_state(&*opened, State::Running)?;
    ensure_eq!(opened.spec(), container.spec(), "the spec is");
    opened.terminate()?;
    let status = process.wait(Some(kit::DEADLINE))?;
    ensure_eq!(opened.wait(Some(kit::DEADLINE))?, status, "the status is");
    opened.delete()?;
    gone()?;
    Ok(())
}
