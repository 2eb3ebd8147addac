//! `restore`: a container brought back from a checkpoint.

use hoist::foreground::SignalFd;
use hoist_linux::runtime::{Recording, RestoreOptions};

use super::checkpoint::{common, working};
use super::create::{self, Made};
use super::{delete, only_id};
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `restore` alone.
pub(super) const FLAGS: [Flag; 8] = [
    Flag::with_value(
        "console-socket",
        "PATH",
        "send the controlling side of the console to this socket",
    ),
    Flag::with_value("bundle", "DIR", "the bundle (default: the current folder)").or("b"),
    Flag::switch("detach", "do not wait for its end").or("d"),
    Flag::with_value("pid-file", "FILE", "write the process's id to this file"),
    Flag::switch(
        "no-subreaper",
        "taken and of no use: this program never becomes one",
    ),
    Flag::switch("no-pivot", "taken and of no use: criu enters the root"),
    Flag::with_value(
        "lsm-profile",
        "TYPE:NAME",
        "another AppArmor profile or SELinux label",
    ),
    Flag::with_value("lsm-mount-context", "LABEL", "another label of mounts"),
];

pub(crate) fn restore(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = only_id("restore", arguments)?;
    let given = |name| {
        let value = arguments.value(name);
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let options = RestoreOptions {
        common: common(arguments)?,
        lsm_profile: given("lsm-profile"),
        lsm_mount_context: given("lsm-mount-context"),
    };
    if !options.common.image_path.is_dir() {
        return Err(Failure::new(format!(
            "restore: there is no checkpoint in {}",
            options.common.image_path.display()
        )));
    }
    let criu = working("restore", global)?;
    let detached = arguments.has("detach");
    // Before anything is made: a signal that comes from here on reaches the container.
    let signals = match detached {
        true => None,
        false => Some(SignalFd::new()?),
    };
    let Made {
        container, launch, ..
    } = create::make(global, arguments, id, Recording::Now, false, detached)?;
    let is_attended = signals.is_some();
    let start = || -> Result<u8, Failure> {
        let stdio = launch.stdio()?;
        match signals {
            None => {
                let launched = container.restore_detached(&criu, &options, stdio)?;
                launch.hand_over(&launched)?;
                Ok(0)
            }
            Some(mut signals) => {
                let process = container.restore_owned(&criu, &options, stdio)?;
                launch.attend(process.as_ref(), &mut signals)
            }
        }
    };
    let outcome = start();
    match &outcome {
        Ok(_) if is_attended => delete::remove(&container, &mut global.log)?,
        Ok(_) => {}
        Err(_) => create::undo(&container, &mut global.log),
    }
    outcome.map_err(|failure| failure.within("hoist-oci restore failed"))
}
