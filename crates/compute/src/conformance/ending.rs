//! Signals, asking to end, ending by force, and the races between them and an end that comes by itself.

use std::{io::Read, thread, time::Duration};

use hoist_spec::{Signal, StopPolicy};

use super::{
    Ability, Behaviour, Fixture, Outcome, another,
    kit::{
        self, expect_line, expect_state, idle, in_and_out, new_id, ready, refused, start,
        start_from,
    },
};
use crate::{ErrorKind, State};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "a signal reaches the first process",
        covers: &["signal.sends", "process.signal"],
        needs: &[Ability::Signals],
        run: a_signal_reaches_the_first_process,
    },
    Behaviour {
        name: "a signal reaches the further process that it was sent to, and no other",
        covers: &["process.signal"],
        needs: &[Ability::Signals],
        run: a_signal_reaches_one_process,
    },
    Behaviour {
        name: "a signal after the end is an invalid state, whoever sends it",
        covers: &["signal.not-running", "process.signal-after"],
        needs: &[],
        run: a_signal_after_the_end,
    },
    Behaviour {
        name: "asking to end sends the stop signal of the spec",
        covers: &["shutdown.asks"],
        needs: &[Ability::Signals],
        run: shutdown_sends_the_stop_signal,
    },
    Behaviour {
        name: "asking to end returns at once, whether or not the container obeys",
        covers: &["shutdown.asks"],
        needs: &[Ability::Signals],
        run: shutdown_returns_at_once,
    },
    Behaviour {
        name: "ending by force ends every process, twice forked and stubborn ones included, before it returns",
        covers: &["terminate.ends", "wait.waits"],
        needs: &[],
        run: terminate_ends_everything,
    },
    Behaviour {
        name: "ending by force ends a paused container",
        covers: &["terminate.ends"],
        needs: &[Ability::Pause],
        run: terminate_ends_a_paused_container,
    },
    Behaviour {
        name: "ending a stopped container by force changes nothing",
        covers: &["terminate.stopped"],
        needs: &[],
        run: terminate_after_the_end,
    },
    Behaviour {
        name: "many who end a container by force at once all succeed",
        covers: &["terminate.ends", "terminate.stopped", "service.threads"],
        needs: &[],
        run: terminate_at_once,
    },
    Behaviour {
        name: "whichever comes first, exit or kill, the status is one of the two and stays that",
        covers: &["signal.not-running", "exit.state", "process.signal-after"],
        needs: &[],
        run: kill_races,
    },
    Behaviour {
        name: "whichever comes first, exit or end by force, nothing hangs and nothing fails",
        covers: &["terminate.ends", "terminate.stopped"],
        needs: &[],
        run: terminate_races,
    },
    Behaviour {
        name: "a deleted container leaves no process of its own behind",
        covers: &["delete.removes"],
        needs: &[],
        run: delete_leaves_no_process,
    },
];

fn a_signal_reaches_the_first_process(fixture: &dyn Fixture) -> Outcome {
    for number in [1, 2, 10, 12, 15, 34, 64] {
        let mut running = ready(fixture, &["trap", &number.to_string(), "33"])?;
        let signal = Signal::from_number(number).ok_or("no such signal")?;
        if number % 2 == 0 {
            running.container.signal(signal)?;
        } else {
            running.process.signal(signal)?;
        }
        expect_line(&mut running.stdout, "caught")?;
        ensure_eq!(
            running.process.wait(Some(kit::DEADLINE))?.code,
            Some(33),
            "after {signal} it gives"
        );
    }
    Ok(())
}

fn a_signal_reaches_one_process(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let begin = || -> Outcome<_> {
        let process = running
            .container
            .create_process(&fixture.process(&["trap", "15", "21"]), in_and_out())?;
        let mut stdout = process.take_streams().stdout.ok_or("no standard output")?;
        expect_line(&mut stdout, "ready")?;
        Ok((process, stdout))
    };
    let (first, mut output) = begin()?;
    let (second, _output) = begin()?;
    first.signal(Signal::TERM)?;
    expect_line(&mut output, "caught")?;
    ensure_eq!(
        first.wait(Some(kit::DEADLINE))?.code,
        Some(21),
        "the one it was sent to gives"
    );
    refused(
        second.wait(Some(Duration::from_millis(20))),
        ErrorKind::Timeout,
        "wait for the other",
    )?;
    second.signal(Signal::KILL)?;
    ensure_eq!(
        second.wait(Some(kit::DEADLINE))?.signal,
        Some(Signal::KILL),
        "the other ends by"
    );
    expect_state(&*running.container, State::Running)
}

fn a_signal_after_the_end(fixture: &dyn Fixture) -> Outcome {
    let running = start(fixture, &["exit", "0"])?;
    running.process.wait(Some(kit::DEADLINE))?;
    let opened = fixture.service().open(running.container.id())?;
    for signal in [Signal::TERM, Signal::KILL] {
        refused(
            running.process.signal(signal),
            ErrorKind::InvalidState,
            "signal to an ended process",
        )?;
        refused(
            running.container.signal(signal),
            ErrorKind::InvalidState,
            "signal to a stopped container",
        )?;
        refused(
            opened.signal(signal),
            ErrorKind::InvalidState,
            "signal through another handle",
        )?;
    }
    let told = another::ask(fixture, &["signal", running.container.id().as_str(), "9"])?;
    ensure_eq!(told, "InvalidState", "another process's signal is");
    Ok(())
}

fn shutdown_sends_the_stop_signal(fixture: &dyn Fixture) -> Outcome {
    for signal in [Signal::TERM, Signal::USR1, Signal::INT] {
        let mut spec = fixture.spec(&["trap", &signal.number().to_string(), "11"]);
        spec.stop = StopPolicy {
            signal,
            timeout_seconds: 1,
        };
        let mut running = start_from(fixture, &spec)?;
        expect_line(&mut running.stdout, "ready")?;
        running.container.shutdown()?;
        ensure_eq!(
            running.process.wait(Some(kit::DEADLINE))?.code,
            Some(11),
            "asked by {signal} it gives"
        );
    }
    Ok(())
}

fn shutdown_returns_at_once(fixture: &dyn Fixture) -> Outcome {
    let mut spec = fixture.spec(&["stubborn"]);
    // A backend that waited for the end, or ended it by force itself, would show within this time or not return.
    spec.stop.timeout_seconds = 0;
    let mut running = start_from(fixture, &spec)?;
    expect_line(&mut running.stdout, "ready")?;
    running.container.shutdown()?;
    refused(
        running.container.wait(Some(Duration::from_millis(100))),
        ErrorKind::Timeout,
        "wait after asking",
    )?;
    expect_state(&*running.container, State::Running)
}

/// A container with a stubborn first process, a twice forked process in a session of its own, and a further process
/// with a child; all hold the standard outputs given here.
fn crowd(fixture: &dyn Fixture) -> Outcome<(kit::Running, Box<dyn crate::Process>, std::fs::File)> {
    let mut running = start(
        fixture,
        &["daemon", "3600000", "+", "fork", "3", "+", "stubborn"],
    )?;
    expect_line(&mut running.stdout, "3")?;
    expect_line(&mut running.stdout, "ready")?;
    let further = running.container.create_process(
        &fixture.process(&[
            "daemon", "3600000", "+", "orphan", "3600000", "+", "stubborn",
        ]),
        in_and_out(),
    )?;
    let mut output = further.take_streams().stdout.ok_or("no standard output")?;
    expect_line(&mut output, "ready")?;
    Ok((running, further, output))
}

/// That every process of the crowd is gone: only then do their outputs end.
fn expect_gone(
    mut running: kit::Running,
    further: &dyn crate::Process,
    mut output: std::fs::File,
) -> Outcome {
    expect_state(&*running.container, State::Stopped)?;
    ensure_eq!(
        running.process.wait(Some(Duration::ZERO))?.signal,
        Some(Signal::KILL),
        "the first process ended by"
    );
    ensure_eq!(
        further.wait(Some(kit::DEADLINE))?.signal,
        Some(Signal::KILL),
        "the further process ended by"
    );
    let mut rest = Vec::new();
    running.stdout.read_to_end(&mut rest)?;
    output.read_to_end(&mut rest)?;
    ensure!(
        rest.is_empty(),
        "unexpected output {:?}",
        String::from_utf8_lossy(&rest)
    );
    Ok(())
}

fn terminate_ends_everything(fixture: &dyn Fixture) -> Outcome {
    let (running, further, output) = crowd(fixture)?;
    running.container.terminate()?;
    expect_gone(running, &*further, output)
}

fn terminate_ends_a_paused_container(fixture: &dyn Fixture) -> Outcome {
    let (running, further, output) = crowd(fixture)?;
    running.container.pause()?;
    running.container.terminate()?;
    expect_gone(running, &*further, output)
}

fn terminate_after_the_end(fixture: &dyn Fixture) -> Outcome {
    let running = start(fixture, &["exit", "13"])?;
    let status = running.process.wait(Some(kit::DEADLINE))?;
    for _ in 0..2 {
        running.container.terminate()?;
        ensure_eq!(
            running.container.wait(Some(Duration::ZERO))?,
            status,
            "afterwards the status is"
        );
        expect_state(&*running.container, State::Stopped)?;
    }
    Ok(())
}

fn terminate_at_once(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    for result in kit::together(8, |_| running.container.terminate())? {
        result?;
    }
    expect_state(&*running.container, State::Stopped)?;
    ensure_eq!(
        running.process.wait(Some(kit::DEADLINE))?.signal,
        Some(Signal::KILL),
        "it ended by"
    );
    Ok(())
}

fn kill_races(fixture: &dyn Fixture) -> Outcome {
    let mut killed = 0;
    let rounds = kit::rounds(fixture, 200);
    // Where processes take long to start, they take long to end.
    let last = Duration::from_millis(if fixture.is_bounded() { 100 } else { 1 });
    for round in 0..rounds {
        let running = ready(fixture, &["say", "ready", "+", "exit", "7"])?;
        // From "not yet at exit" to "long gone".
        thread::sleep(last.mul_f64(round as f64 / rounds as f64));
        match running.container.signal(Signal::KILL) {
            Ok(()) => {}
            Err(error) => ensure_eq!(
                error.kind(),
                ErrorKind::InvalidState,
                "the signal failed ({error}) as"
            ),
        }
        let status = running.process.wait(Some(kit::DEADLINE))?;
        match (status.code, status.signal) {
            (Some(7), None) => {}
            (None, Some(Signal::KILL)) => killed += 1,
            _ => return Err(format!("round {round} ended with {status:?}").into()),
        }
        ensure_eq!(
            running.container.wait(Some(kit::DEADLINE))?,
            status,
            "the container says"
        );
        refused(
            running.container.signal(Signal::KILL),
            ErrorKind::InvalidState,
            "signal after the end",
        )?;
    }
    ensure!(killed < rounds, "no round ended by itself");
    Ok(())
}

fn terminate_races(fixture: &dyn Fixture) -> Outcome {
    for round in 0..kit::rounds(fixture, 50) {
        let running = ready(fixture, &["say", "ready", "+", "exit", "7"])?;
        thread::sleep(Duration::from_micros(round * 20));
        running.container.terminate()?;
        expect_state(&*running.container, State::Stopped)?;
        let status = running.process.wait(Some(kit::DEADLINE))?;
        ensure!(
            matches!(
                (status.code, status.signal),
                (Some(7), None) | (None, Some(Signal::KILL))
            ),
            "round {round} ended with {status:?}"
        );
        running.container.delete()?;
    }
    Ok(())
}

fn delete_leaves_no_process(fixture: &dyn Fixture) -> Outcome {
    let id = new_id(fixture)?;
    let container = fixture.service().create(
        &id,
        &fixture.spec(&["daemon", "3600000", "+", "say", "on", "+", "line"]),
    )?;
    let process = container.start(in_and_out())?;
    let streams = process.take_streams();
    let mut output = streams.stdout.ok_or("no standard output")?;
    expect_line(&mut output, "on")?;
    drop(streams.stdin);
    expect_line(&mut output, "got ")?;
    process.wait(Some(kit::DEADLINE))?;
    container.delete()?;
    // The daemon held the output, which ends with it.
    let mut rest = Vec::new();
    output.read_to_end(&mut rest)?;
    ensure!(
        rest.is_empty(),
        "unexpected output {:?}",
        String::from_utf8_lossy(&rest)
    );
    Ok(())
}
