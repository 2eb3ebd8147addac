//! Further processes as objects with an id.

use std::time::Duration;

use hoist_spec::{ExecId, Signal};
use serde_json::json;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    another::{ask, spawn},
    kit::{self, DEADLINE, Running, expect_state, idle, in_and_out, new_id, refused, together},
    lifecycle::expect_execute_error,
};
use crate::{Confinement, ErrorKind, Exec, ExecSpec, ExitStatus, Query, State, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "an exec is made, started, waited for and deleted, and tells its state all the way",
        covers: &[
            "execs.created",
            "execs.id",
            "execs.spec",
            "execs.start",
            "execs.properties",
            "execs.wait",
            "execs.timeout",
            "execs.delete",
        ],
        needs: &[Ability::Execs],
        run: its_whole_life,
    },
    Behaviour {
        name: "execs are listed in the order in which they were made, and an id is given once",
        covers: &["execs.list", "execs.open", "execs.id-in-use"],
        needs: &[Ability::Execs],
        run: they_are_listed,
    },
    Behaviour {
        name: "an exec that runs is not started, and not deleted, again",
        covers: &["execs.start-state", "execs.delete"],
        needs: &[Ability::Execs],
        run: it_is_started_once,
    },
    Behaviour {
        name: "an exec whose container does not run is refused and stays as it was",
        covers: &["execs.start-state", "execs.created"],
        needs: &[Ability::Execs],
        run: its_container_must_run,
    },
    // Row 9 of the failures that engines are known for: a failed exec damages the container.
    Behaviour {
        name: "an exec that cannot be started stays as it was and changes nothing in the container",
        covers: &["execs.start-failed"],
        needs: &[Ability::Execs],
        run: a_failure_changes_nothing,
    },
    Behaviour {
        name: "an exec is signalled by whoever opens it, and never after its end",
        covers: &["execs.signal", "execs.open"],
        needs: &[Ability::Execs, Ability::Signals],
        run: it_is_signalled,
    },
    Behaviour {
        name: "an exec is ended with all it has started, and what it has left behind later",
        covers: &["execs.terminate"],
        needs: &[Ability::Execs, Ability::Trees],
        run: its_tree_ends,
    },
    Behaviour {
        name: "what an exec uses is told apart from what its container uses",
        covers: &["execs.properties"],
        needs: &[Ability::Execs, Ability::ProcessLimits],
        run: its_own_account,
    },
    Behaviour {
        name: "32 execs at once keep their status, for this and any other process, however late",
        covers: &["execs.start", "execs.wait"],
        needs: &[Ability::Execs],
        run: many_at_once,
    },
    Behaviour {
        name: "an exec that another process owns is waited for here, and its status is the same",
        covers: &["execs.wait", "execs.open"],
        needs: &[Ability::Execs],
        run: owned_elsewhere,
    },
    // Row 5 of the failures that engines are known for.
    Behaviour {
        name: "when its owner was killed, the end of an exec is told as it was or as unknown, never falsely",
        covers: &["execs.wait"],
        needs: &[Ability::Execs],
        run: its_owner_was_killed,
    },
    Behaviour {
        name: "execs go with their container",
        covers: &["execs.with-the-container", "execs.open"],
        needs: &[Ability::Execs],
        run: they_go_with_the_container,
    },
];

fn spec(fixture: &dyn Fixture, probe: &[&str]) -> ExecSpec {
    ExecSpec {
        process: fixture.process(probe),
        confinement: Confinement::default(),
        interactive: false,
    }
}

fn create(fixture: &dyn Fixture, running: &Running, probe: &[&str]) -> Outcome<Box<dyn Exec>> {
    let id = new_id(fixture)?;
    Ok(running.container.create_exec(&id, &spec(fixture, probe))?)
}

fn state(exec: &dyn Exec) -> Outcome<State> {
    Ok(exec.properties(Query::default())?.summary.state)
}

fn processes(running: &Running) -> Outcome<usize> {
    let query = Query {
        processes: true,
        ..Query::default()
    };
    let processes = running.container.properties(query)?.processes;
    Ok(processes.map_or(0, |all| all.len()))
}

fn its_whole_life(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let id = new_id(fixture)?;
    let made_from = spec(fixture, &["say", "ready", "+", "line", "+", "exit", "7"]);
    let exec = running.container.create_exec(&id, &made_from)?;
    ensure_eq!(*exec.id(), id, "its id is");
    ensure_eq!(*exec.spec(), made_from, "it was made from");
    ensure_eq!(state(&*exec)?, State::Created, "at first it is");
    ensure_eq!(
        processes(&running)?,
        1,
        "before the start, processes of the container"
    );
    refused(
        exec.wait(Some(Duration::ZERO)),
        ErrorKind::Timeout,
        "wait before the start",
    )?;
    let process = exec.start(in_and_out())?;
    let streams = process.take_streams();
    let mut stdout = streams.stdout.ok_or("no standard output")?;
    kit::expect_line(&mut stdout, "ready")?;
    let now = exec.properties(Query {
        processes: true,
        statistics: true,
    })?;
    ensure_eq!(now.summary.state, State::Running, "then it is");
    ensure_eq!(now.summary.pid, Some(process.pid()), "its process is");
    ensure!(now.summary.started_at.is_some(), "it has no time of start");
    let pids: Vec<u32> = now.processes.iter().flatten().map(|one| one.pid).collect();
    ensure_eq!(pids, [process.pid()], "its processes are");
    refused(
        exec.wait(Some(Duration::from_millis(10))),
        ErrorKind::Timeout,
        "wait while it runs",
    )?;
    drop(streams.stdin);
    let status = process.wait(Some(DEADLINE))?;
    ensure_eq!(status.code, Some(7), "it gives");
    for _ in 0..2 {
        ensure_eq!(exec.wait(None)?, status, "whoever waits gets");
    }
    let then = exec.properties(Query::default())?.summary;
    ensure_eq!(then.state, State::Stopped, "in the end it is");
    ensure_eq!(then.exit, Some(status), "its exit is");
    exec.delete()?;
    exec.delete()?;
    let gone = running.container.open_exec(&id);
    refused(gone, ErrorKind::NotFound, "open after delete")?;
    expect_state(&*running.container, State::Running)
}

fn they_are_listed(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    ensure!(
        running.container.execs()?.is_empty(),
        "it has execs at first"
    );
    let mut ids: Vec<ExecId> = Vec::new();
    for _ in 0..5 {
        let exec = create(fixture, &running, &["exit", "0"])?;
        ids.push(exec.id().clone());
    }
    let listed = running.container.execs()?;
    let listed: Vec<ExecId> = listed.into_iter().map(|summary| summary.id).collect();
    ensure_eq!(listed, ids, "listed are");
    let taken = running
        .container
        .create_exec(&ids[2], &spec(fixture, &["exit", "1"]));
    refused(taken, ErrorKind::AlreadyExists, "an id that is taken")?;
    let opened = running.container.open_exec(&ids[2])?;
    ensure_eq!(
        *opened.spec(),
        spec(fixture, &["exit", "0"]),
        "it is still made from"
    );
    let unknown = running.container.open_exec(&new_id(fixture)?);
    refused(
        unknown,
        ErrorKind::NotFound,
        "open of one that is not there",
    )
    .map(drop)
}

fn it_is_started_once(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let exec = create(fixture, &running, &["sleep", "3600000"])?;
    let process = exec.start(Stdio::null())?;
    refused(
        exec.start(Stdio::null()),
        ErrorKind::InvalidState,
        "a second start",
    )?;
    refused(
        exec.delete(),
        ErrorKind::InvalidState,
        "delete while it runs",
    )?;
    exec.terminate()?;
    process.wait(Some(DEADLINE))?;
    refused(
        exec.start(Stdio::null()),
        ErrorKind::InvalidState,
        "start after its end",
    )?;
    exec.delete()?;
    Ok(())
}

fn its_container_must_run(fixture: &dyn Fixture) -> Outcome {
    let container = kit::create(fixture, &["idle"])?;
    let exec = container.create_exec(&new_id(fixture)?, &spec(fixture, &["exit", "4"]))?;
    let start = || exec.start(Stdio::null());
    refused(
        start(),
        ErrorKind::InvalidState,
        "start before its container",
    )?;
    ensure_eq!(state(&*exec)?, State::Created, "it is");
    container.start(Stdio::null())?;
    let status = start()?.wait(Some(DEADLINE))?;
    ensure_eq!(status.code, Some(4), "in a container that runs it gives");
    let late = container.create_exec(&new_id(fixture)?, &spec(fixture, &["exit", "0"]))?;
    container.terminate()?;
    refused(
        late.start(Stdio::null()),
        ErrorKind::InvalidState,
        "start in a container that has ended",
    )?;
    ensure_eq!(
        exec.wait(None)?,
        status,
        "after its container's end it is told as"
    );
    Ok(())
}

fn a_failure_changes_nothing(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let missing = {
        let mut spec = spec(fixture, &[]);
        let words = vec!["/no/such/program".to_owned()];
        spec.process.oci.set_args(Some(words));
        spec
    };
    let exec = running.container.create_exec(&new_id(fixture)?, &missing)?;
    for _ in 0..2 {
        expect_execute_error(
            exec.start(Stdio::null()),
            "/no/such/program",
            Some(ErrorKind::NotFound),
        )?;
        ensure_eq!(state(&*exec)?, State::Created, "after the failure it is");
    }
    ensure_eq!(processes(&running)?, 1, "processes of the container");
    ensure_eq!(
        kit::exec(fixture, &*running.container, &["exit", "0"])?
            .status
            .code,
        Some(0),
        "another gives"
    );
    expect_state(&*running.container, State::Running)
}

fn it_is_signalled(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let exec = create(fixture, &running, &["trap", "12", "3"])?;
    let signal = Signal::from_number(12).ok_or("no such signal")?;
    refused(
        exec.signal(signal),
        ErrorKind::InvalidState,
        "signal before the start",
    )?;
    let process = exec.start(in_and_out())?;
    let mut stdout = process.take_streams().stdout.ok_or("no standard output")?;
    kit::expect_line(&mut stdout, "ready")?;
    running.container.open_exec(exec.id())?.signal(signal)?;
    ensure_eq!(process.wait(Some(DEADLINE))?.code, Some(3), "it gives");
    refused(
        exec.signal(signal),
        ErrorKind::InvalidState,
        "signal after the end",
    )?;
    expect_state(&*running.container, State::Running)
}

fn its_tree_ends(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let exec = create(fixture, &running, &["daemon", "600000", "+", "idle"])?;
    let process = exec.start(in_and_out())?;
    let mut stdout = process.take_streams().stdout.ok_or("no standard output")?;
    kit::expect_line(&mut stdout, "ready")?;
    kit::until("all of it runs", || Ok(processes(&running)? >= 3))?;
    exec.terminate()?;
    ensure_eq!(exec.wait(None)?.signal, Some(Signal::KILL), "it ended by");
    ensure_eq!(processes(&running)?, 1, "what is left of the container is");
    let leaves = create(fixture, &running, &["daemon", "600000"])?;
    let status = leaves.start(Stdio::null())?.wait(Some(DEADLINE))?;
    ensure_eq!(status.code, Some(0), "one that leaves something gives");
    kit::until("it is left behind", || Ok(processes(&running)? == 2))?;
    leaves.terminate()?;
    ensure_eq!(processes(&running)?, 1, "after that, what is left is");
    ensure_eq!(leaves.wait(None)?, status, "its status is still");
    leaves.delete()?;
    expect_state(&*running.container, State::Running)
}

fn its_own_account(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let mut limited = spec(fixture, &["idle"]);
    limited.confinement.limits =
        serde_json::from_value(json!({"pids": {"limit": 7}, "memory": {"limit": 64 << 20}}))?;
    let exec = running.container.create_exec(&new_id(fixture)?, &limited)?;
    let process = exec.start(in_and_out())?;
    let mut stdout = process.take_streams().stdout.ok_or("no standard output")?;
    kit::expect_line(&mut stdout, "ready")?;
    let query = Query {
        statistics: true,
        ..Query::default()
    };
    let own = exec.properties(query)?.statistics.unwrap_or_default();
    let all = running.container.properties(query)?.statistics;
    let all = all.unwrap_or_default();
    ensure_eq!(own.pids, Some(1), "its processes are");
    ensure_eq!(own.network, None, "the network that is the container's is");
    ensure_eq!(all.pids, Some(2), "those of the container are");
    let memory = own.memory.ok_or("its memory is not accounted for")?;
    ensure_eq!(memory.limit_bytes, Some(64 << 20), "its limit is");
    let whole = all
        .memory
        .ok_or("the container's memory is not accounted for")?;
    ensure!(
        memory.usage_bytes > 0 && memory.usage_bytes < whole.usage_bytes,
        "it uses {} of {}",
        memory.usage_bytes,
        whole.usage_bytes
    );
    exec.terminate()?;
    // Plain processes are started beside it as before.
    let plain = kit::exec(fixture, &*running.container, &["exit", "5"])?;
    ensure_eq!(plain.status.code, Some(5), "a plain one gives");
    Ok(())
}

fn many_at_once(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let container = &*running.container;
    let done = together(32, |index| -> Outcome<(ExecId, ExitStatus)> {
        let code = index.to_string();
        let exec = container.create_exec(&new_id(fixture)?, &spec(fixture, &["exit", &code]))?;
        let status = exec.start(Stdio::null())?.wait(Some(DEADLINE))?;
        ensure_eq!(status.code, Some(index as i32), "number {index} gives");
        Ok((exec.id().clone(), status))
    })?;
    for one in done {
        let (id, status) = one?;
        ensure_eq!(
            container.open_exec(&id)?.wait(None)?,
            status,
            "asked late, it is told as"
        );
        if status.code.is_some_and(|code| code % 8 == 0) {
            let told = ask(
                fixture,
                &["wait-exec", container.id().as_str(), id.as_str()],
            )?;
            let told: ExitStatus = serde_json::from_str(&told)?;
            ensure_eq!(told, status, "another process is told");
        }
    }
    Ok(())
}

fn owned_elsewhere(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let exec = create(fixture, &running, &["stubborn"])?;
    let (container, id) = (running.container.id().as_str(), exec.id().as_str());
    let mut owner = spawn(fixture, &["own-exec", container, id])?;
    ensure_eq!(owner.line()?, "started", "the owner says");
    ensure_eq!(state(&*exec)?, State::Running, "seen from here it is");
    exec.signal(Signal::KILL)?;
    let here = exec.wait(Some(DEADLINE))?;
    let there: ExitStatus = serde_json::from_str(&owner.finish()?)?;
    ensure_eq!(here.signal, Some(Signal::KILL), "here it ended by");
    ensure_eq!(there, here, "its owner says");
    Ok(())
}

fn its_owner_was_killed(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let exec = create(fixture, &running, &["stubborn"])?;
    let (container, id) = (running.container.id().as_str(), exec.id().as_str());
    let mut owner = spawn(fixture, &["own-exec", container, id])?;
    ensure_eq!(owner.line()?, "started", "the owner says");
    owner.kill()?;
    exec.terminate()?;
    let status = exec.wait(Some(DEADLINE))?;
    ensure!(
        status.code.is_none() && (status.signal == Some(Signal::KILL) || status.unknown.is_some()),
        "without its owner, it is told as {status:?}"
    );
    ensure!(status.shell_code() != 0, "a lost status is told as success");
    let told: ExitStatus = serde_json::from_str(&ask(fixture, &["wait-exec", container, id])?)?;
    ensure_eq!(told, status, "another process is told");
    exec.delete()?;
    expect_state(&*running.container, State::Running)
}

fn they_go_with_the_container(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let exec = create(fixture, &running, &["sleep", "3600000"])?;
    let process = exec.start(Stdio::null())?;
    running.container.terminate()?;
    let status = process.wait(Some(DEADLINE))?;
    ensure!(
        status.code.is_none(),
        "with its container it ended as {status:?}"
    );
    ensure_eq!(exec.wait(None)?, status, "it is told as");
    running.container.delete()?;
    let gone = exec.properties(Query::default());
    refused(
        gone,
        ErrorKind::NotFound,
        "a look after its container is gone",
    )?;
    exec.delete()?;
    Ok(())
}
