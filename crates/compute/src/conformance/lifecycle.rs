//! Making, opening, listing and removing containers; states and what each allows.

use std::path::PathBuf;

use hoist_spec::{ContainerSpec, RootSource, Signal};

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{
        self, Container, create, create_from, expect_state, idle, new_id, obedient, ready, refused,
        together, with_arguments, with_process,
    },
};
use crate::{Error, ErrorKind, Phase, State, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "a new container is created and nothing of it runs",
        covers: &["create.state", "create.not-started", "state.created"],
        needs: &[],
        run: a_new_container_is_created,
    },
    Behaviour {
        name: "a container goes from created over running to stopped",
        covers: &[
            "state.order",
            "state.running",
            "state.stopped",
            "start.starts",
            "system.state",
        ],
        needs: &[],
        run: created_running_stopped,
    },
    Behaviour {
        name: "a container goes between running and paused, and its processes stand still meanwhile",
        covers: &[
            "pause.freezes",
            "resume.goes-on",
            "state.paused",
            "state.order",
        ],
        needs: &[Ability::Pause],
        run: running_paused_running,
    },
    Behaviour {
        name: "what a created container does not allow is an invalid state",
        covers: &[
            "exec.not-running",
            "signal.not-running",
            "pause.freezes",
            "resume.not-paused",
        ],
        needs: &[],
        run: created_allows,
    },
    Behaviour {
        name: "what a running container does not allow is an invalid state",
        covers: &["start.not-created", "resume.not-paused", "delete.running"],
        needs: &[],
        run: running_allows,
    },
    Behaviour {
        name: "what a paused container does not allow is an invalid state",
        covers: &[
            "start.not-created",
            "exec.not-running",
            "pause.again",
            "delete.running",
        ],
        needs: &[Ability::Pause],
        run: paused_allows,
    },
    Behaviour {
        name: "what a stopped container does not allow is an invalid state",
        covers: &[
            "start.not-created",
            "exec.not-running",
            "signal.not-running",
            "resume.not-paused",
            "pause.freezes",
        ],
        needs: &[],
        run: stopped_allows,
    },
    Behaviour {
        name: "an id in use is refused, and its container is unharmed",
        covers: &["create.id-in-use"],
        needs: &[],
        run: an_id_in_use_is_refused,
    },
    Behaviour {
        name: "of many who create the same id at once one succeeds",
        covers: &["create.id-in-use", "service.threads"],
        needs: &[],
        run: one_of_many_creators_succeeds,
    },
    Behaviour {
        name: "an id is free again after its container was deleted",
        covers: &["delete.removes"],
        needs: &[],
        run: an_id_is_free_again,
    },
    Behaviour {
        name: "a spec that cannot be carried out is refused and leaves nothing",
        covers: &["create.refuses", "error.fields"],
        needs: &[],
        run: a_bad_spec_is_refused,
    },
    Behaviour {
        name: "a container that does not exist is not found",
        covers: &["open.not-found"],
        needs: &[],
        run: what_does_not_exist_is_not_found,
    },
    Behaviour {
        name: "an opened container is the one that was created",
        covers: &["open.opens", "system.id", "system.spec"],
        needs: &[],
        run: an_opened_container_is_the_created_one,
    },
    Behaviour {
        name: "the list shows every container with its true state",
        covers: &[
            "enumerate.lists",
            "survey.as-the-list",
            "remove-damaged.gone",
            "ids.begin",
        ],
        needs: &[],
        run: the_list_is_true,
    },
    Behaviour {
        name: "features are told with reasons, and asking changes nothing",
        covers: &["features.says", "features.changes-nothing"],
        needs: &[],
        run: features_are_told,
    },
    Behaviour {
        name: "a program that cannot be executed is told apart from one that failed, and the container stays created",
        covers: &[
            "start.execute",
            "start.as-it-was",
            "error.before-the-process",
        ],
        needs: &[],
        run: a_program_that_cannot_be_executed,
    },
    Behaviour {
        name: "a container that is made to be started is everybody's once its process runs, and its id is free again after a failed start",
        covers: &["create-to-start.as-create", "create.id-in-use"],
        needs: &[],
        run: a_container_that_is_made_to_be_started,
    },
    Behaviour {
        name: "deleting again, also many times at once, is success",
        covers: &["delete.again", "delete.removes"],
        needs: &[],
        run: deleting_again_is_success,
    },
    Behaviour {
        name: "a container that never started can be deleted",
        covers: &["delete.removes"],
        needs: &[],
        run: a_created_container_can_be_deleted,
    },
];

fn a_new_container_is_created(fixture: &dyn Fixture) -> Outcome {
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

fn created_running_stopped(fixture: &dyn Fixture) -> Outcome {
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

fn running_paused_running(fixture: &dyn Fixture) -> Outcome {
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

fn created_allows(fixture: &dyn Fixture) -> Outcome {
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

fn running_allows(fixture: &dyn Fixture) -> Outcome {
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

fn paused_allows(fixture: &dyn Fixture) -> Outcome {
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

fn stopped_allows(fixture: &dyn Fixture) -> Outcome {
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

fn an_id_in_use_is_refused(fixture: &dyn Fixture) -> Outcome {
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

fn one_of_many_creators_succeeds(fixture: &dyn Fixture) -> Outcome {
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

fn an_id_is_free_again(fixture: &dyn Fixture) -> Outcome {
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

fn a_bad_spec_is_refused(fixture: &dyn Fixture) -> Outcome {
    let good = || fixture.spec(&["exit", "0"]);
    let mut cases: Vec<(&str, &str, ContainerSpec)> = vec![
        (
            "no program",
            "",
            with_process(good(), |process| {
                process.set_args(Some(Vec::new()));
            }),
        ),
        (
            "a relative working directory",
            "not/absolute",
            with_process(good(), |process| {
                process.set_cwd(PathBuf::from("not/absolute"));
            }),
        ),
        (
            "a root that does not exist",
            "/no/such/root",
            ContainerSpec {
                root: RootSource::Directory("/no/such/root".into()),
                ..good()
            },
        ),
        (
            "an argument with a zero byte",
            "",
            with_arguments(good(), &["/probe", "a\0b"]),
        ),
    ];
    if fixture.lacks(Ability::Users).is_none() {
        cases.push((
            "a user that does not exist",
            "nobody-here",
            ContainerSpec {
                user: Some("nobody-here".to_owned()),
                ..good()
            },
        ));
    }
    for (what, named, spec) in cases {
        let service = fixture.service();
        let id = new_id(fixture)?;
        let error = match service.create(&id, &spec) {
            Err(error) => error,
            Ok(container) => {
                let _ = container.delete();
                return Err(format!("{what} was accepted").into());
            }
        };
        ensure!(
            matches!(error.kind(), ErrorKind::InvalidSpec | ErrorKind::NotFound),
            "{what} was refused as {:?} ({error})",
            error.kind()
        );
        ensure!(
            error.to_json().to_string().contains(named),
            "the error about {what} does not name {named}: {error}"
        );
        refused(
            service.open(&id),
            ErrorKind::NotFound,
            &format!("open after {what}"),
        )?;
        ensure!(
            service.enumerate()?.iter().all(|summary| summary.id != id),
            "{what} was refused and is listed"
        );
        // The id was not burnt.
        service.create(&id, &good())?.delete()?;
    }
    Ok(())
}

fn what_does_not_exist_is_not_found(fixture: &dyn Fixture) -> Outcome {
    let id = new_id(fixture)?;
    let error = refused(fixture.service().open(&id), ErrorKind::NotFound, "open")?;
    ensure!(
        error.to_json().to_string().contains(id.as_str()),
        "the error does not name the id: {error}"
    );
    Ok(())
}

fn an_opened_container_is_the_created_one(fixture: &dyn Fixture) -> Outcome {
    let spec = fixture.spec(&["exit", "5"]);
    let container = create_from(fixture, &spec)?;
    let opened = fixture.service().open(container.id())?;
    ensure_eq!(opened.id(), container.id(), "its id");
    ensure!(
        *opened.spec() == spec,
        "its spec is another: {:?}",
        opened.spec()
    );
    ensure!(
        *container.spec() == spec,
        "the spec was changed: {:?}",
        container.spec()
    );
    let process = opened.start(Stdio::null())?;
    ensure_eq!(
        process.wait(Some(kit::DEADLINE))?.code,
        Some(5),
        "the process gives"
    );
    ensure_eq!(
        container.wait(Some(kit::DEADLINE))?.code,
        Some(5),
        "the first handle says"
    );
    Ok(())
}

fn the_list_is_true(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let created = create(fixture, &["exit", "0"])?;
    let running = idle(fixture)?;
    let stopped = create(fixture, &["exit", "9"])?;
    stopped.start(Stdio::null())?.wait(Some(kit::DEADLINE))?;
    let list = service.enumerate()?;
    for (container, state) in [
        (&created, State::Created),
        (&running.container, State::Running),
        (&stopped, State::Stopped),
    ] {
        let mut entries = list.iter().filter(|summary| summary.id == *container.id());
        let summary = entries
            .next()
            .ok_or_else(|| format!("{} is not listed", container.id()))?;
        ensure_eq!(summary.state, state, "the list says of {}", container.id());
        ensure!(
            entries.next().is_none(),
            "{} is listed twice",
            container.id()
        );
        let arguments = container
            .spec()
            .oci
            .process()
            .as_ref()
            .and_then(|process| process.args().clone());
        ensure_eq!(
            Some(&summary.command),
            arguments.as_ref(),
            "the listed command"
        );
    }
    let survey = service.survey()?;
    for summary in &list {
        let mut surveyed = survey.summaries.iter();
        ensure!(
            surveyed.any(|other| other.id == summary.id),
            "{} is listed and not surveyed",
            summary.id
        );
    }
    ensure!(
        survey.unreadable.is_empty(),
        "the survey does not read {:?}",
        survey.unreadable
    );
    let mut ids = [&created, &running.container, &stopped].map(|container| container.id().clone());
    ids.sort();
    let found = service.ids("")?;
    ensure!(found.is_sorted(), "the ids are in order");
    let ours: Vec<_> = found.into_iter().filter(|id| ids.contains(id)).collect();
    ensure_eq!(ours, ids.to_vec(), "the ids of all containers");
    let whole = created.id().as_str();
    ensure_eq!(
        service.ids(whole)?,
        [created.id().clone()],
        "the ids that begin with {whole}"
    );
    ensure_eq!(
        service.ids(&format!("{whole}x"))?,
        [],
        "ids that nobody has"
    );
    running.container.terminate()?;
    let list = service.enumerate()?;
    ensure!(
        list.iter().any(|summary| summary.id == *running.container.id() && summary.state == State::Stopped),
        "the list does not see the end of {}",
        running.container.id()
    );
    let id = stopped.id().clone();
    stopped.delete()?;
    ensure!(
        service.enumerate()?.iter().all(|summary| summary.id != id),
        "a deleted container is listed"
    );
    ensure!(
        service.remove_damaged(&id)?.is_empty(),
        "something of a deleted container was found"
    );
    Ok(())
}

fn features_are_told(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let before = service.enumerate()?.len();
    let features = service.features();
    ensure!(!features.backend.is_empty(), "the backend has no name");
    ensure!(!features.features.is_empty(), "no feature was looked at");
    for feature in &features.features {
        ensure!(
            feature.available || !feature.detail.is_empty(),
            "{} is not available, and no reason is given",
            feature.name
        );
    }
    ensure_eq!(
        service.features(),
        features,
        "asked again, the features are"
    );
    ensure_eq!(
        service.enumerate()?.len(),
        before,
        "afterwards the number of containers is"
    );
    Ok(())
}

/// Programs that cannot be executed, and as what that is told where the kernel has one word for it.
pub(super) fn no_programs(fixture: &dyn Fixture) -> Vec<(String, Option<ErrorKind>)> {
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
pub(super) fn expect_execute_error<T>(
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

fn a_program_that_cannot_be_executed(fixture: &dyn Fixture) -> Outcome {
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

fn a_container_that_is_made_to_be_started(fixture: &dyn Fixture) -> Outcome {
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

fn deleting_again_is_success(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let container = create(fixture, &["exit", "0"])?;
    let id = container.id().clone();
    container.start(Stdio::null())?.wait(Some(kit::DEADLINE))?;
    let handles = (0..16)
        .map(|_| service.open(&id))
        .collect::<Result<Vec<_>, _>>()?;
    for result in together(16, |index| handles[index].delete())? {
        result.map_err(|error| format!("one of several deletes at once failed: {error}"))?;
    }
    container.delete()?;
    handles[0].delete()?;
    refused(service.open(&id), ErrorKind::NotFound, "open after delete").map(drop)
}

fn a_created_container_can_be_deleted(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "0"])?;
    container.delete()?;
    refused(
        fixture.service().open(container.id()),
        ErrorKind::NotFound,
        "open after delete",
    )
    .map(drop)
}
