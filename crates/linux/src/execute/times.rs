//! How long each step of a start took, where somebody wants to know.

use std::io;
use std::os::fd::OwnedFd;

use hoist_compute::{Bar, Timeline};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;

use crate::plan::{Lane, Plan};

/// Bytes per step: when it began and when it ended.
const ENTRY: usize = 16;

/// Notes what takes time; does nothing where no timeline is wanted.
pub(crate) struct Tracer {
    timeline: Option<Arc<Timeline>>,
    last: u64,
}

impl Tracer {
    pub(crate) fn new(timeline: Option<Arc<Timeline>>) -> Self {
        let last = if timeline.is_some() { now() } else { 0 };
        Self { timeline, last }
    }

    /// Notes that what was done since the last mark is called `label`.
    pub(crate) fn mark(&mut self, label: &str) {
        if let Some(timeline) = &self.timeline {
            let end = now();
            timeline.add(Bar {
                lane: "owner",
                label: label.to_owned(),
                start_ns: self.last,
                end_ns: end,
            });
            self.last = end;
        }
    }

    /// Memory for the times of the plan's steps, to be shared with the helper.
    pub(crate) fn share(&self, plan: &Plan) -> io::Result<Option<OwnedFd>> {
        if self.timeline.is_none() {
            return Ok(None);
        }
        let steps = plan.program.iter().count();
        let file = memfd_create("hoist-times", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, (steps * ENTRY) as u64)?;
        Ok(Some(file))
    }

    /// Takes the times of the plan's steps from the shared memory. A step without an end is the last, execve.
    pub(crate) fn collect(&mut self, file: &OwnedFd, plan: &Plan) {
        let Some(timeline) = &self.timeline else {
            return;
        };
        let end = now();
        let mut previous = 0;
        for step in plan.steps() {
            let Some(index) = step.index else { continue };
            let mut entry = [0; ENTRY];
            if rustix::io::pread(file, &mut entry, u64::from(index) * ENTRY as u64) != Ok(ENTRY) {
                continue;
            }
            let (first, second) = entry.split_at(ENTRY / 2);
            let number = |half: &[u8]| half.try_into().map(u64::from_ne_bytes).unwrap_or_default();
            let (began, ended) = match (number(first), number(second)) {
                (0, _) if step.name == "execute" && previous != 0 => (previous, end),
                (0, _) => continue,
                times => times,
            };
            previous = ended;
            let lane = if step.lane == Lane::Helper {
                "helper"
            } else {
                "process"
            };
            timeline.add(Bar {
                lane,
                label: step.words,
                start_ns: began,
                end_ns: ended,
            });
        }
        self.last = end;
    }
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
