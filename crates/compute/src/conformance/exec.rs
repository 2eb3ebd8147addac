//! Further processes in a running container.

use std::path::PathBuf;

use serde_json::Value;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{
        self, Container, Ran, exec, exec_from, expect_state, idle, in_and_out, obedient, together,
    },
    lifecycle::{expect_execute_error, no_programs},
};
use crate::{ErrorKind, Phase, Query, State, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "a further process runs beside the first one, in the same container",
        covers: &["exec.starts", "process.pid"],
        needs: &[Ability::Isolation],
        run: in_the_same_container,
    },
    Behaviour {
        name: "a further process has its own environment and working directory",
        covers: &["exec.starts"],
        needs: &[],
        run: its_own_environment,
    },
    Behaviour {
        name: "a further process has its own user",
        covers: &["exec.starts"],
        needs: &[Ability::Users],
        run: its_own_user,
    },
    Behaviour {
        name: "a further process that cannot be started changes nothing in the container",
        covers: &[
            "exec.failure-changes-nothing",
            "error.before-the-process",
            "error.fields",
        ],
        needs: &[],
        run: a_failure_changes_nothing,
    },
    Behaviour {
        name: "64 further processes at once each keep their streams and their status",
        covers: &["exec.starts", "service.threads"],
        needs: &[],
        run: many_further_processes,
    },
    Behaviour {
        name: "a further process ends with the container that is ended by force",
        covers: &["terminate.ends", "process.wait"],
        needs: &[],
        run: it_ends_with_the_container,
    },
    Behaviour {
        name: "a further process that races with the end of the container has a true status or is refused",
        covers: &["exec.not-running", "process.wait"],
        needs: &[],
        run: it_races_with_the_end,
    },
    Behaviour {
        name: "orphans and zombies of further processes do not disturb the container",
        covers: &["exec.starts"],
        needs: &[],
        run: orphans_do_not_disturb,
    },
];

fn in_the_same_container(fixture: &dyn Fixture) -> Outcome {
    let mut running = kit::start(fixture, &["report", "+", "idle"])?;
    let first: Value = serde_json::from_str(&kit::read_line(&mut running.stdout)?)?;
    kit::expect_line(&mut running.stdout, "ready")?;
    let process = running
        .container
        .create_process(&fixture.process(&["report", "+", "line"]), in_and_out())?;
    let streams = process.take_streams();
    let mut stdout = streams.stdout.ok_or("no standard output")?;
    let further: Value = serde_json::from_str(&kit::read_line(&mut stdout)?)?;
    for same in ["hostname", "namespaces", "cgroups"] {
        ensure_eq!(further[same], first[same], "its {same}");
    }
    ensure!(
        further["pid"] != first["pid"],
        "both have the process id {}",
        first["pid"]
    );
    let processes = running
        .container
        .properties(Query {
            processes: true,
            ..Query::default()
        })?
        .processes
        .unwrap_or_default();
    let pids: Vec<u32> = processes.iter().map(|entry| entry.pid).collect();
    ensure!(
        pids.contains(&process.pid()) && pids.contains(&running.process.pid()),
        "{} and {} are not both in {pids:?}",
        process.pid(),
        running.process.pid()
    );
    drop(streams.stdin);
    ensure_eq!(process.wait(Some(kit::DEADLINE))?.code, Some(0), "it gives");
    Ok(())
}

fn its_own_environment(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let mut process = fixture.process(&["report"]);
    process.oci.set_env(Some(vec![
        "ONLY=here=there".to_owned(),
        "EMPTY=".to_owned(),
    ]));
    process.oci.set_cwd(PathBuf::from(fixture.path("/tmp")));
    let report = exec_from(&*running.container, &process)?.json()?;
    ensure_eq!(
        report["working_directory"],
        fixture.path("/tmp"),
        "its working directory"
    );
    super::environment::expect_variables(fixture, &report, &["ONLY=here=there", "EMPTY="])?;
    let report = exec(fixture, &*running.container, &["report"])?.json()?;
    ensure_eq!(
        report["working_directory"],
        fixture.path("/"),
        "the next one's working directory"
    );
    ensure!(
        !report["environment"].to_string().contains("ONLY"),
        "the next one has {}",
        report["environment"]
    );
    Ok(())
}

fn its_own_user(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let mut process = fixture.process(&["report"]);
    process
        .oci
        .user_mut()
        .set_uid(1234)
        .set_gid(2345)
        .set_additional_gids(Some(vec![77, 88]));
    super::environment::expect_user(
        &exec_from(&*running.container, &process)?.json()?,
        1234,
        2345,
        &[77, 88],
    )?;
    process.user = Some("tester".to_owned());
    super::environment::expect_user(
        &exec_from(&*running.container, &process)?.json()?,
        1000,
        1001,
        &[1002],
    )?;
    let report = exec(fixture, &*running.container, &["report"])?.json()?;
    super::environment::expect_user(&report, 0, 0, &[])
}

/// What must be the same before and after: the first process, its environment and all that runs.
fn look(fixture: &dyn Fixture, container: &Container) -> Outcome<String> {
    let report = exec(fixture, &**container, &["report"])?.json()?;
    let summary = container.properties(Query::default())?.summary;
    if fixture.lacks(Ability::Isolation).is_some() {
        // What it sees is the whole machine's, which others change.
        return Ok(format!("{summary:?}"));
    }
    // The looking process is another one each time, and so are its pipes.
    let seen: Vec<&Value> = [
        "mounts",
        "namespaces",
        "cgroups",
        "root",
        "devices",
        "hostname",
        "limits",
        "capabilities",
    ]
    .iter()
    .map(|part| &report[*part])
    .collect();
    let count = report["processes"].as_array().map_or(0, Vec::len);
    Ok(format!(
        "{summary:?} {count} {}",
        serde_json::to_string(&seen)?
    ))
}

fn a_failure_changes_nothing(fixture: &dyn Fixture) -> Outcome {
    // Row 9 of the failures that engines are known for: a failed exec takes the container's cgroup with it.
    let running = idle(fixture)?;
    let before = look(fixture, &running.container)?;
    for (program, kind) in no_programs(fixture) {
        let mut process = fixture.process(&[]);
        process.oci.set_args(Some(vec![program.clone()]));
        expect_execute_error(
            running.container.create_process(&process, Stdio::pipes()),
            &program,
            kind,
        )?;
        ensure_eq!(
            look(fixture, &running.container)?,
            before,
            "after a failure to execute {program} the container is"
        );
    }
    let mut broken = vec![
        ("no program", Phase::Plan, {
            let mut process = fixture.process(&[]);
            process.oci.set_args(Some(Vec::new()));
            process
        }),
        ("a relative working directory", Phase::Plan, {
            let mut process = fixture.process(&["exit", "0"]);
            process.oci.set_cwd(PathBuf::from("tmp"));
            process
        }),
        ("a working directory that is a file", Phase::Start, {
            let mut process = fixture.process(&["exit", "0"]);
            process
                .oci
                .set_cwd(PathBuf::from(fixture.path("/bin/text")));
            process
        }),
    ];
    if fixture.lacks(Ability::Users).is_none() {
        let mut process = fixture.process(&["exit", "0"]);
        process.user = Some("nobody-here".to_owned());
        broken.push(("a user that does not exist", Phase::Plan, process));
    }
    for (what, latest, process) in broken {
        match running.container.create_process(&process, Stdio::null()) {
            Ok(_) => return Err(format!("{what} was accepted").into()),
            Err(error) => {
                let reached = error.phase();
                ensure!(
                    reached == latest
                        || reached == Phase::Plan
                        || latest == Phase::Start && reached != Phase::Execute,
                    "{what} failed ({error}) in phase {reached:?}"
                );
                ensure!(
                    error.kind() != ErrorKind::Timeout,
                    "{what} failed ({error}) as a timeout"
                );
            }
        }
        ensure_eq!(
            look(fixture, &running.container)?,
            before,
            "after {what} the container is"
        );
    }
    expect_state(&*running.container, State::Running)
}

fn many_further_processes(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let results = together(64, |index| -> Outcome<(usize, Ran)> {
        let (code, text) = (index.to_string(), format!("process {index}"));
        Ok((
            index,
            exec(
                fixture,
                &*running.container,
                &["say", &text, "+", "exit", &code],
            )?,
        ))
    })?;
    for result in results {
        let (index, ran) = result?;
        ensure_eq!(ran.status.code, Some(index as i32), "process {index} gives");
        ensure_eq!(
            ran.text(),
            format!("process {index}\n"),
            "process {index} says"
        );
    }
    Ok(())
}

fn it_ends_with_the_container(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let processes = (0..4)
        .map(|_| {
            running
                .container
                .create_process(&fixture.process(&["stubborn"]), Stdio::null())
        })
        .collect::<Result<Vec<_>, _>>()?;
    running.container.terminate()?;
    for process in processes {
        let status = process.wait(Some(kit::DEADLINE))?;
        ensure_eq!(
            (status.code, status.signal),
            (None, Some(hoist_spec::Signal::KILL)),
            "it ended by"
        );
    }
    Ok(())
}

fn it_races_with_the_end(fixture: &dyn Fixture) -> Outcome {
    for round in 0..kit::rounds(fixture, 20) {
        let running = obedient(fixture, "0")?;
        let results = together(5, |index| -> Outcome {
            if index == 4 {
                std::thread::sleep(std::time::Duration::from_micros(round * 200));
                return running.tell_to_end();
            }
            match running
                .container
                .create_process(&fixture.process(&["exit", "3"]), Stdio::null())
            {
                Ok(process) => {
                    let status = process.wait(Some(kit::DEADLINE))?;
                    ensure!(
                        status.code == Some(3) || status.signal == Some(hoist_spec::Signal::KILL),
                        "in round {round} a further process ended with {status:?}"
                    );
                }
                Err(error) => ensure!(
                    error.phase() != Phase::Execute && error.kind() == ErrorKind::InvalidState,
                    "in round {round} a further process was refused as {:?} in phase {:?}: {error}",
                    error.kind(),
                    error.phase()
                ),
            }
            Ok(())
        })?;
        results.into_iter().collect::<Outcome<()>>()?;
        ensure_eq!(
            running.process.wait(Some(kit::DEADLINE))?.code,
            Some(0),
            "the first process gives"
        );
    }
    Ok(())
}

fn orphans_do_not_disturb(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    for _ in 0..10 {
        let ran = exec(
            fixture,
            &*running.container,
            &["zombies", "5", "+", "exit", "1"],
        )?;
        ensure_eq!(ran.status.code, Some(1), "the parent of orphans gives");
    }
    expect_state(&*running.container, State::Running)
}
