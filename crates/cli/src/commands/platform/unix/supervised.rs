//! What `run`, `create`, `start` and `attach` share: containers that have a supervisor.

use std::io::{stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

use hoist::foreground::{AttachedEnd, AttachedIo, CallerSignals, DetachKeys, attend_attached};
use hoist::supervise::{
    Attachment, LogDriver, LogOptions, RestartPolicy, SuperviseOptions, UnknownPolicy, WhenLogFails,
};
use hoist::{Engine, ExecRef, LaunchOptions};
use hoist_compute::ExitStatus;
use hoist_spec::options::size;
use hoist_spec::{ContainerId, Fault, Faults, Signal};

use crate::args::Supervised;
use crate::commands::terminal::console_size;
use crate::failure::Failure;
use crate::log;

/// How long the record of a container or process whose supervisor was lost may take.
const LOST_LIMIT: Duration = Duration::from_secs(15);

/// What the options ask a supervisor to do, and the keys that detach.
pub(crate) fn options(
    given: &Supervised,
    interactive: bool,
    remove: bool,
) -> Result<(SuperviseOptions, DetachKeys), Faults> {
    let mut faults = Faults::default();
    let mut options = SuperviseOptions {
        interactive,
        remove,
        ..SuperviseOptions::default()
    };
    if let Some(text) = &given.restart {
        match restart_policy(text) {
            Ok(policy) => options.restart = policy,
            Err(fault) => faults.push(fault),
        }
    }
    if remove && options.restart != RestartPolicy::No {
        faults.push(Fault::new(
            "--rm",
            "contradicts --restart: a container that is removed cannot be started once more",
        ));
    }
    match given.log_driver.as_deref() {
        None | Some("json-file") => {}
        Some("none") => options.log.driver = LogDriver::None,
        Some(other) => faults.push(Fault::of_value(
            "--log-driver",
            other,
            "is no log driver: use json-file or none",
        )),
    }
    for text in &given.log_opt {
        if let Err(fault) = log_option(text, &mut options.log) {
            faults.push(fault);
        }
    }
    let keys = keys(given.detach_keys.as_deref(), &mut faults);
    faults.into_result((options, keys))
}

fn restart_policy(text: &str) -> Result<RestartPolicy, Fault> {
    text.parse()
        .map_err(|error: UnknownPolicy| Fault::of_value("--restart", text, error.to_string()))
}

/// What `hoist update --restart` asks for.
pub(crate) struct RestartChange(RestartPolicy);

impl RestartChange {
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        restart_policy(text).map(Self)
    }

    pub(crate) fn apply(&self, engine: &Engine, id: &ContainerId) -> hoist_compute::Result<()> {
        engine.set_restart_policy(id, self.0)
    }
}

/// The keys that detach.
fn keys(text: Option<&str>, faults: &mut Faults) -> DetachKeys {
    match text.map(str::parse::<DetachKeys>) {
        None => DetachKeys::default(),
        Some(Ok(keys)) => keys,
        Some(Err(error)) => {
            let text = text.unwrap_or_default();
            faults.push(Fault::of_value("--detach-keys", text, error.to_string()));
            DetachKeys::default()
        }
    }
}

fn log_option(text: &str, log: &mut LogOptions) -> Result<(), Fault> {
    let fault = |reason: &str| Err(Fault::of_value("--log-opt", text, reason.to_owned()));
    match text.split_once('=') {
        Some(("max-size", value)) => match size(value) {
            Some(size) => log.max_size = size.unsigned_abs(),
            None => return fault("has no size such as 10m"),
        },
        Some(("max-file", value)) => match value.parse() {
            Ok(files @ 1..=1000) => log.max_files = files,
            _ => return fault("has no number from 1 to 1000"),
        },
        Some(("mode", "blocking")) => log.when_it_fails = WhenLogFails::Block,
        Some(("mode", "non-blocking")) => log.when_it_fails = WhenLogFails::Drop,
        _ => {
            return fault("is no log option: use max-size, max-file or mode=non-blocking|blocking");
        }
    }
    Ok(())
}

/// How this command launches supervisors.
pub(crate) fn launch(launcher: &hoist::supervise::Launcher) -> LaunchOptions<'_> {
    LaunchOptions {
        launcher,
        console: console_size(),
    }
}

/// How this command is attached.
pub(crate) struct Manner {
    pub(crate) input: bool,
    pub(crate) signals: bool,
    pub(crate) keys: DetachKeys,
    pub(crate) is_foreground: bool,
}

impl Manner {
    /// As the one in whose foreground it runs.
    pub(crate) fn foreground(input: bool, keys: DetachKeys) -> Self {
        Self {
            input,
            signals: true,
            keys,
            is_foreground: true,
        }
    }
}

/// The keys that detach, where those are all that can be wrong.
pub(crate) fn only_keys(text: Option<&str>) -> Result<DetachKeys, Faults> {
    let mut faults = Faults::default();
    let keys = keys(text, &mut faults);
    faults.into_result(keys)
}

/// What this command is attached to.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    Container(&'a ContainerId),
    Exec(&'a ExecRef),
}

impl Target<'_> {
    fn signal(self, engine: &Engine, signal: Signal) -> hoist_compute::Result<()> {
        match self {
            Self::Container(id) => engine.signal(id, signal),
            Self::Exec(exec) => engine.signal_exec(exec, signal),
        }
    }

    /// How it ended whose supervisor was lost.
    fn wait(self, engine: &Engine) -> hoist_compute::Result<ExitStatus> {
        match self {
            Self::Container(id) => engine.wait(id, Some(LOST_LIMIT)),
            Self::Exec(exec) => engine.wait_exec(exec, Some(LOST_LIMIT)),
        }
    }
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Container(id) => write!(f, "container {id}"),
            Self::Exec(exec) => write!(f, "process {}", exec.id),
        }
    }
}

/// Stays attached until the container has ended or the caller detaches; the result is the exit code.
pub(crate) fn stay(
    engine: &Engine,
    target: Target<'_>,
    mut attachment: Attachment,
    signals: &mut CallerSignals,
    manner: Manner,
) -> Result<u8, Failure> {
    let (input, output, errors) = (stdin(), stdout(), stderr());
    let io = AttachedIo {
        input: manner.input.then(|| input.as_fd()),
        output: output.as_fd(),
        errors: errors.as_fd(),
        detach_keys: manner.keys,
        is_foreground: manner.is_foreground,
    };
    let mut failures = Vec::new();
    let send = |signal| match manner.signals {
        true => target.signal(engine, signal),
        false => Ok(()),
    };
    let end = attend_attached(&mut attachment, io, Some(signals), &send, &mut failures)?;
    // A supervisor that has something left for this command waits no longer.
    drop(attachment);
    for failure in failures {
        Failure::from(failure).warn();
    }
    let status = match end {
        AttachedEnd::Exited(status) => status,
        AttachedEnd::Detached => {
            log::info(&format!("detached from {target}, which runs on"));
            return Ok(0);
        }
        AttachedEnd::SupervisorLost => target.wait(engine)?,
    };
    if let Some(reason) = &status.unknown {
        Failure::message(format!("the exit status is unknown: {reason}")).warn();
    }
    Ok(status.shell_code() as u8)
}
