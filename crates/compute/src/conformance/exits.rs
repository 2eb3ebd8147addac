//! Exit codes, signals, and what else is known of an end.

use hoist_spec::{Signal, oci};

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{self, create, exec, idle, run, run_from, start_from},
};
use crate::{Stdio, Timestamp};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "every exit code from 0 to 255 is told as it was",
        covers: &["exit.code", "exit.how"],
        needs: &[],
        run: every_exit_code,
    },
    Behaviour {
        name: "every exit code of a further process is told as it was",
        covers: &["exit.code", "process.wait"],
        needs: &[],
        run: every_exit_code_of_a_further_process,
    },
    Behaviour {
        name: "a signal that ends a process is told as that signal, without a code",
        covers: &["exit.signal", "exit.no-code"],
        needs: &[Ability::Signals],
        run: every_signal,
    },
    Behaviour {
        name: "a container ended by SIGKILL from outside says so, and no memory limit is blamed",
        covers: &["exit.signal", "exit.oom", "signal.sends"],
        needs: &[],
        run: killed_from_outside,
    },
    Behaviour {
        name: "a program that faults ends by that signal",
        covers: &["exit.signal"],
        needs: &[Ability::Signals],
        run: a_fault,
    },
    Behaviour {
        name: "an end has the time at which it came",
        covers: &["exit.when"],
        needs: &[],
        run: the_time_of_the_end,
    },
    Behaviour {
        name: "a kill by the memory limit is told with the cgroup and its limit",
        covers: &["exit.oom", "exit.oom-cgroup", "exit.oom-limit"],
        needs: &[Ability::Limits],
        run: out_of_memory,
    },
];

fn every_exit_code(fixture: &dyn Fixture) -> Outcome {
    for code in kit::codes(fixture) {
        let container = create(fixture, &["exit", &code.to_string()])?;
        let process = container.start(Stdio::null())?;
        let status = process.wait(Some(kit::DEADLINE))?;
        ensure_eq!(status.code, Some(code), "exit {code} was told as");
        ensure_eq!(status.signal, None, "exit {code} came with a signal");
        ensure_eq!(status.unknown, None, "exit {code} was told as unknown");
        ensure_eq!(
            container.wait(Some(kit::DEADLINE))?,
            status,
            "the container says of exit {code}"
        );
    }
    Ok(())
}

fn every_exit_code_of_a_further_process(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    for code in kit::codes(fixture) {
        let status = exec(fixture, &*running.container, &["exit", &code.to_string()])?.status;
        ensure_eq!(
            (status.code, status.signal),
            (Some(code), None),
            "exit {code} was told as"
        );
    }
    Ok(())
}

fn every_signal(fixture: &dyn Fixture) -> Outcome {
    // Further processes: the kernel protects the first one of a PID namespace from its own signals.
    let running = idle(fixture)?;
    // Those whose default is to end a process (signal(7)); without those that the kernel may answer by a core file's name.
    for number in [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31, 34, 64,
    ] {
        let ran = exec(
            fixture,
            &*running.container,
            &["kill", &number.to_string(), "+", "idle"],
        )?;
        ensure_eq!(
            ran.status.signal,
            Signal::from_number(number),
            "signal {number} was told as"
        );
        ensure_eq!(ran.status.code, None, "signal {number} came with a code");
        ensure_eq!(ran.status.shell_code(), 128 + number, "a shell would say");
    }
    Ok(())
}

fn killed_from_outside(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    running.container.signal(Signal::KILL)?;
    let status = running.process.wait(Some(kit::DEADLINE))?;
    ensure_eq!(
        (status.code, status.signal),
        (None, Some(Signal::KILL)),
        "it ended by"
    );
    ensure!(
        status.oom.is_none(),
        "a plain SIGKILL is blamed on memory: {:?}",
        status.oom
    );
    Ok(())
}

fn a_fault(fixture: &dyn Fixture) -> Outcome {
    let status = run(fixture, &["fault"])?.status;
    ensure_eq!(
        (status.code, status.signal),
        (None, Signal::from_number(11)),
        "it ended by"
    );
    Ok(())
}

fn the_time_of_the_end(fixture: &dyn Fixture) -> Outcome {
    let before = Timestamp::now();
    let container = create(fixture, &["sleep", "20"])?;
    let process = container.start(Stdio::null())?;
    let started = Timestamp::now();
    let status = process.wait(Some(kit::DEADLINE))?;
    let after = Timestamp::now();
    ensure!(
        before < status.finished_at && status.finished_at <= after,
        "{:?} is not between {before:?} and {after:?}",
        status.finished_at
    );
    let summary = container.properties(Default::default())?.summary;
    let order = [
        Some(before),
        Some(summary.created_at),
        summary.started_at,
        Some(status.finished_at),
    ];
    ensure!(
        order.is_sorted() && summary.started_at.is_some_and(|time| time <= started),
        "not in order: {order:?}"
    );
    Ok(())
}

fn out_of_memory(fixture: &dyn Fixture) -> Outcome {
    const LIMIT: i64 = 64 << 20;
    let mut spec = fixture.spec(&["allocate", &(LIMIT * 4).to_string()]);
    let memory = oci::LinuxMemoryBuilder::default()
        .limit(LIMIT)
        .swap(LIMIT)
        .build()?;
    let resources = oci::LinuxResourcesBuilder::default()
        .memory(memory)
        .build()?;
    let mut linux = spec.oci.linux().clone().unwrap_or_default();
    linux.set_resources(Some(resources));
    spec.oci.set_linux(Some(linux));
    let running = start_from(fixture, &spec)?;
    let status = running.process.wait(Some(kit::DEADLINE))?;
    ensure_eq!(status.signal, Some(Signal::KILL), "it ended by");
    let oom = status
        .oom
        .clone()
        .ok_or("it is not told as a kill by the memory limit")?;
    ensure!(!oom.cgroup.is_empty(), "the cgroup is not named");
    ensure_eq!(oom.limit_bytes, Some(LIMIT as u64), "the limit");
    ensure_eq!(running.container.wait(None)?, status, "the container says");
    // The same limit does not touch a process that stays below it.
    let mut small = fixture.spec(&["allocate", "1000000"]);
    small.oci.set_linux(spec.oci.linux().clone());
    let status = run_from(fixture, &small)?.status;
    ensure_eq!(
        (status.code, status.oom),
        (Some(0), None),
        "below the limit it ends with"
    );
    Ok(())
}
