//! Windows: containers of the Host Compute Service, in the foreground. They have no supervisor, and Hoist does not look into their roots.

pub(crate) mod process;

use std::ffi::OsString;

use hoist::foreground::CallerSignals;
use hoist::{Engine, RunRequest, Volumes};
use hoist_compute::{Error, ErrorKind, ExecSpec, Phase};
use hoist_spec::{Command, ContainerId, ContainerSpec, Fault, Faults};

use crate::args::{PlatformAction, Supervised};
use crate::commands::{plan::Planned, run};
use crate::failure::Failure;

/// Why there is nothing in the background.
const NO_SUPERVISOR: &str =
    "is not there on Windows yet: containers have no supervisor, and run in the foreground";

/// Why a command is not there that needs a supervisor.
const SUPERVISOR: &str = "there is no supervisor on Windows yet: containers run in the foreground";

/// The commands that there are not.
pub(crate) const LACKS: &[&str] = &[
    "create", "start", "restart", "attach", "logs", "cp", "diff", "mount", "volume", "export",
];
/// The service runs on when its clients end, and so do its containers.
pub(crate) const TAKES_CONTAINERS_ALONG: bool = false;
/// Whether named pipes can carry the streams of processes.
pub(crate) const HAS_NAMED_PIPES: bool = true;
/// For which platform `plan` plans unless told otherwise.
pub(crate) const DEFAULT_PLAN: &str = "windows";

/// The exit code of the mode that the command line asks for, where that is no command of anybody's; there is none.
pub(crate) fn mode(_words: &[OsString]) -> Option<u8> {
    None
}

fn unsupported(operation: &str, reason: &'static str) -> Failure {
    Error::new(ErrorKind::Unsupported, Phase::Plan, operation)
        .because(reason)
        .into()
}

/// Does what the commands ask for that not every platform has: refuses it.
pub(crate) fn carry_out(
    action: PlatformAction,
    open: &dyn Fn() -> hoist_compute::Result<Engine>,
    _json: bool,
) -> Result<u8, Failure> {
    const ROOT: &str = "Hoist does not look into the roots of containers on Windows yet";
    let (command, reason) = match action {
        PlatformAction::Create(create) => return run::create(*create, &open()?),
        PlatformAction::Start(_) => ("start", SUPERVISOR),
        PlatformAction::Restart(_) => ("restart", SUPERVISOR),
        PlatformAction::Attach(_) => ("attach", SUPERVISOR),
        PlatformAction::Logs(_) => ("logs", SUPERVISOR),
        PlatformAction::Cp(_) => ("cp", ROOT),
        PlatformAction::Diff(_) => ("diff", ROOT),
        PlatformAction::Export(_) => ("export", ROOT),
        PlatformAction::Mount(_) => ("mount", ROOT),
        PlatformAction::Volume(_) => ("volume", ROOT),
    };
    Err(unsupported(&format!("hoist {command}"), reason))
}

/// Completes what only this machine can say of a command: nothing.
pub(crate) fn complete(_command: &mut Command, _volumes: &Volumes) -> Result<(), Failure> {
    Ok(())
}

/// The plan of a start on Linux: refused, since it rests on a look at the kernel.
pub(crate) fn plan_for_linux(_id: &ContainerId, _spec: &ContainerSpec) -> Result<Planned, Failure> {
    Err(unsupported(
        "plan for Linux",
        "the plan rests on what the kernel can do: ask on that machine",
    ))
}

/// What the options ask of a supervisor, which there is not.
pub(crate) struct Supervision;

impl Supervision {
    /// Reads the options; each that needs a supervisor is a fault.
    pub(crate) fn of(
        given: &Supervised,
        _interactive: bool,
        _remove: bool,
    ) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let asked = [
            ("--detach", given.detach),
            ("--detach-keys", given.detach_keys.is_some()),
            (
                "--restart",
                given
                    .restart
                    .as_deref()
                    .is_some_and(|policy| policy != "no"),
            ),
            ("--log-driver", given.log_driver.is_some()),
            ("--log-opt", !given.log_opt.is_empty()),
        ];
        for (option, _) in asked.iter().filter(|(_, given)| *given) {
            faults.push(Fault::new(*option, NO_SUPERVISOR));
        }
        faults.into_result(Self)
    }

    /// Whether the container is started once more when it has ended.
    pub(crate) fn restarts(&self) -> bool {
        false
    }

    /// Whether the container has to outlive this command.
    pub(crate) fn is_needed(&self, _detach: bool, _detachable: bool) -> bool {
        false
    }
}

/// What `hoist update --restart` asks for, which needs a supervisor.
pub(crate) enum RestartChange {}

impl RestartChange {
    pub(crate) fn read(_text: &str) -> Result<Self, Fault> {
        Err(Fault::new("--restart", NO_SUPERVISOR))
    }

    pub(crate) fn apply(&self, _engine: &Engine, _id: &ContainerId) -> hoist_compute::Result<()> {
        match *self {}
    }
}

/// Runs a container that has a supervisor: refused.
pub(crate) fn run_supervised(
    _engine: &Engine,
    _request: &RunRequest,
    _supervision: &Supervision,
    _detach: bool,
    _signals: &mut CallerSignals,
) -> Result<i32, Failure> {
    Err(unsupported("run in the background", NO_SUPERVISOR))
}

/// Makes a container for a later start: refused.
pub(crate) fn create(
    _engine: &Engine,
    _request: &RunRequest,
    _supervision: &Supervision,
) -> Result<(), Failure> {
    Err(unsupported("make a container for later", NO_SUPERVISOR))
}

/// Starts a further process in the background: refused.
pub(crate) fn exec_detached(
    _engine: &Engine,
    _id: &ContainerId,
    _spec: &ExecSpec,
) -> Result<(), Failure> {
    let mut faults = Faults::default();
    faults.push(Fault::new("--detach", NO_SUPERVISOR));
    Err(faults.into())
}
