//! `hoist plan`.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use hoist::{Engine, Volumes, random_id};
use hoist_compute::{Error, ErrorKind, Phase};
use hoist_hcs::request::{ContainerRequest, Refusal};
use hoist_hcs::{Dialect, Settings};
use hoist_spec::{Command, ContainerId, ContainerSpec, Isolation, Platform};

use super::joined;
use super::platform::{DEFAULT_PLAN, plan_for_linux};
use super::run::command;
use crate::args::Plan;
use crate::failure::Failure;
use crate::output;

/// Forms of the documents on Windows, by the names that people give them.
const DIALECTS: [(&str, Dialect); 5] = [
    ("schema1", Dialect::Schema1),
    ("schema2", Dialect::Schema2),
    ("docker-1.9", Dialect::Docker19),
    ("docker-1.10", Dialect::Docker110),
    ("docker-1.12", Dialect::Docker112),
];

/// Writes the steps that a start would take.
pub(crate) fn run(
    arguments: Plan,
    state_root: Option<&Path>,
    engine: &dyn Fn() -> hoist_compute::Result<Engine>,
) -> Result<u8, Failure> {
    let Plan {
        json,
        platform,
        command_file,
        dialect,
        mut run,
    } = arguments;
    let interactive = run.common.interactive;
    let platform = match platform.as_deref().unwrap_or(DEFAULT_PLAN) {
        "linux" => Platform::Linux,
        "windows" => Platform::Windows,
        other => {
            return Err(Failure::Message {
                what: format!("there is no platform {other:?}"),
                remedy: Some("use linux or windows"),
            });
        }
    };
    // A plan for Windows is made on any machine, and its containers are not here.
    if platform == Platform::Linux {
        joined::resolve(&mut run, engine)?;
    }
    let volumes = Volumes::of_roots(state_root, None)?;
    let mut command = match &command_file {
        Some(file) => Command::from_json(&read(file)?)?,
        None => command(run, &volumes, platform)?,
    };
    volumes.locate(&mut command)?;
    if command.id.is_empty() {
        command.id = random_id()?.to_string();
    }
    match platform {
        Platform::Linux => linux(&command, json, engine),
        Platform::Windows => windows(&command, interactive, &dialect, json),
    }
}

/// The steps of a start.
pub(crate) struct Planned {
    pub(crate) text: String,
    pub(crate) json: serde_json::Value,
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::message(format!("read {}: {error}", file.display())))?;
    Ok(text)
}

fn linux(
    command: &Command,
    json: bool,
    engine: &dyn Fn() -> hoist_compute::Result<Engine>,
) -> Result<u8, Failure> {
    let id: ContainerId = command
        .id
        .parse()
        .map_err(|error| Failure::message(format!("the id: {error}")))?;
    let spec = command.to_container_spec()?;
    if command.isolation == Isolation::None {
        return unisolated(&spec, json);
    }
    let spec = joined::with_paths(&spec, engine)?;
    let planned = plan_for_linux(&id, &spec)?;
    if json {
        output::print_json(&planned.json, true)?;
    } else {
        output::print(&planned.text)?;
    }
    Ok(0)
}

/// The short way of a plain process.
fn unisolated(spec: &ContainerSpec, json: bool) -> Result<u8, Failure> {
    let plan = hoist_host::plan_on_linux(spec)?;
    print_steps(&plan.steps(), &plan, json)
}

fn print_steps(
    steps: &impl serde::Serialize,
    text: &impl std::fmt::Display,
    json: bool,
) -> Result<u8, Failure> {
    match json {
        true => output::print_json(steps, true)?,
        false => output::print(&text.to_string())?,
    }
    Ok(0)
}

/// The calls to the Host Compute Service; pure, so on any platform.
fn windows(command: &Command, interactive: bool, dialect: &str, json: bool) -> Result<u8, Failure> {
    if command.isolation == Isolation::None {
        let spec = command.to_container_spec_for(Platform::Windows)?;
        let plan = hoist_host::plan_on_windows(&spec)?;
        return print_steps(&plan.steps(), &plan, json);
    }
    let Some((_, form)) = DIALECTS.iter().find(|(name, _)| *name == dialect) else {
        return Err(Failure::Message {
            what: format!("there is no form of the documents {dialect:?}"),
            remedy: Some("use schema1, schema2, docker-1.9, docker-1.10 or docker-1.12"),
        });
    };
    let mut settings = match form {
        Dialect::Schema1 | Dialect::Schema2 => Settings {
            dialect: *form,
            ..Settings::hoist()
        },
        docker => Settings::docker(*docker),
    }
    .nat_from(std::env::var("DOCKER_CONTAINER_NAT").ok());
    if !command.owner.is_empty() {
        settings.owner.clone_from(&command.owner);
    }
    let request = ContainerRequest::from_command(command, &settings);
    let steps = hoist_hcs::Plan::new(request, interactive, &settings)
        .and_then(|plan| plan.steps())
        .map_err(refused)?;
    if json {
        let steps: Vec<_> = steps.iter().map(hoist_hcs::Step::to_json).collect();
        output::print_json(&steps, true)?;
        return Ok(0);
    }
    let mut text = String::new();
    for (number, step) in (1..).zip(&steps) {
        let _ = writeln!(text, "{number:>4}  {:<43} {}", step.function, step.words);
        for (name, value) in &step.arguments {
            if let (Some(name), Some(document)) = (name.strip_suffix("_text"), value.as_str()) {
                let _ = writeln!(text, "      {name} {document}");
            }
        }
    }
    output::print(&text)?;
    Ok(0)
}

fn refused(refusal: Refusal) -> Failure {
    Error::new(ErrorKind::InvalidSpec, Phase::Plan, refusal.to_string()).into()
}
