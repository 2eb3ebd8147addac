//! Plans that end in the helper: something is done in a running container, and no process is started there.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use hoist_compute::{Error, OsCode, Result, Stdio};
use hoist_init::wire::{Call, Message, MessageKind};

use rustix::fs::{Mode, OFlags};

use super::{control, died, failed, helper, id_maps, reap, spawn, streams};
use crate::features::HostFeatures;
use crate::plan::{IdMaps, Plan, explain, plan_user_namespace};

/// Has the helper carry out a plan; the result is what its last step has to tell.
pub(crate) fn operate(
    plan: &Plan,
    features: &HostFeatures,
    descriptors: &[OwnedFd],
) -> Result<u64> {
    with_helper(plan, descriptors, |control, _| {
        follow(control, plan, features)
    })
}

/// The files that the helper opens by a plan of [`crate::plan::plan_lend`]; for one that it could not open, why.
pub(crate) fn lend(
    plan: &Plan,
    features: &HostFeatures,
    descriptors: &[OwnedFd],
    count: usize,
) -> Result<Vec<io::Result<OwnedFd>>> {
    with_helper(plan, descriptors, |control, _| {
        (0..count)
            .map(
                |_| match control.receive().map_err(failed("listen to the helper"))? {
                    Some((message, Some(file))) if message.kind == MessageKind::Lent => {
                        Ok(Ok(file))
                    }
                    Some((message, None)) if message.kind == MessageKind::Lent => {
                        Ok(Err(io::Error::from_raw_os_error(message.errno)))
                    }
                    Some((message, _)) if message.kind == MessageKind::Failed => {
                        Err(explain_failure(&message, plan, features))
                    }
                    _ => Err(died("the helper")),
                },
            )
            .collect()
    })
}

/// A user namespace with these maps, and nobody in it.
pub(crate) fn new_user_namespace(maps: &IdMaps, features: &HostFeatures) -> Result<OwnedFd> {
    let plan = plan_user_namespace();
    with_helper(&plan, &[], |control, helper| {
        follow(control, &plan, features)?;
        let pid = pid_of(helper).map_err(failed("find the helper"))?;
        id_maps::write(maps, pid, features)?;
        rustix::fs::open(
            format!("/proc/{pid}/ns/user"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(io::Error::from)
        .map_err(failed("open the user namespace"))
    })
}

/// The id of a process that is held by its pidfd and was not waited for (proc(5), `fdinfo`).
fn pid_of(pidfd: &OwnedFd) -> io::Result<u32> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Starts the helper with a plan, and calls `then` to hear what it tells, while it is still there.
fn with_helper<T>(
    plan: &Plan,
    descriptors: &[OwnedFd],
    then: impl FnOnce(&control::Control, &OwnedFd) -> Result<T>,
) -> Result<T> {
    let prepared = streams::prepare(Stdio::null()).map_err(failed("open the null device"))?;
    let (control, other_end) = control::pair().map_err(failed("make the control socket"))?;
    let sealed = helper::seal("hoist-plan", plan.program.as_bytes(), false)
        .map_err(io::Error::from)
        .map_err(failed("put the plan into memory"))?;
    let program = helper::sealed()?;
    let [stdin, stdout, stderr] = &prepared.process;
    let streams = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let helper = spawn::spawn(program.as_fd(), streams, other_end.as_fd())
        .map_err(failed("start the helper"))?;
    drop(other_end);
    let mut given = vec![sealed.as_fd(), program.as_fd(), sealed.as_fd()];
    given.extend(descriptors.iter().map(AsFd::as_fd));
    let told = control
        .hand_over(&given, false)
        .map_err(failed("hand the plan to the helper"))
        .and_then(|()| then(&control, &helper));
    drop(control);
    let reaped = reap(&helper).map_err(failed("wait for the helper"));
    told.and_then(|told| reaped.map(|()| told))
}

fn follow(control: &control::Control, plan: &Plan, features: &HostFeatures) -> Result<u64> {
    let message = control.receive().map_err(failed("listen to the helper"))?;
    match message {
        Some((message, _)) if message.kind == MessageKind::Done => Ok(message.value),
        Some((message, _)) if message.kind == MessageKind::Failed => {
            Err(explain_failure(&message, plan, features))
        }
        _ => Err(died("the helper")),
    }
}

fn explain_failure(message: &Message, plan: &Plan, features: &HostFeatures) -> Error {
    let call = Call::from_code(message.call).unwrap_or(Call::None);
    match plan.program.iter().nth(message.step as usize) {
        Some(step) => explain(&step, call, message.errno, Some(features)),
        None => died("the helper").code(OsCode::Errno(message.errno)),
    }
}
