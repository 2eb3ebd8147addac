//! What can be asked and changed while a container runs, and what errors say.

use hoist_spec::oci::{
    LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder,
};

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{
        self, create, create_from, exec, expect_line, idle, new_id, refused, start, with_arguments,
    },
};
use crate::{
    ComputeSystem, ErrorKind, MemoryStatistics, NetworkStatistics, OsCode, Query, State,
    Statistics, Stdio,
};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "properties follow the container through its life",
        covers: &["properties.now", "properties.summary", "query.parts"],
        needs: &[],
        run: properties_follow,
    },
    Behaviour {
        name: "the process list holds every process of the container and no other",
        covers: &["properties.processes", "properties.now"],
        needs: &[Ability::Trees],
        run: the_process_list,
    },
    Behaviour {
        name: "statistics tell what the container uses and what its limits are",
        covers: &["properties.statistics", "modify.changes"],
        needs: &[Ability::Limits],
        run: statistics,
    },
    Behaviour {
        name: "limits are changed while the container runs, and those not named stay",
        covers: &["modify.changes"],
        needs: &[Ability::Limits],
        run: limits_are_changed,
    },
    Behaviour {
        name: "a limit that the kernel refuses leaves all limits as they were",
        covers: &["modify.refused"],
        needs: &[Ability::Limits],
        run: a_refused_limit,
    },
    Behaviour {
        name: "an error has a kind, a phase, an operation, what it is about, and the same as JSON",
        covers: &["error.fields", "error.text"],
        needs: &[],
        run: what_errors_say,
    },
];

const ALL: Query = Query {
    statistics: true,
    processes: true,
};

fn properties_follow(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["say", "ready", "+", "line", "+", "exit", "3"])?;
    let created = container.properties(Query::default())?;
    ensure_eq!(
        created.summary.state,
        State::Created,
        "before the start it is"
    );
    ensure_eq!(created.summary.id, *container.id(), "its id");
    ensure!(
        created.processes.is_none() && created.statistics.is_none(),
        "what was not asked for is told: {created:?}"
    );
    let process = container.start(kit::in_and_out())?;
    let running = container.properties(Query::default())?.summary;
    ensure_eq!(
        (running.state, running.pid),
        (State::Running, Some(process.pid())),
        "after the start it is"
    );
    ensure_eq!(
        running.created_at,
        created.summary.created_at,
        "the time of its making"
    );
    ensure!(
        running
            .started_at
            .is_some_and(|time| time >= running.created_at),
        "it started {:?}",
        running.started_at
    );
    ensure!(running.exit.is_none(), "it has ended while it runs");
    drop(process.take_streams().stdin);
    let status = process.wait(Some(kit::DEADLINE))?;
    let stopped = container.properties(Query::default())?.summary;
    ensure_eq!(
        (stopped.state, stopped.pid),
        (State::Stopped, None),
        "after the end it is"
    );
    ensure_eq!(stopped.exit, Some(status), "its exit");
    ensure_eq!(
        (stopped.created_at, stopped.started_at),
        (running.created_at, running.started_at),
        "its times"
    );
    Ok(())
}

fn processes(container: &dyn ComputeSystem) -> Outcome<Vec<crate::ProcessEntry>> {
    Ok(container
        .properties(ALL)?
        .processes
        .ok_or("no process list")?)
}

fn the_process_list(fixture: &dyn Fixture) -> Outcome {
    let mut running = start(fixture, &["fork", "4", "+", "idle"])?;
    expect_line(&mut running.stdout, "4")?;
    expect_line(&mut running.stdout, "ready")?;
    let list = processes(&*running.container)?;
    ensure_eq!(list.len(), 5, "the number of processes in {list:?}");
    let first = list
        .iter()
        .find(|entry| entry.pid == running.process.pid())
        .ok_or("the first process is not listed")?;
    ensure!(
        first.command.contains("probe fork 4"),
        "its command is told as {:?}",
        first.command
    );
    ensure_eq!(
        list.iter()
            .filter(|entry| entry.parent == first.pid)
            .count(),
        4,
        "the number of its children"
    );
    let now = crate::Timestamp::now();
    for entry in &list {
        ensure!(entry.started_at <= now, "{entry:?} starts in the future");
    }
    // Others' processes are not in it.
    let other = idle(fixture)?;
    ensure_eq!(
        processes(&*running.container)?.len(),
        5,
        "beside another container the number of processes"
    );
    ensure_eq!(
        processes(&*other.container)?.len(),
        1,
        "the other's number of processes"
    );
    running.container.terminate()?;
    ensure_eq!(
        running
            .container
            .properties(ALL)?
            .processes
            .unwrap_or_default(),
        [],
        "after the end the processes are"
    );
    Ok(())
}

fn statistics_of(container: &dyn ComputeSystem) -> Outcome<Statistics> {
    Ok(container
        .properties(Query {
            statistics: true,
            ..Query::default()
        })?
        .statistics
        .ok_or("no statistics")?)
}

fn memory(container: &dyn ComputeSystem) -> Outcome<MemoryStatistics> {
    Ok(statistics_of(container)?
        .memory
        .ok_or("no memory statistics")?)
}

fn memory_limit(bytes: i64) -> Outcome<LinuxResources> {
    let memory = LinuxMemoryBuilder::default().limit(bytes).build()?;
    Ok(LinuxResourcesBuilder::default().memory(memory).build()?)
}

fn pids_limit(count: i64) -> Outcome<LinuxResources> {
    Ok(LinuxResourcesBuilder::default()
        .pids(LinuxPidsBuilder::default().limit(count).build()?)
        .build()?)
}

fn statistics(fixture: &dyn Fixture) -> Outcome {
    let mut running = start(fixture, &["spin", "60", "+", "fork", "2", "+", "idle"])?;
    expect_line(&mut running.stdout, "2")?;
    expect_line(&mut running.stdout, "ready")?;
    let used = statistics_of(&*running.container)?;
    let cpu = used.cpu.ok_or("no processor statistics")?;
    ensure!(
        cpu.usage_nanoseconds >= 30_000_000,
        "after 60 ms of work the processor time is {cpu:?}"
    );
    ensure_eq!(used.pids, Some(3), "the number of processes");
    let memory_used = used.memory.ok_or("no memory statistics")?;
    ensure!(memory_used.usage_bytes > 0, "no memory is used");
    ensure_eq!(
        (memory_used.limit_bytes, memory_used.oom_kills),
        (None, 0),
        "limit and kills without a limit"
    );
    ensure_eq!(
        used.network.unwrap_or_default(),
        NetworkStatistics::default(),
        "over the network of a container without interfaces went"
    );
    Ok(())
}

fn limits_are_changed(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    running.container.modify(&memory_limit(256 << 20)?)?;
    ensure_eq!(
        memory(&*running.container)?.limit_bytes,
        Some(256 << 20),
        "the memory limit"
    );
    running.container.modify(&pids_limit(4)?)?;
    ensure_eq!(
        memory(&*running.container)?.limit_bytes,
        Some(256 << 20),
        "not named, the memory limit"
    );
    // The first process, this one, and two more.
    let ran = exec(
        fixture,
        &*running.container,
        &["fork", "10", "+", "exit", "0"],
    )?;
    ensure_eq!(
        ran.text(),
        "2\n",
        "with a limit of four processes so many can be made"
    );
    running.container.modify(&memory_limit(128 << 20)?)?;
    ensure_eq!(
        memory(&*running.container)?.limit_bytes,
        Some(128 << 20),
        "changed again, the memory limit"
    );
    Ok(())
}

fn a_refused_limit(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    running.container.modify(&memory_limit(256 << 20)?)?;
    // A set of processors that no machine has: the kernel refuses it, after the memory limit was good.
    let mut impossible = memory_limit(512 << 20)?;
    let mut cpu = hoist_spec::oci::LinuxCpu::default();
    cpu.set_cpus(Some("100000".to_owned()));
    impossible.set_cpu(Some(cpu));
    let Err(error) = running.container.modify(&impossible) else {
        return Err("processor 100000 was accepted".into());
    };
    ensure!(
        error.to_json().to_string().contains("cpus"),
        "the error does not name what was refused: {error}"
    );
    ensure_eq!(
        memory(&*running.container)?.limit_bytes,
        Some(256 << 20),
        "after the refusal the memory limit"
    );
    ensure_eq!(
        exec(fixture, &*running.container, &["exit", "5"])?
            .status
            .code,
        Some(5),
        "a further process gives"
    );
    Ok(())
}

fn what_errors_say(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let running = idle(fixture)?;
    let broken = create_from(
        fixture,
        &with_arguments(fixture.spec(&[]), &["/no/such/program"]),
    )?;
    let mut errors = vec![
        refused(service.open(&new_id(fixture)?), ErrorKind::NotFound, "open")?,
        refused(
            service.create(running.container.id(), &fixture.spec(&[])),
            ErrorKind::AlreadyExists,
            "create",
        )?,
        refused(
            running.container.delete(),
            ErrorKind::InvalidState,
            "delete",
        )?,
        refused(
            running.container.resume(),
            ErrorKind::InvalidState,
            "resume",
        )?,
    ];
    match broken.start(Stdio::null()) {
        Ok(_) => return Err("a missing program was started".into()),
        Err(error) => {
            ensure!(
                matches!(error.os_code(), Some(OsCode::Errno(2) | OsCode::Hresult(_))),
                "the error of a missing program has the number {:?}",
                error.os_code()
            );
            errors.push(error);
        }
    }
    for error in errors {
        let text = error.to_string();
        ensure!(
            !text.is_empty() && !text.ends_with('.') && !text.contains('\n'),
            "odd text: {text:?}"
        );
        ensure!(!error.operation().is_empty(), "no operation: {text}");
        ensure!(
            error.subject().is_some() || text.contains('/'),
            "nothing it is about: {text}"
        );
        let json = error.to_json();
        for member in ["kind", "phase", "operation", "message"] {
            ensure!(json[member].is_string(), "no {member} in {json}");
        }
        ensure_eq!(json["message"], text, "the message in JSON");
    }
    Ok(())
}
