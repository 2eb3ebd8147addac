//! Further processes with limits of their own.

use std::time::Duration;

use hoist_spec::{RootSource, Signal};
use serde_json::json;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{self, DEADLINE, expect_state, idle, in_and_out},
};
use crate::{ComputeSystem, Confinement, Query, State, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "a process with limits of its own is ended with all it has started, and nothing else is",
        covers: &["limited.tree", "process.terminate"],
        needs: &[Ability::Trees],
        run: its_tree_ends,
    },
    Behaviour {
        name: "a process that exceeds a limit of its own is stopped by it, and the container goes on",
        covers: &["limited.tree"],
        needs: &[Ability::ProcessLimits],
        run: its_limit_holds,
    },
    // Row 8 of the failures that engines are known for: the end of the time only ends the waiting.
    Behaviour {
        name: "when its time is over, a process is ended with all it has started, and its status says why",
        covers: &["limited.tree", "exit.timed-out", "exit.left-behind"],
        needs: &[Ability::Trees],
        run: its_time_is_over,
    },
    Behaviour {
        name: "a limit that cannot be had starts no process",
        covers: &["limited.refused"],
        needs: &[Ability::Trees],
        run: an_impossible_limit,
    },
    Behaviour {
        name: "a process with a root of its own has that read-only, the container's below it, and all else from the container",
        covers: &["confinement.root"],
        needs: &[Ability::OwnRoot, Ability::Isolation],
        run: its_own_root,
    },
    Behaviour {
        name: "terminating a process that has ended is success",
        covers: &["process.terminate"],
        needs: &[],
        run: ended_is_terminated,
    },
];

fn limits(json: serde_json::Value) -> Outcome<Confinement> {
    Ok(Confinement {
        limits: serde_json::from_value(json)?,
        ..Confinement::default()
    })
}

fn processes(container: &dyn ComputeSystem) -> Outcome<usize> {
    let query = Query {
        processes: true,
        ..Query::default()
    };
    Ok(container
        .properties(query)?
        .processes
        .map_or(0, |all| all.len()))
}

fn its_tree_ends(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let container = &*running.container;
    // It leaves a process behind in a session of its own, whose parent has ended.
    let spec = fixture.process(&["daemon", "600000", "+", "idle"]);
    let process = container.create_confined_process(&spec, &limits(json!({}))?, in_and_out())?;
    let mut stdout = process.take_streams().stdout.ok_or("no standard output")?;
    kit::expect_line(&mut stdout, "ready")?;
    kit::until("all of it runs", || Ok(processes(container)? >= 3))?;
    process.terminate()?;
    ensure_eq!(
        process.wait(Some(DEADLINE))?.signal,
        Some(Signal::KILL),
        "it ended by"
    );
    ensure_eq!(processes(container)?, 1, "what is left of the container is");
    expect_state(container, State::Running)
}

fn its_time_is_over(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let container = &*running.container;
    let spec = fixture.process(&["daemon", "600000", "+", "idle"]);
    let ended_after = |timeout| -> Outcome<_> {
        let short = Confinement {
            timeout: Some(timeout),
            ..Confinement::default()
        };
        let process = container.create_confined_process(&spec, &short, in_and_out())?;
        let mut stdout = process.take_streams().stdout.ok_or("no standard output")?;
        let all_ran = kit::expect_line(&mut stdout, "ready").is_ok();
        Ok((all_ran, process.wait(Some(DEADLINE))?))
    };
    let mut timeout = Duration::from_millis(700);
    let status = loop {
        match ended_after(timeout)? {
            (true, status) => break status,
            // On a machine with much to do its time is over before all of it runs.
            (false, _) if timeout < DEADLINE / 2 => timeout *= 3,
            (false, status) => return Err(format!("it never ran whole: {status:?}").into()),
        }
    };
    ensure!(
        status.timed_out && status.signal == Some(Signal::KILL) && status.left_behind.is_none(),
        "its status is {status:?}"
    );
    kit::until("nothing is left of it", || Ok(processes(container)? == 1))?;
    let long = Confinement {
        timeout: Some(DEADLINE),
        ..Confinement::default()
    };
    let quick = fixture.process(&["exit", "3"]);
    let status = container
        .create_confined_process(&quick, &long, Stdio::null())?
        .wait(Some(DEADLINE))?;
    ensure!(
        !status.timed_out && status.code == Some(3),
        "in time, its status is {status:?}"
    );
    expect_state(container, State::Running)
}

fn its_limit_holds(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let few = limits(json!({"pids": {"limit": 1}}))?;
    let spec = fixture.process(&["daemon", "0"]);
    let process = running
        .container
        .create_confined_process(&spec, &few, Stdio::null())?;
    let status = process.wait(Some(DEADLINE))?;
    ensure!(
        status.code != Some(0),
        "it could start others in spite of its limit"
    );
    ensure_eq!(
        kit::exec(fixture, &*running.container, &["daemon", "0"])?
            .status
            .code,
        Some(0),
        "another gives"
    );
    expect_state(&*running.container, State::Running)
}

fn its_own_root(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let container = &*running.container;
    let RootSource::Directory(tools) = &container.spec().root else {
        return Err("the container's root is no directory".into());
    };
    // The same root once more: it has the probe, and a directory for the container's.
    let own = Confinement {
        root: Some(tools.clone()),
        ..Confinement::default()
    };
    let run = |probe: &[&str]| {
        let spec = fixture.process(probe);
        kit::finish(&*container.create_confined_process(&spec, &own, Stdio::pipes())?)
    };
    let seen = run(&["list", "/mnt"])?.json()?;
    let names = seen.as_array().ok_or("no list")?;
    ensure!(
        names.iter().any(|name| name == "probe"),
        "below its root it sees {seen}"
    );
    ensure!(
        run(&["put", "/tmp/here", "x"])?.status.code != Some(0),
        "its root can be written to"
    );
    let (own, plain) = (
        run(&["report"])?.json()?,
        kit::exec(fixture, container, &["report"])?.json()?,
    );
    ensure!(
        own["namespaces"]["mnt"] != plain["namespaces"]["mnt"],
        "its mounts are the container's own"
    );
    for same in ["hostname", "cgroups", "uids", "capabilities", "seccomp"] {
        ensure_eq!(own[same], plain[same], "its {same}");
    }
    for same in ["pid", "net", "ipc", "uts"] {
        ensure_eq!(
            own["namespaces"][same],
            plain["namespaces"][same],
            "its namespace {same}"
        );
    }
    expect_state(container, State::Running)
}

fn an_impossible_limit(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let impossible = limits(json!({"cpu": {"cpus": "100000"}}))?;
    let spec = fixture.process(&["idle"]);
    let started = running
        .container
        .create_confined_process(&spec, &impossible, Stdio::null());
    ensure!(started.is_err(), "a process was started without its limit");
    ensure_eq!(processes(&*running.container)?, 1, "what runs is");
    Ok(())
}

fn ended_is_terminated(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let process = running
        .container
        .create_process(&fixture.process(&["exit", "3"]), Stdio::null())?;
    process.wait(Some(DEADLINE))?;
    process.terminate()?;
    process.terminate()?;
    ensure_eq!(process.wait(Some(DEADLINE))?.code, Some(3), "it ended with");
    Ok(())
}
