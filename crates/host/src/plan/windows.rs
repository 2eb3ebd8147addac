//! What starting a process in a job takes, as a value.

use std::{collections::BTreeMap, fmt};

use hoist_compute::{Error, ErrorKind, Phase};
use hoist_spec::{
    ContainerSpec, Fault, Faults,
    oci::{LinuxResources, Process},
};
use hoist_windows::command_line;

use super::{PlannedStep, finish, others, refuse_isolation};

/// Members of the OCI process that a process without isolation can have. That it gets no new privileges holds anyway: on Windows no
/// program's file gives its process more rights than its caller has.
const PROCESS: [&str; 7] = [
    "args",
    "commandLine",
    "consoleSize",
    "cwd",
    "env",
    "noNewPrivileges",
    "terminal",
];
/// What the loader and the libraries of Windows need, and every process of this machine has: given where the spec does not say
/// otherwise.
const OF_THE_MACHINE: [&str; 9] = [
    "ComSpec",
    "PATH",
    "PATHEXT",
    "SystemDrive",
    "SystemRoot",
    "TEMP",
    "TMP",
    "windir",
    // Wine's own.
    "WINEPREFIX",
];
/// A program's file may have one of these; the scripts of `cmd` are no programs.
const EXTENSIONS: [&str; 2] = ["exe", "com"];
/// The whole of the processors' time, in the unit of a job's rate.
const WHOLE: i64 = 10_000;
/// The period of a quota where none is named, in microseconds.
const PERIOD: u64 = 100_000;

/// What a plan must know of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The caller's variables.
    pub variables: Vec<(String, String)>,
    /// How many processors there are.
    pub processors: u32,
}

impl Facts {
    /// Those of this machine.
    pub fn here() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        let text = |text: std::ffi::OsString| text.into_string().ok();
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
                .collect(),
            processors: u32::try_from(processors).unwrap_or(u32::MAX),
        }
    }
}

/// Limits of a job. None leaves one as it is; a negative number takes it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all its processes that is committed, in bytes.
    pub memory: Option<i64>,
    /// Their share of the processors' time, in hundredths of a percent.
    pub cpu_rate: Option<i64>,
    /// How many of them there may be at a time.
    pub processes: Option<i64>,
}

/// What makes a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The files to try, in order.
    pub(crate) programs: Vec<String>,
    /// The program as it was named.
    pub(crate) name: String,
    pub(crate) command_line: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: String,
    pub(crate) limits: Limits,
}

/// The plan of a container's first process.
///
/// # Errors
/// Every wish of the spec that needs isolation, and all else that is wrong, by name.
pub fn plan(spec: &ContainerSpec, facts: &Facts) -> Result<Plan, Error> {
    let mut faults = Faults::default();
    let mut rest = spec.clone();
    let mut limits = Limits::default();
    if let Some(mut linux) = rest.oci.linux().clone() {
        // Limits in the contract's form: a job has some of them.
        if let Some(resources) = linux.resources() {
            limits = Limits::of(resources, facts, &mut faults);
        }
        linux.set_resources(None);
        let is_empty = serde_json::to_value(&linux).is_ok_and(|rest| rest == serde_json::json!({}));
        rest.oci.set_linux((!is_empty).then_some(linux));
    }
    let without_layers = serde_json::to_value(rest.oci.windows());
    if without_layers.is_ok_and(|section| section == serde_json::json!({"layerFolders": []})) {
        rest.oci.set_windows(None);
    }
    refuse_isolation(&rest, &mut faults);
    if spec.user.is_some() || !spec.groups.is_empty() {
        faults.push(other_user());
    }
    let process = spec.oci.process().clone().unwrap_or_default();
    let planned = build(&process, limits, facts, &mut faults);
    finish(planned, faults)
}

/// The plan of a further process, with limits of its own.
///
/// # Errors
/// As [`plan`].
pub fn further(
    process: &Process,
    user: Option<&str>,
    limits: &LinuxResources,
    facts: &Facts,
) -> Result<Plan, Error> {
    let mut faults = Faults::default();
    if user.is_some() {
        faults.push(other_user());
    }
    let limits = Limits::of(limits, facts, &mut faults);
    let planned = build(process, limits, facts, &mut faults);
    finish(planned, faults)
}

fn other_user() -> Fault {
    Fault::new(
        "process.user",
        "needs isolation: without it a process is its caller's",
    )
}

impl Limits {
    /// What `resources` asks of a job that runs already.
    ///
    /// # Errors
    /// What a job cannot limit, by name.
    pub fn changed(resources: &LinuxResources, facts: &Facts) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let limits = Self::of(resources, facts, &mut faults);
        match faults.is_empty() {
            true => Ok(limits),
            false => Err(Error::new(
                ErrorKind::Unsupported,
                Phase::Operate,
                format!("limit a job: {faults}"),
            )),
        }
    }

    /// Those of a job; every other one is a fault.
    fn of(resources: &LinuxResources, facts: &Facts, faults: &mut Faults) -> Self {
        if *resources == LinuxResources::default() {
            return Self::default();
        }
        let given = serde_json::to_value(resources).unwrap_or_default();
        for (part, members) in given.as_object().into_iter().flatten() {
            let known: &[&str] = match part.as_str() {
                "memory" => &["limit"],
                "cpu" => &["quota", "period"],
                "pids" => &["limit"],
                _ => &[],
            };
            match members.as_object() {
                Some(members) => {
                    let given = members.iter().filter(|(_, value)| !value.is_null());
                    for (name, _) in given.filter(|(name, _)| !known.contains(&name.as_str())) {
                        faults.push(Fault::new(
                            format!("resources.{part}.{name}"),
                            "is no limit that a job has",
                        ));
                    }
                }
                None if members.is_null() || members.as_array().is_some_and(Vec::is_empty) => {}
                None => faults.push(Fault::new(
                    format!("resources.{part}"),
                    "is no limit that a job has",
                )),
            }
        }
        let cpu = resources.cpu().as_ref();
        let quota = cpu.and_then(|cpu| cpu.quota());
        let period = cpu.and_then(|cpu| cpu.period()).unwrap_or(PERIOD).max(1);
        let all = i128::from(period) * i128::from(facts.processors.max(1));
        let rate = quota.map(|quota| match quota {
            ..=0 => -1,
            quota => i64::try_from(i128::from(quota) * i128::from(WHOLE) / all)
                .unwrap_or(WHOLE)
                .clamp(1, WHOLE),
        });
        Self {
            memory: resources
                .memory()
                .as_ref()
                .and_then(|memory| memory.limit()),
            cpu_rate: rate,
            processes: resources.pids().as_ref().map(|pids| pids.limit()),
        }
    }
}

fn build(process: &Process, limits: Limits, facts: &Facts, faults: &mut Faults) -> Option<Plan> {
    let mut value = serde_json::to_value(process).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        // Numbers of users mean nothing here; what a name would say, one cannot be.
        members.remove("user");
    }
    let username = process.user().username().as_deref();
    if username.is_some_and(|name| !name.is_empty()) {
        faults.push(other_user());
    }
    others(&value, "process.", &PROCESS, faults);
    let given = process.env().iter().flatten();
    let variables = environment(given, facts);
    let (arguments, command_line) = match process.command_line() {
        Some(line) => (command_line::split(line), line.clone()),
        None => {
            let arguments = process.args().clone().unwrap_or_default();
            let line = command_line::join(arguments.iter().map(String::as_str));
            (arguments, line)
        }
    };
    let directory = process.cwd().display().to_string();
    if !is_absolute(&directory) {
        faults.push(Fault::of_value(
            "process.cwd",
            &directory,
            "is not absolute",
        ));
    }
    let texts = [("process.args", &command_line), ("process.cwd", &directory)];
    let variable_texts = variables.iter().flat_map(|(name, value)| [name, value]);
    let variable_texts = variable_texts.map(|text| ("process.env", text));
    for (field, text) in texts.into_iter().chain(variable_texts) {
        if text.contains('\0') {
            faults.push(Fault::of_value(field, text, "contains a NUL character"));
        }
    }
    let name = arguments.first().filter(|name| !name.is_empty());
    let Some(name) = name else {
        faults.push(Fault::new("process.args", "no program is named"));
        return None;
    };
    let path = variables
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("PATH"))
        .map_or("", |(_, value)| value);
    let programs = candidates(name, path);
    if programs.iter().any(|program| is_script(program)) {
        faults.push(Fault::of_value(
            "process.args",
            name,
            "is a script: run cmd /c with it, which takes its arguments apart by rules of its own",
        ));
    }
    Some(Plan {
        programs,
        name: name.clone(),
        command_line,
        environment: variables,
        directory,
        limits,
    })
}

/// The process's variables in the order that Windows wants: by name, without regard to case. Of two with one name the later counts.
fn environment<'a>(
    given: impl Iterator<Item = &'a String>,
    facts: &Facts,
) -> Vec<(String, String)> {
    let own = facts.variables.iter().filter(|(name, _)| {
        let mut known = OF_THE_MACHINE.iter();
        known.any(|known| known.eq_ignore_ascii_case(name))
    });
    let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
    let given = given.filter_map(|entry| entry.split_once('='));
    let mut variables = BTreeMap::new();
    for (name, value) in own.chain(given).filter(|(name, _)| !name.is_empty()) {
        variables.insert(name.to_uppercase(), (name.to_owned(), value.to_owned()));
    }
    variables.into_values().collect()
}

fn extension(program: &str) -> Option<&str> {
    let file = program.rsplit(['\\', '/']).next().unwrap_or(program);
    file.rsplit_once('.').map(|(_, extension)| extension)
}

fn is_script(program: &str) -> bool {
    extension(program).is_some_and(|extension| {
        ["bat", "cmd"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}

/// The files to try for a program: its own where it has a separator, else one per absolute directory of `path`; first as it is,
/// and where it has no extension with each that programs have. Never the caller's directory, unlike CreateProcess.
fn candidates(name: &str, path: &str) -> Vec<String> {
    let places: Vec<String> = if name.contains(['\\', '/', ':']) {
        vec![name.to_owned()]
    } else {
        path.split(';')
            .map(|directory| directory.trim_matches('"'))
            .filter(|directory| is_absolute(directory))
            .map(|directory| format!("{}\\{name}", directory.trim_end_matches(['\\', '/'])))
            .collect()
    };
    let with_extensions = |place: String| {
        let more: &[&str] = match extension(&place) {
            Some(_) => &[],
            None => &EXTENSIONS,
        };
        let more: Vec<String> = more.iter().map(|end| format!("{place}.{end}")).collect();
        std::iter::once(place).chain(more)
    };
    places.into_iter().flat_map(with_extensions).collect()
}

/// Whether a path names a drive and begins at its root, or a share.
fn is_absolute(path: &str) -> bool {
    let is_slash = |byte: &u8| matches!(byte, b'\\' | b'/');
    match path.as_bytes() {
        [first, second, ..] if is_slash(first) && is_slash(second) => true,
        [drive, b':', slash, ..] => drive.is_ascii_alphabetic() && is_slash(slash),
        _ => false,
    }
}

impl Plan {
    /// What is done, in order.
    pub fn steps(&self) -> Vec<PlannedStep> {
        let step = |name, words: String| PlannedStep {
            lane: "owner",
            name,
            words,
        };
        let mut steps = vec![step(
            "CreateJobObject",
            "make a job that ends all its processes with its last handle".to_owned(),
        )];
        let limits = [
            (self.limits.memory, "memory", "bytes of memory"),
            (
                self.limits.cpu_rate,
                "processor time",
                "hundredths of a percent of the processors' time",
            ),
            (self.limits.processes, "processes", "processes"),
        ];
        for (limit, what, unit) in limits {
            if let Some(limit) = limit {
                let words = match limit {
                    ..=-1 => format!("limit no {what}"),
                    limit => format!("limit it to {limit} {unit}"),
                };
                steps.push(step("SetInformationJobObject", words));
            }
        }
        steps.push(step(
            "CreateProcess",
            format!(
                "start {} in {}, suspended, with {} variables and its three streams",
                self.command_line,
                self.directory,
                self.environment.len()
            ),
        ));
        steps.push(step(
            "AssignProcessToJobObject",
            "put it into the job".to_owned(),
        ));
        steps.push(step(
            "DuplicateHandle",
            "hand it a handle of the job, which outlives the owner with it".to_owned(),
        ));
        steps.push(step(
            "ResumeThread",
            "let it go when it is recorded".to_owned(),
        ));
        steps
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(self.steps()) {
            writeln!(f, "{number:>4}  {:<25} {}", step.name, step.words)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hoist_spec::{RootSource, SeccompPolicy, StopPolicy};
    use serde_json::{Value, json};

    use super::*;

    fn facts() -> Facts {
        let variables = [
            ("Path", "C:\\Windows;relative;\"C:\\with space\\\""),
            ("SystemRoot", "C:\\Windows"),
            ("SECRET", "of the caller"),
        ];
        Facts {
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            processors: 4,
        }
    }

    fn spec(process: Value, resources: Value) -> ContainerSpec {
        let mut all = json!({
            "user": {"uid": 0, "gid": 0},
            "cwd": "C:\\here",
        });
        for (name, value) in process.as_object().unwrap() {
            all[name] = value.clone();
        }
        let oci = json!({
            "ociVersion": "1.2.0",
            "process": all,
            "linux": {"resources": resources},
        });
        ContainerSpec {
            oci: serde_json::from_value(oci).unwrap(),
            root: RootSource::Unisolated,
            user: None,
            groups: Vec::new(),
            seccomp: SeccompPolicy::Unconfined,
            init: false,
            stop: StopPolicy::default(),
            joined: Vec::new(),
        }
    }

    #[test]
    fn a_program_is_looked_for_in_absolute_folders_alone() {
        let process = json!({"args": ["tool", "a b"], "env": ["B=1", "a=b=c", "b=2"]});
        let plan = plan(&spec(process, json!({})), &facts()).unwrap();
        let places = [
            "C:\\Windows\\tool",
            "C:\\Windows\\tool.exe",
            "C:\\Windows\\tool.com",
            "C:\\with space\\tool",
            "C:\\with space\\tool.exe",
            "C:\\with space\\tool.com",
        ];
        assert_eq!(plan.programs, places);
        assert_eq!(plan.command_line, "tool \"a b\"");
        let names: Vec<_> = plan.environment.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["a", "b", "Path", "SystemRoot"]);
        assert_eq!(plan.environment[0].1, "b=c");
        assert_eq!(plan.environment[1].1, "2");
    }

    #[test]
    fn limits_are_those_of_a_job_and_every_other_is_refused_by_name() {
        let process = json!({"args": ["C:\\a.exe"]});
        let limits = json!({
            "memory": {"limit": 1 << 20},
            "cpu": {"quota": 150_000, "period": 100_000},
            "pids": {"limit": 7},
        });
        let planned = plan(&spec(process.clone(), limits), &facts()).unwrap();
        let wanted = Limits {
            memory: Some(1 << 20),
            // One and a half of four processors.
            cpu_rate: Some(3750),
            processes: Some(7),
        };
        assert_eq!(planned.limits, wanted);
        assert!(
            planned.to_string().contains("1048576 bytes of memory"),
            "{planned}"
        );
        let others =
            json!({"memory": {"swap": 5}, "cpu": {"cpus": "0"}, "blockIO": {"weight": 10}});
        let error = plan(&spec(process, others), &facts())
            .unwrap_err()
            .to_string();
        for name in ["memory.swap", "cpu.cpus", "blockIO.weight"] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn scripts_other_users_and_isolation_are_refused() {
        for (process, part) in [
            (json!({"args": ["C:\\run.bat"]}), "is a script"),
            (json!({"args": ["C:\\run.CMD"]}), "is a script"),
            (json!({"args": []}), "no program is named"),
            (json!({"args": ["a\u{0}.exe"]}), "NUL"),
            (
                json!({"args": ["a.exe"], "user": {"uid": 0, "gid": 0, "username": "other"}}),
                "process.user",
            ),
            (
                json!({"args": ["a.exe"], "apparmorProfile": "x"}),
                "process.apparmorProfile",
            ),
        ] {
            let error = plan(&spec(process, json!({})), &facts()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
        let mut isolated = spec(json!({"args": ["a.exe"]}), json!({}));
        isolated.root = RootSource::Directory("C:/root".into());
        assert!(plan(&isolated, &facts()).is_err());
    }

    #[test]
    fn a_command_line_is_kept_as_it_is() {
        let process = json!({"commandLine": "\"C:\\my dir\\a.exe\" /x \"y"});
        let plan = plan(&spec(process, json!({})), &facts()).unwrap();
        assert_eq!(plan.command_line, "\"C:\\my dir\\a.exe\" /x \"y");
        assert_eq!(plan.programs, ["C:\\my dir\\a.exe"]);
    }
}
