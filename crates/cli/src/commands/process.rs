//! `hoist process`: further processes of containers, by ids of their own.

use std::time::Instant;

use hoist::{Engine, ExecRef, ListedExec, Usage};
use hoist_compute::{ErrorKind, Query, State};
use serde_json::{Value, json};

use super::platform;
use crate::age::{age, words};
use crate::args::{LsProcesses, ProcessAction, StatsProcesses, Stop};
use crate::commands::ps::{SHORT_COMMAND, SHORT_ID, status_of};
use crate::commands::{exec, inspect, kill, stats, stop};
use crate::failure::Failure;
use crate::{output, table};

/// Does what the command line asks for; the result is the exit code.
pub(crate) fn run(action: ProcessAction, engine: &Engine, json: bool) -> Result<i32, Failure> {
    let each = |processes: &[String], act: Act<'_>| for_each(engine, processes, json, act);
    let done = match action {
        ProcessAction::Start(start) => return platform::process::start(&start, engine, json),
        ProcessAction::Create(further) => {
            let (id, spec) = exec::read(further, engine)?;
            let made = engine.create_exec(&id, &spec)?;
            output::print(&format!("{}\n", made.id))?;
            Ok(0)
        }
        ProcessAction::Ls(list) => ls(&list, engine),
        ProcessAction::Inspect(given) => inspect::show(
            &given.which.processes,
            &given.written.format,
            json,
            |reference| Ok(one(&engine.resolve_exec(reference)?, engine)?),
        ),
        ProcessAction::Attach(given) => platform::process::attach(&given, engine),
        ProcessAction::Resize(given) => platform::process::resize(&given, engine),
        ProcessAction::Stats(given) => show_stats(&given, engine),
        ProcessAction::Kill(given) => {
            let signal = kill::signal(&given.signal)?;
            each(&given.which.processes, &|process, reference| {
                engine.signal_exec(process, signal)?;
                Ok(reference.to_owned())
            })
        }
        ProcessAction::Stop(given) => {
            let request = stop::request(&Stop {
                timeout: given.timeout,
                signal: given.signal,
                containers: Vec::new(),
            })?;
            each(&given.which.processes, &|process, reference| {
                engine.stop_exec(process, request)?;
                Ok(reference.to_owned())
            })
        }
        ProcessAction::Wait(which) => each(&which.processes, &|process, _| {
            let status = engine.wait_exec(process, None)?;
            if let Some(reason) = &status.unknown {
                let id = &process.id;
                Failure::message(format!(
                    "the exit status of process {id} is unknown: {reason}"
                ))
                .warn();
            }
            Ok(status.shell_code().to_string())
        }),
        ProcessAction::Rm(given) => {
            crate::commands::for_each_of(&given.which.processes, json, &|reference| {
                match engine.resolve_exec(reference) {
                    Err(error) if given.force && error.kind() == ErrorKind::NotFound => {}
                    found => engine.remove_exec(&found?, given.force)?,
                }
                Ok(reference.to_owned())
            })
        }
    };
    done.map(i32::from)
}

/// What is done to one process; the result is the line that is printed of it.
pub(crate) type Act<'a> = &'a dyn Fn(&ExecRef, &str) -> Result<String, Failure>;

/// Acts on each process, whichever of the others fail; what fails is told at once.
pub(crate) fn for_each(
    engine: &Engine,
    processes: &[String],
    json: bool,
    act: Act<'_>,
) -> Result<u8, Failure> {
    crate::commands::for_each_of(processes, json, &|reference| {
        act(&engine.resolve_exec(reference)?, reference)
    })
}

fn ls(list: &LsProcesses, engine: &Engine) -> Result<u8, Failure> {
    let container = list.container.as_deref().map(|text| engine.resolve(text));
    let found = engine.execs(container.transpose()?.as_ref(), list.all)?;
    let short = |id: &str| match list.no_trunc {
        true => id.to_owned(),
        false => id.chars().take(SHORT_ID).collect(),
    };
    if list.quiet {
        let ids: String = found
            .iter()
            .map(|exec| format!("{}\n", short(exec.summary.id.as_str())))
            .collect();
        output::print(&ids)?;
        return Ok(0);
    }
    let fields = |exec: &ListedExec| {
        let summary = &exec.summary;
        let command = table::printable(&summary.command.join(" "));
        let command = match list.no_trunc {
            true => command,
            false => table::shorten(&command, SHORT_COMMAND),
        };
        json!({
            "ID": short(summary.id.as_str()),
            "ContainerID": short(exec.container.as_str()),
            "Command": format!("\"{command}\""),
            "CreatedAt": hoist::rfc3339(summary.created_at),
            "RunningFor": format!("{} ago", words(age(summary.created_at))),
            "State": summary.state,
            "Status": status_of(summary),
        })
    };
    let processes: Vec<Value> = found.iter().map(fields).collect();
    output::print(&list.list.write(&processes)?)?;
    Ok(0)
}

/// One process, in docker's words where it has them.
fn one(process: &ExecRef, engine: &Engine) -> hoist_compute::Result<serde_json::Value> {
    let spec = engine.exec_spec(process)?;
    let query = Query {
        processes: true,
        ..Query::default()
    };
    let now = engine.exec_properties(process, query)?;
    let summary = &now.summary;
    let exit = summary.exit.as_ref();
    let pids: Vec<u32> = now.processes.iter().flatten().map(|one| one.pid).collect();
    let command = summary.command.split_first();
    Ok(json!({
        "ID": process.id,
        "ContainerID": process.container,
        "State": summary.state,
        "Running": matches!(summary.state, State::Running | State::Paused),
        "Pid": summary.pid.unwrap_or(0),
        "Pids": pids,
        // Null while it has none, and where none can be known: never 0 for that.
        "ExitCode": exit
            .filter(|exit| exit.unknown.is_none())
            .map(|exit| exit.shell_code()),
        "Unknown": exit.and_then(|exit| exit.unknown.as_deref()),
        "TimedOut": exit.is_some_and(|exit| exit.timed_out),
        // Why what it had started is not all ended, where its time was over.
        "LeftBehind": exit.and_then(|exit| exit.left_behind.as_deref()),
        "OOMKilled": exit.is_some_and(|exit| exit.oom.is_some()),
        "OpenStdin": spec.interactive,
        "CreatedAt": hoist::rfc3339(summary.created_at),
        "StartedAt": summary.started_at.map(hoist::rfc3339),
        "FinishedAt": exit.map(|exit| hoist::rfc3339(exit.finished_at)),
        "ProcessConfig": {
            "entrypoint": command.map(|(program, _)| program),
            "arguments": command.map(|(_, arguments)| arguments),
            "tty": spec.process.oci.terminal() == Some(true),
            "user": spec.process.user,
        },
        "Confinement": spec.confinement,
    }))
}

fn show_stats(given: &StatsProcesses, engine: &Engine) -> Result<u8, Failure> {
    let which = match given.processes.as_slice() {
        [] => {
            let running = engine.execs(None, false)?;
            running.iter().map(ListedExec::reference).collect()
        }
        named => named
            .iter()
            .map(|text| engine.resolve_exec(text))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let named = !given.processes.is_empty();
    let before = sample(&which, engine, named)?;
    std::thread::sleep(stats::SAMPLE);
    let now = sample(&which, engine, false)?;
    let used = stats::used(given.no_trunc, &now, &before);
    output::print(&given.list.write(&used)?)?;
    Ok(0)
}

/// What those use that run; where `all` must, one that does not is an error.
fn sample(which: &[ExecRef], engine: &Engine, all: bool) -> Result<stats::Sample, Failure> {
    let query = Query {
        statistics: true,
        ..Query::default()
    };
    let at = Instant::now();
    let mut usages = Vec::with_capacity(which.len());
    for process in which {
        let properties = match engine.exec_properties(process, query) {
            // Removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && !all => continue,
            properties => properties?,
        };
        match properties.summary.state {
            State::Running | State::Paused => {}
            _ if !all => continue,
            _ => {
                return Err(Failure::message(format!(
                    "process {} is not running",
                    process.id
                )));
            }
        }
        let container = process.container.as_str();
        usages.push(Usage {
            id: process.id.clone(),
            name: Some(container.chars().take(SHORT_ID).collect()),
            statistics: properties.statistics.unwrap_or_default(),
        });
    }
    Ok(stats::Sample { at, usages })
}
