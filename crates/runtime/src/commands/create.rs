//! `create`: everything of a container but its program.

use hoist_compute::ErrorKind;
use hoist_linux::runtime::{Recording, RuntimeContainer, RuntimeOptions, session_keyring};

use super::only_id;
use crate::args::{Arguments, Flag};
use crate::bundle::{self, Bundle};
use crate::failure::Failure;
use crate::global::{Global, parse_id};
use crate::log::Log;
use crate::notify::Notify;
use crate::process::{Launch, announce_descriptors};

/// Flags of `create` and `run`.
pub(crate) const FLAGS: [Flag; 3] = [
    Flag::with_value("bundle", "DIR", "the bundle (default: the current folder)").or("b"),
    Flag::switch(
        "no-pivot",
        "change the root by chroot(2): for a host in a ramdisk",
    ),
    Flag::switch("no-new-keyring", "stay in the caller's session keyring"),
];

/// A container that was made, and how its process is to be started.
pub(crate) struct Made {
    pub(crate) container: RuntimeContainer,
    pub(crate) launch: Launch,
    /// The way to the caller's service manager, where it has one.
    pub(crate) notify: Option<Notify>,
}

pub(crate) fn create(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = only_id("create", arguments)?;
    prepare(global, arguments, id)
        .map(|()| 0)
        .map_err(|failure| failure.within("hoist-oci create failed"))
}

fn prepare(global: &mut Global, arguments: &Arguments, id: &str) -> Result<(), Failure> {
    let made = make(global, arguments, id, Recording::WithStart, true, true)?;
    let launch = &made.launch;
    let prepared = launch
        .descriptors()
        .and_then(|descriptors| Ok((launch.stdio()?, descriptors)))
        .and_then(|(stdio, descriptors)| Ok(made.container.prepare(stdio, descriptors)?))
        .and_then(|launched| launch.hand_over(&launched));
    prepared.inspect_err(|_| undo(&made.container, &mut global.log))
}

/// Makes the container of the bundle that the flags name.
pub(crate) fn make(
    global: &mut Global,
    arguments: &Arguments,
    id: &str,
    recording: Recording,
    await_start: bool,
    detached: bool,
) -> Result<Made, Failure> {
    let id = parse_id(id)?;
    let Bundle { mut spec, path } = bundle::read(arguments.value("bundle"), &mut global.log)?;
    let process = spec
        .oci
        .process_mut()
        .as_mut()
        .ok_or_else(|| Failure::new("process: is missing"))?;
    announce_descriptors(process)?;
    let launch = Launch::of(arguments, process, detached)?;
    let service = global.service()?;
    let notify = Notify::of_caller(&service, &id);
    if let Some(notify) = &notify {
        notify.add_to(&mut spec.oci);
    }
    let options = RuntimeOptions {
        await_start,
        no_pivot: arguments.has("no-pivot"),
        keyring: (!arguments.has("no-new-keyring")).then(|| session_keyring(&id)),
        preserved_descriptors: launch.preserved(),
        make_working_directory: true,
        own_streams: true,
        systemd_cgroup: global.systemd_cgroup,
        ..RuntimeOptions::default()
    };
    let container = service.create_from_bundle(&id, spec, &path, &options, recording)?;
    if let Some(notify) = &notify
        && let Err(failure) = notify.make_folder()
    {
        undo(&container, &mut global.log);
        return Err(failure);
    }
    Ok(Made {
        container,
        launch,
        notify,
    })
}

/// Removes what a start that failed has left. What cannot be removed stays recorded, for `delete --force`.
pub(crate) fn undo(container: &RuntimeContainer, log: &mut Log) {
    let ended = match container.terminate() {
        // It was never written down.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        ended => ended,
    };
    if let Err(error) = ended.and_then(|()| container.delete()) {
        log.warning(&Failure::from(error).within("clean up").message);
    }
    super::delete::run_poststop(container, log);
}
