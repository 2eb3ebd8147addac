//! `exec`: a further process in a container.

use std::path::Path;
use std::thread;
use std::time::Duration;

use hoist::foreground::SignalFd;
use hoist_compute::ErrorKind;
use hoist_linux::runtime::{RuntimeContainer, RuntimeOptions};
use hoist_spec::{ProcessSpec, oci};

use super::first_id;
use crate::args::{Arguments, Flag};
use crate::bundle::{go_words, read_text};
use crate::failure::{EXEC_FAILED, Failure};
use crate::global::Global;
use crate::process::{Launch, announce_descriptors};

/// How often a paused container is looked at: who waits for a person need not be told at once.
const LOOK: Duration = Duration::from_millis(20);

/// Flags of `exec`.
pub(crate) const FLAGS: [Flag; 14] = [
    Flag::with_value(
        "process",
        "FILE",
        "a JSON file with the process (OCI runtime spec)",
    )
    .or("p"),
    Flag::switch("detach", "do not wait for its end").or("d"),
    Flag::switch("tty", "give it a console").or("t"),
    Flag::with_value("cwd", "DIR", "the directory that it begins in"),
    Flag::with_value("env", "NAME=VALUE", "a variable for its environment").or("e"),
    Flag::with_value("user", "UID[:GID]", "who it runs as").or("u"),
    Flag::with_value("additional-gids", "GID", "a supplementary group").or("g"),
    Flag::with_value(
        "cap",
        "NAME",
        "a capability that it has besides the container's",
    )
    .or("c"),
    Flag::switch("no-new-privs", "it can gain no privileges by execve(2)"),
    Flag::with_value("process-label", "LABEL", "its SELinux label"),
    Flag::with_value("apparmor", "PROFILE", "its AppArmor profile"),
    Flag::with_value(
        "cgroup",
        "PATH",
        "a cgroup below the container's; with cgroup v1 also CONTROLLER[,CONTROLLER...]:PATH",
    ),
    Flag::switch(
        "ignore-paused",
        "where the container is paused, wait until it is resumed instead of failing",
    ),
    Flag::switch(
        "no-subreaper",
        "taken and of no use: this program never becomes one",
    ),
];

pub(crate) fn exec(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    start(global, arguments).map_err(|failure| failure.within("exec failed").with_code(EXEC_FAILED))
}

fn start(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let id = first_id("exec", arguments)?;
    let detached = arguments.has("detach");
    let container = global.container(id)?;
    let mut process = wanted(arguments, &container)?;
    announce_descriptors(&mut process)?;
    let launch = Launch::of(arguments, &process, detached)?;
    if arguments.has("ignore-paused") {
        await_resume(&container)?;
    }
    // Before anything is made: a signal that comes from here on reaches the process.
    let signals = if detached {
        None
    } else {
        Some(SignalFd::new()?)
    };
    let options = RuntimeOptions {
        preserved_descriptors: launch.preserved(),
        own_streams: true,
        cgroup_below: arguments.value("cgroup").map(str::to_owned),
        ..RuntimeOptions::default()
    };
    let process = ProcessSpec {
        oci: process,
        user: None,
    };
    let (stdio, descriptors) = (launch.stdio()?, launch.descriptors()?);
    let refused = |error: hoist_compute::Error| refused(&container, error);
    match signals {
        None => {
            let launched = container
                .exec_detached(&process, stdio, &options, descriptors)
                .map_err(refused)?;
            launch.hand_over(&launched)?;
            Ok(0)
        }
        Some(mut signals) => {
            let process = container
                .exec_owned(&process, stdio, &options, descriptors)
                .map_err(refused)?;
            launch.attend(process.as_ref(), &mut signals)
        }
    }
}

/// Returns when the container is not paused, or no longer. With runc, too, a process of a paused container begins when that is
/// resumed: there it is frozen on its way, here nothing is made until then.
fn await_resume(container: &RuntimeContainer) -> Result<(), Failure> {
    while container.oci_state()?.status == "paused" {
        thread::sleep(LOOK);
    }
    Ok(())
}

/// An exec that the container's state does not allow, in runc's words.
fn refused(container: &RuntimeContainer, error: hoist_compute::Error) -> Failure {
    if error.kind() != ErrorKind::InvalidState {
        return error.into();
    }
    match container.oci_state().map(|state| state.status) {
        Ok("paused") => {
            Failure::new("cannot exec in a paused container (use --ignore-paused to override)")
        }
        _ => Failure::new("cannot exec a container that has stopped"),
    }
}

/// The process that the flags, or the file that they name, ask for.
fn wanted(arguments: &Arguments, container: &RuntimeContainer) -> Result<oci::Process, Failure> {
    if let Some(path) = arguments.value("process") {
        let text = read_text(Path::new(path)).map_err(|error| {
            Failure::new(format!("read process file {path}: {}", go_words(&error)))
        })?;
        let process = ProcessSpec::from_process_json(&text)
            .map_err(|faults| Failure::new(faults.to_string()))?;
        return Ok(process.oci);
    }
    let mut process = container
        .spec()
        .oci
        .process()
        .clone()
        .ok_or_else(|| Failure::new("process: is missing"))?;
    let command = arguments.words[1..].to_vec();
    if command.is_empty() {
        return Err(Failure::usage("process args cannot be empty"));
    }
    process.set_args(Some(command));
    process.set_terminal(Some(arguments.has("tty")));
    if let Some(cwd) = arguments.value("cwd") {
        process.set_cwd(cwd.into());
    }
    let mut environment = process.env().clone().unwrap_or_default();
    environment.extend(arguments.values("env").map(str::to_owned));
    process.set_env(Some(environment));
    if arguments.has("no-new-privs") {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(label) = arguments.value("process-label") {
        process.set_selinux_label(Some(label.to_owned()));
    }
    if let Some(profile) = arguments.value("apparmor") {
        process.set_apparmor_profile(Some(profile.to_owned()));
    }
    set_user(&mut process, arguments)?;
    add_capabilities(&mut process, arguments)?;
    Ok(process)
}

fn set_user(process: &mut oci::Process, arguments: &Arguments) -> Result<(), Failure> {
    let number = |what: &str, text: &str| {
        text.parse::<u32>().map_err(|_| {
            Failure::usage(format!(
                "parsing {text} as int for {what} failed: no id, or out of range"
            ))
        })
    };
    let mut user = process.user().clone();
    if let Some(text) = arguments.value("user") {
        let (uid, gid) = match text.split_once(':') {
            Some((uid, gid)) => (uid, Some(gid)),
            None => (text, None),
        };
        user.set_uid(number("uid", uid)?);
        if let Some(gid) = gid {
            user.set_gid(number("gid", gid)?);
        }
    }
    let mut groups = user.additional_gids().clone().unwrap_or_default();
    for text in arguments.values("additional-gids") {
        groups.push(number("gid", text)?);
    }
    user.set_additional_gids(Some(groups));
    process.set_user(user);
    Ok(())
}

/// Adds to every set but the inheritable one (CVE-2022-29162).
fn add_capabilities(process: &mut oci::Process, arguments: &Arguments) -> Result<(), Failure> {
    let mut asked = Vec::new();
    for name in arguments.values("cap") {
        asked.push(
            hoist_spec::parse_capability(name)
                .map_err(|error| Failure::usage(format!("--cap: {error}")))?,
        );
    }
    if asked.is_empty() {
        return Ok(());
    }
    let mut sets = process.capabilities().clone().unwrap_or_default();
    let with = |set: &Option<oci::Capabilities>| {
        let mut set = set.clone().unwrap_or_default();
        set.extend(asked.iter().copied());
        Some(set)
    };
    let (bounding, effective) = (with(sets.bounding()), with(sets.effective()));
    let permitted = with(sets.permitted());
    sets.set_bounding(bounding);
    sets.set_effective(effective);
    sets.set_permitted(permitted);
    process.set_capabilities(Some(sets));
    Ok(())
}
