//! The one thread that waits for every process this program has started: a process that ended is reaped and its status
//! written down at once, whether or not anybody waits for it.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use hoist_compute::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use crate::process::OwnedProcess;
use crate::service::system;

/// How many ends are looked at in one go.
const BATCH: usize = 64;

struct Reaper {
    epoll: OwnedFd,
    watched: Mutex<HashMap<u64, Arc<OwnedProcess>>>,
}

static REAPER: OnceLock<Reaper> = OnceLock::new();

/// Has `process` reaped when it ends. The thread is started with the first one and stays.
pub(crate) fn watch(process: &Arc<OwnedProcess>) -> Result<()> {
    let failed = |error| system("watch the process", error);
    let reaper = match REAPER.get() {
        Some(reaper) => reaper,
        None => {
            let made = Reaper {
                epoll: epoll::create(epoll::CreateFlags::CLOEXEC)
                    .map_err(|errno| failed(errno.into()))?,
                watched: Mutex::default(),
            };
            // Of two threads that come here at once, only the one whose reaper it becomes starts the thread.
            if REAPER.set(made).is_ok() {
                start().map_err(failed)?;
            }
            match REAPER.get() {
                Some(reaper) => reaper,
                None => return Ok(()),
            }
        }
    };
    // A descriptor's number is its own for as long as the process is watched.
    let key = process.pidfd.as_raw_fd() as u64;
    reaper.watched().insert(key, process.clone());
    let data = epoll::EventData::new_u64(key);
    epoll::add(
        &reaper.epoll,
        process.pidfd.as_fd(),
        data,
        epoll::EventFlags::IN,
    )
    .map_err(|errno| failed(errno.into()))
}

fn start() -> io::Result<()> {
    // The caller's signals are not for this thread.
    crate::execute::without_signals(|| {
        std::thread::Builder::new()
            .name("hoist-reaper".to_owned())
            .stack_size(64 * 1024)
            .spawn(|| {
                if let Some(reaper) = REAPER.get() {
                    reaper.run();
                }
            })
    })?
    .map(drop)
}

impl Reaper {
    fn run(&self) {
        let mut events = Vec::with_capacity(BATCH);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            for event in &events {
                let key = event.data.u64();
                let Some(process) = self.watched().get(&key).cloned() else {
                    continue;
                };
                // Its status stays with it, for whoever asks.
                if process.wait(Some(Duration::ZERO)).is_ok() {
                    let _ = epoll::delete(&self.epoll, process.pidfd.as_fd());
                    self.watched().remove(&key);
                }
            }
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<u64, Arc<OwnedProcess>>> {
        self.watched
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
