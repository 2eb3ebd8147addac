//! What starting a process without isolation takes, as a value: pure, so on any platform.

#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only Linux carries such plans out")
)]
pub mod linux;
#[cfg_attr(
    not(windows),
    allow(dead_code, reason = "only Windows carries such plans out")
)]
pub mod windows;

use hoist_compute::{Error, ErrorKind, Phase};
use hoist_spec::{ContainerSpec, Fault, Faults, RootSource, SeccompPolicy};
use serde::Serialize;

/// Members of the OCI spec that a process without isolation can have.
const SPEC: [&str; 3] = ["ociVersion", "process", "annotations"];

/// One step of a plan, for people and tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// Who carries it out: on Linux the keeper or the process, on Windows the owner.
    pub lane: &'static str,
    /// What sort of step it is.
    pub name: &'static str,
    /// It in words.
    pub words: String,
}

/// The plan, where nothing speaks against it.
fn finish<T>(planned: Option<T>, faults: Faults) -> Result<T, Error> {
    match planned {
        Some(plan) if faults.is_empty() => Ok(plan),
        _ => Err(Error::new(
            ErrorKind::InvalidSpec,
            Phase::Plan,
            format!("plan a process without isolation: {faults}"),
        )
        .remedy("leave out what needs isolation, or run it isolated")),
    }
}

fn refuse_isolation(spec: &ContainerSpec, faults: &mut Faults) {
    const REASON: &str = "needs isolation: without it a process has this machine's root";
    match &spec.root {
        RootSource::Unisolated => {}
        RootSource::Directory(path) => {
            faults.push(Fault::of_value("root", path.display().to_string(), REASON));
        }
        RootSource::Layers { .. } | RootSource::Host => faults.push(Fault::new("root", REASON)),
    }
    if spec.init {
        faults.push(Fault::new(
            "init",
            "needs a process id namespace; without isolation orphans are looked after anyway",
        ));
    }
    if spec.seccomp == SeccompPolicy::Default {
        faults.push(Fault::new("seccomp", "needs isolation"));
    }
    let value = serde_json::to_value(&spec.oci).unwrap_or_default();
    others(&value, "", &SPEC, faults);
}

/// Refuses every member of an object that is not known; of the spec's own `linux` and the like, each by its name.
fn others(value: &serde_json::Value, prefix: &str, known: &[&str], faults: &mut Faults) {
    let members = value.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(name, _)| !known.contains(&name.as_str())) {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::Object(members) if prefix.is_empty() && !members.is_empty() => {
                others(value, &format!("{name}."), &[], faults);
            }
            _ => faults.push(Fault::new(format!("{prefix}{name}"), "needs isolation")),
        }
    }
}
