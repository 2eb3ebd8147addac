//! The end of a process that adopts orphans, with all that is below it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_init::owner::descendants::{self, Top};
use hoist_init::owner::signal::{self, KILL, STOP};

use crate::process::wait_for;
use crate::service::system;

/// How long they may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends the process `pid`, which `first` holds, and all its descendants.
///
/// They are stopped until no further ones are found, so that none can start another while it is ended; then the process itself
/// last, for what it leaves behind would be others' children.
///
/// # Errors
///
/// `Timeout` where they start more than can be stopped, or do not end: those that were found are killed all the same.
pub(crate) fn end(first: BorrowedFd<'_>, pid: u32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    // It starts nothing any more; nor does it need to do anything for its children to end.
    send(first, STOP);
    let mut below = Vec::new();
    let top = Top { pid, held: first };
    let all_stopped = descendants::await_standstill(top, deadline)
        .and_then(|_| descendants::stop(&[top], &mut below, deadline));
    let all = || below.iter().map(|one| one.held.as_fd()).chain([first]);
    all().for_each(|process| send(process, KILL));
    if !all_stopped.map_err(|error| system("end what the process has started", error))? {
        return Err(out_of_time("it starts more than can be stopped"));
    }
    for process in all() {
        let left = deadline.saturating_duration_since(Instant::now());
        if !wait_for(process, Some(left))? {
            return Err(out_of_time("a process does not end"));
        }
    }
    Ok(())
}

fn out_of_time(why: &str) -> Error {
    Error::new(
        ErrorKind::Timeout,
        Phase::Operate,
        "end what the process has started",
    )
    .because(why)
    .remedy("end the container")
}

/// It may have ended by itself.
fn send(process: BorrowedFd<'_>, number: i32) {
    let _ = signal::send(process, number);
}
