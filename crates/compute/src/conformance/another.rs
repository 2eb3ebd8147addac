//! Containers seen from several operating-system processes.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, ChildStdout, Stdio as ChildStdio},
    time::Duration,
};

use hoist_spec::{ContainerId, Signal};
use serde_json::json;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{self, adopt, create, exec, expect_state, finish, idle, new_id, ready, refused},
};
use crate::{Error, ErrorKind, ExitStatus, State, Stdio};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "another process opens the container and sees its state",
        covers: &["open.opens", "system.truth", "state.order"],
        needs: &[],
        run: another_process_sees,
    },
    Behaviour {
        name: "another process runs further processes in the container",
        covers: &["open.opens", "exec.starts"],
        needs: &[],
        run: another_process_executes,
    },
    Behaviour {
        name: "another process sends signals to the container",
        covers: &["open.opens", "signal.sends"],
        needs: &[Ability::Signals],
        run: another_process_signals,
    },
    Behaviour {
        name: "another process ends the container by force",
        covers: &["open.opens", "terminate.ends", "system.truth"],
        needs: &[],
        run: another_process_terminates,
    },
    Behaviour {
        name: "another process pauses and resumes the container",
        covers: &["pause.freezes", "resume.goes-on", "system.truth"],
        needs: &[Ability::Pause],
        run: another_process_pauses,
    },
    Behaviour {
        name: "a container that another process made is started, waited for and deleted here",
        covers: &[
            "open.opens",
            "start.starts",
            "delete.removes",
            "system.truth",
        ],
        needs: &[],
        run: made_by_another_process,
    },
    Behaviour {
        name: "a container that another process owns is seen here until it ends, and its status is the same",
        covers: &["wait.any", "exit.durable", "owner.one"],
        needs: &[],
        run: owned_by_another_process,
    },
    Behaviour {
        name: "what another process deleted is gone here",
        covers: &["system.truth", "delete.again"],
        needs: &[],
        run: deleted_by_another_process,
    },
    Behaviour {
        name: "when its owner was killed, a container runs on and its end is told as it was or as unknown, never falsely",
        covers: &["exit.unknown", "exit.never-zero", "system.truth"],
        needs: &[],
        run: an_owner_that_was_killed,
    },
    Behaviour {
        name: "the status of a container outlives the process that recorded it",
        covers: &["exit.durable", "exit.state"],
        needs: &[],
        run: the_status_outlives,
    },
];

/// Does what [`Fixture::another_process`] was told to: the first argument is the action, what it finds goes
/// to standard output.
pub fn act(fixture: &dyn Fixture, arguments: &[String]) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let service = fixture.service();
    let id = |text: &str| -> Outcome<ContainerId> { Ok(text.parse()?) };
    let open = |text: &str| -> Outcome<_> { Ok(service.open(&id(text)?)?) };
    let told = |result: Result<(), Error>| match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let answer = match words.as_slice() {
        ["state", name] => serde_json::to_string(&open(name)?.state()?)?,
        ["wait", name] => serde_json::to_string(&open(name)?.wait(Some(kit::DEADLINE))?)?,
        ["signal", name, number] => {
            let signal = number
                .parse()
                .ok()
                .and_then(Signal::from_number)
                .ok_or("no such signal")?;
            told(open(name)?.signal(signal))
        }
        ["terminate", name] => told(open(name)?.terminate()),
        ["pause", name] => told(open(name)?.pause()),
        ["resume", name] => told(open(name)?.resume()),
        ["delete", name] => told(open(name)?.delete()),
        ["exec", name, probe @ ..] => {
            let ran = exec(fixture, &*open(name)?, probe)?;
            json!({"code": ran.status.code, "stdout": ran.text()}).to_string()
        }
        ["create", name, probe @ ..] => {
            service.create(&id(name)?, &fixture.spec(probe))?;
            "ok".to_owned()
        }
        ["run", name, probe @ ..] => {
            let container = service.create(&id(name)?, &fixture.spec(probe))?;
            let ran = finish(&*container.start(Stdio::pipes())?)?;
            serde_json::to_string(&ran.status)?
        }
        // Owns an exec that is there until it is killed or its input ends.
        ["own-exec", name, exec] => {
            let process = open(name)?.open_exec(&id(exec)?)?.start(Stdio::null())?;
            println!("started");
            std::io::stdin().read_to_end(&mut Vec::new())?;
            serde_json::to_string(&process.wait(Some(kit::DEADLINE))?)?
        }
        ["wait-exec", name, exec] => serde_json::to_string(
            &open(name)?
                .open_exec(&id(exec)?)?
                .wait(Some(kit::DEADLINE))?,
        )?,
        // Owns a running container until it is killed or its input ends.
        ["own", name, probe @ ..] => {
            let container = service.create(&id(name)?, &fixture.spec(probe))?;
            let process = container.start(Stdio::null())?;
            println!("started");
            std::io::stdin().read_to_end(&mut Vec::new())?;
            serde_json::to_string(&process.wait(Some(kit::DEADLINE))?)?
        }
        _ => return Err(format!("{words:?} is no action").into()),
    };
    println!("{answer}");
    Ok(())
}

/// Another process while it acts. It is killed where nobody waits for it.
pub(super) struct Another {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Drop for Another {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Another {
    /// Its next line.
    pub(super) fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        ensure!(
            line.ends_with('\n'),
            "the other process ended without an answer"
        );
        Ok(line.trim_end().to_owned())
    }

    /// What it found.
    pub(super) fn finish(&mut self) -> Outcome<String> {
        drop(self.stdin.take());
        let line = self.line()?;
        ensure!(
            self.child.wait()?.success(),
            "the other process failed after {line}"
        );
        Ok(line)
    }

    pub(super) fn kill(&mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// Begins an action in another process.
pub(super) fn spawn(fixture: &dyn Fixture, action: &[&str]) -> Outcome<Another> {
    let mut child = fixture
        .another_process()?
        .args(action)
        .stdin(ChildStdio::piped())
        .stdout(ChildStdio::piped())
        .spawn()?;
    Ok(Another {
        stdin: child.stdin.take(),
        stdout: BufReader::new(child.stdout.take().ok_or("no standard output")?),
        child,
    })
}

/// Does an action in another process, and gives what that found.
pub(super) fn ask(fixture: &dyn Fixture, action: &[&str]) -> Outcome<String> {
    spawn(fixture, action)?.finish()
}

fn told_state(fixture: &dyn Fixture, id: &str) -> Outcome<State> {
    Ok(serde_json::from_str(&ask(fixture, &["state", id])?)?)
}

fn another_process_sees(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["say", "ready", "+", "line", "+", "exit", "1"])?;
    let id = container.id().as_str();
    ensure_eq!(
        told_state(fixture, id)?,
        State::Created,
        "before the start another process sees"
    );
    let process = container.start(kit::in_and_out())?;
    ensure_eq!(
        told_state(fixture, id)?,
        State::Running,
        "after the start it sees"
    );
    drop(process.take_streams());
    process.wait(Some(kit::DEADLINE))?;
    ensure_eq!(
        told_state(fixture, id)?,
        State::Stopped,
        "after the end it sees"
    );
    Ok(())
}

fn another_process_executes(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let id = running.container.id().as_str();
    for code in [0, 1, 255] {
        let told = ask(
            fixture,
            &["exec", id, "say", "there", "+", "exit", &code.to_string()],
        )?;
        let told: serde_json::Value = serde_json::from_str(&told)?;
        ensure_eq!(
            told,
            json!({"code": code, "stdout": "there\n"}),
            "another process's exec gave"
        );
    }
    expect_state(&*running.container, State::Running)
}

fn another_process_signals(fixture: &dyn Fixture) -> Outcome {
    let running = ready(fixture, &["trap", "12", "3"])?;
    let id = running.container.id().as_str();
    ensure_eq!(ask(fixture, &["signal", id, "12"])?, "ok", "its signal");
    ensure_eq!(
        running.process.wait(Some(kit::DEADLINE))?.code,
        Some(3),
        "the container gives"
    );
    Ok(())
}

fn another_process_terminates(fixture: &dyn Fixture) -> Outcome {
    let stubborn = ready(fixture, &["daemon", "3600000", "+", "stubborn"])?;
    ensure_eq!(
        ask(fixture, &["terminate", stubborn.container.id().as_str()])?,
        "ok",
        "its end by force"
    );
    // It has returned, so all is over, here too.
    expect_state(&*stubborn.container, State::Stopped)?;
    let status = stubborn.process.wait(Some(kit::DEADLINE))?;
    ensure_eq!(status.signal, Some(Signal::KILL), "it ended by");
    let mut rest = Vec::new();
    (&stubborn.stdout).read_to_end(&mut rest)?;
    Ok(())
}

fn another_process_pauses(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let id = running.container.id().as_str();
    ensure_eq!(ask(fixture, &["pause", id])?, "ok", "its pause");
    expect_state(&*running.container, State::Paused)?;
    refused(
        running.container.pause(),
        ErrorKind::InvalidState,
        "pause of what another process paused",
    )?;
    ensure_eq!(ask(fixture, &["resume", id])?, "ok", "its resume");
    expect_state(&*running.container, State::Running)
}

fn made_by_another_process(fixture: &dyn Fixture) -> Outcome {
    let id = new_id(fixture)?;
    ensure_eq!(
        ask(fixture, &["create", id.as_str(), "exit", "77"])?,
        "ok",
        "its create"
    );
    let container = adopt(fixture, &id)?;
    expect_state(&*container, State::Created)?;
    let status = container.start(Stdio::null())?.wait(Some(kit::DEADLINE))?;
    ensure_eq!(status.code, Some(77), "started here it gives");
    container.delete()?;
    refused(
        fixture.service().open(&id),
        ErrorKind::NotFound,
        "open after delete",
    )
    .map(drop)
}

fn owned_by_another_process(fixture: &dyn Fixture) -> Outcome {
    let id = new_id(fixture)?;
    let mut owner = spawn(fixture, &["own", id.as_str(), "stubborn"])?;
    ensure_eq!(owner.line()?, "started", "the owner says");
    let container = adopt(fixture, &id)?;
    expect_state(&*container, State::Running)?;
    let ran = exec(fixture, &*container, &["exit", "2"])?;
    ensure_eq!(
        ran.status.code,
        Some(2),
        "a further process of this process gives"
    );
    refused(
        container.wait(Some(Duration::from_millis(10))),
        ErrorKind::Timeout,
        "wait for what runs elsewhere",
    )?;
    container.signal(Signal::KILL)?;
    let here = container.wait(Some(kit::DEADLINE))?;
    let there: ExitStatus = serde_json::from_str(&owner.finish()?)?;
    ensure_eq!(here.signal, Some(Signal::KILL), "here it ended by");
    ensure_eq!(there, here, "its owner says");
    expect_state(&*container, State::Stopped)
}

fn deleted_by_another_process(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "0"])?;
    let id = container.id().clone();
    container.start(Stdio::null())?.wait(Some(kit::DEADLINE))?;
    ensure_eq!(ask(fixture, &["delete", id.as_str()])?, "ok", "its delete");
    refused(
        fixture.service().open(&id),
        ErrorKind::NotFound,
        "open of what another process deleted",
    )?;
    container.delete()?;
    ensure!(
        fixture
            .service()
            .enumerate()?
            .iter()
            .all(|summary| summary.id != id),
        "what another process deleted is listed"
    );
    Ok(())
}

fn an_owner_that_was_killed(fixture: &dyn Fixture) -> Outcome {
    for probe in [["idle"].as_slice(), &["stubborn"]] {
        let id = new_id(fixture)?;
        let mut owner = spawn(fixture, &[&["own", id.as_str()], probe].concat())?;
        ensure_eq!(owner.line()?, "started", "the owner says");
        let container = adopt(fixture, &id)?;
        owner.kill()?;
        // Whether it runs on or is taken along is the backend's to say; what is told must be true.
        let told = container.state()?;
        ensure!(
            matches!(told, State::Running | State::Stopped),
            "without its owner it is {told:?}"
        );
        if told == State::Running && probe[0] == "stubborn" {
            ensure_eq!(
                exec(fixture, &*container, &["exit", "0"])?.status.code,
                Some(0),
                "a further process gives"
            );
        }
        container.terminate()?;
        expect_state(&*container, State::Stopped)?;
        let status = container.wait(Some(kit::DEADLINE))?;
        ensure!(
            status.code.is_none()
                && (status.signal == Some(Signal::KILL) || status.unknown.is_some()),
            "killed without an owner, it is told as {status:?}"
        );
        ensure!(status.shell_code() != 0, "a lost status is told as success");
        ensure_eq!(
            container.wait(Some(kit::DEADLINE))?,
            status,
            "asked again, it is"
        );
        let told: ExitStatus = serde_json::from_str(&ask(fixture, &["wait", id.as_str()])?)?;
        ensure_eq!(told, status, "another process is told");
        container.delete()?;
    }
    Ok(())
}

fn the_status_outlives(fixture: &dyn Fixture) -> Outcome {
    for code in [0, 1, 200] {
        let id = new_id(fixture)?;
        let there: ExitStatus = serde_json::from_str(&ask(
            fixture,
            &["run", id.as_str(), "exit", &code.to_string()],
        )?)?;
        let container = adopt(fixture, &id)?;
        expect_state(&*container, State::Stopped)?;
        let here = container.wait(Some(Duration::ZERO))?;
        ensure_eq!(here, there, "after the owner is gone the status is");
        ensure_eq!(here.code, Some(code), "it is");
    }
    Ok(())
}
