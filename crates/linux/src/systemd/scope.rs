//! The scope of one container: from before its process is there until that is in it. It ends by itself when its last process has.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use rustix::fs::{Mode, OFlags, open};

use super::manager::{Manager, StartError};
use super::unit::{Unit, Value, properties_of};
use crate::cgroup::{Base, Layout, Version, Write};
use crate::execute::control::{Control, pair};
use crate::execute::{helper, reap, spawn};
use crate::service::system;

/// A scope that was started, and the process that keeps it until the container's is in it.
pub(crate) struct Scope(#[allow(dead_code, reason = "its end is what counts")] Placeholder);

impl Scope {
    /// Has systemd make the scope, and so its cgroup, where `layout` has hierarchies.
    pub(crate) fn start(unit: &Unit, layout: &Layout) -> Result<Self> {
        let placeholder = Placeholder::start()?;
        let mut properties: Vec<(&str, Value)> = unit
            .properties
            .iter()
            .map(|(name, value)| (*name, value.clone()))
            .collect();
        properties.push(("PIDs", Value::Numbers(vec![placeholder.pid])));
        let mut manager = Manager::connect()?;
        match manager.start_transient(&unit.name, &properties) {
            Ok(()) => {}
            Err(StartError::Exists) => {
                make_room(&mut manager, unit, layout)?;
                match manager.start_transient(&unit.name, &properties) {
                    Ok(()) => {}
                    Err(StartError::Exists) => return Err(exists(unit)),
                    Err(StartError::Other(error)) => return Err(error),
                }
            }
            Err(StartError::Other(error)) => return Err(error),
        }
        let place = manager.property(&unit.name, "Scope", "ControlGroup")?;
        if place.as_deref().map(|place| place.trim_start_matches('/')) == Some(&unit.path) {
            return Ok(Self(placeholder));
        }
        Err(Error::new(
            ErrorKind::System,
            Phase::Create,
            format!(
                "compare the cgroup of systemd unit {} with the plan",
                unit.name
            ),
        )
        .because(format!("it is {place:?}, not {}", unit.path)))
    }
}

/// A left-over unit of that name is removed where it has failed, or has no process any more; another one is somebody's.
fn make_room(manager: &mut Manager, unit: &Unit, layout: &Layout) -> Result<()> {
    match manager
        .property(&unit.name, "Unit", "ActiveState")?
        .as_deref()
    {
        None => Ok(()),
        Some("failed") => manager.reset_failed(&unit.name),
        Some("inactive") => manager.stop(&unit.name),
        // It may be in another slice than this one is to be.
        Some(_) => match manager.property(&unit.name, "Scope", "ControlGroup")? {
            Some(place) if !is_empty(&place, layout)? => Err(exists(unit)),
            _ => manager.stop(&unit.name),
        },
    }
}

fn exists(unit: &Unit) -> Error {
    Error::new(
        ErrorKind::System,
        Phase::Create,
        format!("start systemd unit {}: it exists and is active", unit.name),
    )
    .about(&*unit.name)
    .remedy("choose another cgroupsPath, or stop that unit")
}

/// Whether no process is in a unit's cgroup; one that has none is empty.
fn is_empty(place: &str, layout: &Layout) -> Result<bool> {
    let place = place.trim_matches('/');
    if place.is_empty() {
        return Ok(true);
    }
    for hierarchy in &layout.hierarchies {
        let directory = hierarchy.directory(Base::Mount, place);
        let read = |file: &str| match fs::read_to_string(directory.join(file)) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(system(format!("read {}", directory.display()), error)),
        };
        let has_processes = match hierarchy.version {
            Version::V1 => !read("cgroup.procs")?.is_empty(),
            Version::V2 => read("cgroup.events")?.contains("populated 1"),
        };
        if has_processes {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends the scope of a container that is gone, unless another has taken its name: systemd misses the end of a cgroup that is
/// removed before it has looked. A scope that it still believes in then does no harm, and is removed by the next start of that name.
pub(crate) fn end(unit: &str, layout: &Layout) {
    let end = || -> Result<()> {
        let mut manager = Manager::connect()?;
        match manager.property(unit, "Scope", "ControlGroup")? {
            Some(place) if is_empty(&place, layout)? => manager.stop(unit),
            _ => Ok(()),
        }
    };
    let _ = end();
}

/// Tells systemd of limits that were changed.
pub(crate) fn update(unit: &str, writes: &[Write]) -> Result<()> {
    let properties = properties_of(writes);
    if properties.is_empty() {
        return Ok(());
    }
    Manager::connect()?.set_properties(unit, &properties)
}

/// A scope has processes from its beginning: this one does nothing, and ends when it is dropped, or its maker is gone.
struct Placeholder {
    pid: u32,
    pidfd: OwnedFd,
    control: Control,
}

impl Placeholder {
    fn start() -> Result<Self> {
        let failed = |error| system("start a process that keeps the scope", error);
        let nothing = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(io::Error::from)
            .map_err(failed)?;
        let (control, other_end) = pair().map_err(failed)?;
        let program = helper::sealed()?;
        let streams = [nothing.as_fd(), nothing.as_fd(), nothing.as_fd()];
        let pidfd = spawn::spawn(program.as_fd(), streams, other_end.as_fd()).map_err(failed)?;
        let pid = crate::proc_pid::of_pidfd(pidfd.as_fd()).map_err(failed)?;
        Ok(Self {
            pid,
            pidfd,
            control,
        })
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        // It waits for a plan that never comes.
        self.control.hang_up();
        let _ = reap(&self.pidfd);
    }
}
