//! What starting a process under a keeper takes, as a value.

use std::{ffi::CString, fmt};

use hoist_compute::Error;
use hoist_init::steps::{ListBytes, Steps};
use hoist_init::wire::{List, Slot, Step};
use hoist_spec::{
    ContainerSpec, Fault, Faults,
    accounts::{GroupEntry, PasswdEntry},
    oci::{Process, User},
    program,
    user::{self, Identity},
};

use super::{PlannedStep, finish, others, refuse_isolation};

/// What new files are not where the spec does not say, as docker has it.
const UMASK: u32 = 0o022;
/// Members of the OCI process that a process without isolation can have.
const PROCESS: [&str; 9] = [
    "args",
    "consoleSize",
    "cwd",
    "env",
    "noNewPrivileges",
    "oomScoreAdj",
    "rlimits",
    "terminal",
    "user",
];

/// The descriptors that a launch hands over, by the place in which it does: the plan is the first.
pub(crate) const FOLDER: Slot = Slot::received(1);
/// See [`FOLDER`].
pub(crate) const TOLD: Slot = Slot::received(2);
/// See [`FOLDER`].
pub(crate) const WITH: Slot = Slot::received(3);

/// What a plan must know of the caller and this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The caller's user id.
    pub uid: u32,
    /// The caller's group id.
    pub gid: u32,
    /// Lines of `/etc/passwd`.
    pub passwd: Vec<PasswdEntry>,
    /// Lines of `/etc/group`.
    pub group: Vec<GroupEntry>,
}

/// What sort of process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// It is the container's first one: what it leaves behind ends with it.
    pub(crate) is_first: bool,
    /// It ends with another process.
    pub(crate) has_companion: bool,
    /// In milliseconds; 0 is none.
    pub(crate) timeout: u64,
    pub(crate) has_console: bool,
}

/// The steps that make a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    steps: Steps,
    pub(crate) oom_score_adj: Option<i32>,
}

/// The plan of a container's first process.
///
/// # Errors
/// Every wish of the spec that needs isolation, and all else that is wrong, by name.
pub fn plan(spec: &ContainerSpec, facts: &Facts) -> Result<Plan, Error> {
    first(spec, facts, false)
}

pub(crate) fn first(
    spec: &ContainerSpec,
    facts: &Facts,
    has_companion: bool,
) -> Result<Plan, Error> {
    let mut faults = Faults::default();
    refuse_isolation(spec, &mut faults);
    let process = spec.oci.process().clone().unwrap_or_default();
    let kind = Kind {
        is_first: true,
        has_companion,
        timeout: 0,
        has_console: process.terminal() == Some(true),
    };
    let planned = build(
        &process,
        spec.user.as_deref(),
        &spec.groups,
        kind,
        facts,
        &mut faults,
    );
    finish(planned, faults)
}

/// The plan of a further process.
pub(crate) fn further(
    process: &Process,
    user: Option<&str>,
    kind: Kind,
    facts: &Facts,
) -> Result<Plan, Error> {
    let mut faults = Faults::default();
    let planned = build(process, user, &[], kind, facts, &mut faults);
    finish(planned, faults)
}

fn build(
    process: &Process,
    user: Option<&str>,
    groups: &[String],
    kind: Kind,
    facts: &Facts,
    faults: &mut Faults,
) -> Option<Plan> {
    let value = serde_json::to_value(process).unwrap_or_default();
    others(&value, "process.", &PROCESS, faults);
    let identity = match identity(process.user(), user, groups, facts) {
        Ok(identity) => Some(identity),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let directory = process.cwd().display().to_string();
    if !directory.starts_with('/') {
        faults.push(Fault::of_value(
            "process.cwd",
            &directory,
            "is not absolute",
        ));
    }
    let arguments = process.args().clone().unwrap_or_default();
    let name = arguments.first().filter(|name| !name.is_empty());
    if name.is_none() {
        faults.push(Fault::new("process.args", "no program is named"));
    }
    let (identity, name) = (identity?, name?);
    let environment = program::environment(process, &identity);
    let candidates = program::candidates(name, &environment);
    let texts = [
        ("process.args", &candidates),
        ("process.args", &arguments),
        ("process.env", &environment),
    ];
    let [candidates, arguments, environment] = texts.map(|(field, texts)| {
        let mut list = ListBytes::default();
        for text in texts {
            if let Some(text) = c_string(field, text, faults) {
                list.push(text.as_c_str());
            }
        }
        list
    });
    let directory = c_string("process.cwd", &directory, faults)?;
    let mut plan = Plan {
        steps: Steps::default(),
        oom_score_adj: process.oom_score_adj(),
    };
    plan.steps.push(Step::Keep {
        folder: FOLDER,
        told: TOLD,
        with: if kind.has_companion { WITH } else { Slot::NONE },
        whole: kind.is_first,
        timeout: kind.timeout,
    });
    plan.steps.push(Step::NewSession {});
    for limit in process.rlimits().iter().flatten() {
        plan.steps.push(Step::SetLimit {
            resource: program::rlimit_number(limit.typ()),
            soft: limit.soft(),
            hard: limit.hard(),
        });
    }
    if kind.has_console {
        plan.steps.push(Step::TakeTerminal { uid: identity.uid });
    }
    plan.steps.push(Step::ChangeDirectory { path: &directory });
    plan.steps.push(Step::SetUmask {
        mask: process.user().umask().unwrap_or(UMASK) as u16,
    });
    let mut group_ids = ListBytes::default();
    identity
        .groups
        .iter()
        .for_each(|group| group_ids.push(*group));
    plan.steps.push(Step::SetIdentity {
        uid: identity.uid,
        gid: identity.gid,
        groups: group_ids.as_list(),
        set_groups: facts.uid == 0 && !is_callers(process.user(), user, groups),
        bounding: !0,
        no_new_privileges: process.no_new_privileges() == Some(true),
    });
    plan.steps.push(Step::AwaitRelease {});
    plan.steps.push(Step::CloseDescriptors {
        keep_control: false,
        preserved: 0,
    });
    plan.steps.push(Step::Execute {
        candidates: candidates.as_list(),
        arguments: arguments.as_list(),
        environment: environment.as_list(),
        init: false,
    });
    Some(plan)
}

/// Whether nobody has said who it shall be: then it is who the caller is.
fn is_callers(oci: &User, user: Option<&str>, groups: &[String]) -> bool {
    let numbers = (oci.uid(), oci.gid(), oci.additional_gids().as_deref());
    user.is_none() && groups.is_empty() && matches!(numbers, (0, 0, None | Some([])))
}

fn identity(
    oci: &User,
    user: Option<&str>,
    groups: &[String],
    facts: &Facts,
) -> Result<Identity, Fault> {
    let mut numbers = User::default();
    let oci = if is_callers(oci, user, groups) {
        numbers.set_uid(facts.uid).set_gid(facts.gid);
        &numbers
    } else {
        oci
    };
    let wrong = |error: user::UserError| {
        Fault::of_value("process.user", user.unwrap_or_default(), error.to_string())
    };
    let mut identity = user::resolve(user, oci, &facts.passwd, &facts.group).map_err(wrong)?;
    user::add_groups(&mut identity, groups, &facts.group).map_err(wrong)?;
    if facts.uid != 0
        && (identity.uid != facts.uid || identity.gid != facts.gid || !groups.is_empty())
    {
        return Err(Fault::of_value(
            "process.user",
            format!("{}:{}", identity.uid, identity.gid),
            "only root can start processes of other users and groups",
        ));
    }
    Ok(identity)
}

fn c_string(field: &str, text: &str, faults: &mut Faults) -> Option<CString> {
    CString::new(text)
        .map_err(|_| faults.push(Fault::of_value(field, text, "contains a NUL character")))
        .ok()
}

impl Plan {
    /// The encoding, as the keeper reads it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.steps.as_bytes()
    }

    /// The step of an index.
    pub(crate) fn step(&self, index: u32) -> Option<Step<'_>> {
        self.steps.iter().nth(index as usize)
    }

    /// What is done, in order.
    pub fn steps(&self) -> Vec<PlannedStep> {
        let mut lane = "keeper";
        self.steps
            .iter()
            .map(|step| {
                let planned = PlannedStep {
                    lane,
                    name: step.name(),
                    words: words(&step),
                };
                lane = "process";
                planned
            })
            .collect()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(self.steps()) {
            writeln!(f, "{number:>4}  {:<8} {}", step.lane, step.words)?;
        }
        Ok(())
    }
}

/// A step in words.
pub(crate) fn words(step: &Step<'_>) -> String {
    match step {
        Step::Keep { whole, timeout, .. } => {
            let what = match whole {
                true => "ends what it leaves behind",
                false => "stays until nothing of it is left",
            };
            let limit = match timeout {
                0 => String::new(),
                limit => format!(", at most {limit} ms"),
            };
            format!(
                "become a child subreaper and fork the process, without isolation: {what}{limit}"
            )
        }
        Step::NewSession {} => "begin a session".to_owned(),
        Step::SetLimit {
            resource,
            soft,
            hard,
        } => {
            format!("set resource limit {resource} to {soft}, at most {hard}")
        }
        Step::TakeTerminal { .. } => "take the console as controlling terminal".to_owned(),
        Step::ChangeDirectory { path } => format!("change to {}", path.to_string_lossy()),
        Step::SetUmask { mask } => format!("set the umask to {mask:04o}"),
        Step::SetIdentity {
            uid,
            gid,
            groups,
            set_groups,
            no_new_privileges,
            ..
        } => format!(
            "become user {uid}, group {gid}, {}{}",
            match set_groups {
                true => format!("{} supplementary groups", groups.count),
                false => "the caller's supplementary groups".to_owned(),
            },
            if *no_new_privileges {
                ", no new privileges"
            } else {
                ""
            }
        ),
        Step::AwaitRelease {} => "wait until it is recorded".to_owned(),
        Step::CloseDescriptors { .. } => "close every other descriptor at execve".to_owned(),
        Step::Execute { arguments, .. } => format!("execute {}", program_name(*arguments)),
        other => other.name().to_owned(),
    }
}

/// The program's name, as it was given.
pub(crate) fn program_name(arguments: List<'_>) -> String {
    arguments
        .iter::<&std::ffi::CStr>()
        .next()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
