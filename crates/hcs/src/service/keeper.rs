//! The one thread that deals with ends, whatever the number of processes: it finds out how they ended, tells who waits, and ends the system
//! of a container whose first process has ended.
//!
//! It is told of ends by the service's callbacks; a notification may be lost, so that it also asks now and then.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use hoist_compute::ExitStatus;

use super::{Patience, process::Watched};
use crate::calls::{Calls, Ending, HcsExports};

/// How often it is looked whether the copying is done.
const COPYING_STEP: Duration = Duration::from_millis(2);

/// Where the callbacks leave word.
pub(super) struct Keeper<E: HcsExports> {
    patience: Patience,
    /// Systems are ended by force at once.
    force_kill: bool,
    sender: Mutex<Option<Sender<Word<E>>>>,
}

enum Word<E: HcsExports> {
    Watch(Arc<Watched<E>>),
    /// The process at this address has ended.
    Ended(usize),
    /// The system of the process at this address has ended.
    SystemEnded(usize),
    /// The service is gone: nothing more will be watched.
    Leave,
}

/// A process whose end is known and not yet told.
struct Telling<E: HcsExports> {
    watched: Arc<Watched<E>>,
    status: ExitStatus,
}

/// A system that is being ended.
struct EndingSystem<E: HcsExports> {
    watched: Arc<Watched<E>>,
    by_force: bool,
    deadline: Instant,
}

struct Work<E: HcsExports> {
    patience: Patience,
    force_kill: bool,
    live: HashMap<usize, Arc<Watched<E>>>,
    telling: Vec<Telling<E>>,
    ending: Vec<EndingSystem<E>>,
    sender: Sender<Word<E>>,
    leaves: bool,
}

fn key<E: HcsExports>(watched: &Arc<Watched<E>>) -> usize {
    Arc::as_ptr(watched).addr()
}

impl<E: HcsExports> Keeper<E> {
    pub(super) fn new(patience: Patience, force_kill: bool) -> Self {
        Self {
            patience,
            force_kill,
            sender: Mutex::default(),
        }
    }

    fn sender(&self) -> io::Result<Sender<Word<E>>> {
        let mut sender = self
            .sender
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(sender) = &*sender {
            return Ok(sender.clone());
        }
        let (own, words) = mpsc::channel();
        let (patience, force_kill) = (self.patience, self.force_kill);
        let for_callbacks = own.clone();
        thread::Builder::new()
            .name("hoist ends".to_owned())
            .spawn(move || {
                let work = Work {
                    patience,
                    force_kill,
                    live: HashMap::new(),
                    telling: Vec::new(),
                    ending: Vec::new(),
                    sender: for_callbacks,
                    leaves: false,
                };
                work.keep(&words);
            })?;
        *sender = Some(own.clone());
        Ok(own)
    }

    /// Makes sure that there is a thread to watch.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.sender().map(drop)
    }

    /// Has the end of a process dealt with.
    pub(super) fn watch(&self, watched: &Arc<Watched<E>>) -> io::Result<()> {
        let sender = self.sender()?;
        // The thread ends after this sender, which the service holds.
        let _ = sender.send(Word::Watch(Arc::clone(watched)));
        let key = key(watched);
        watched.calls.on_process_exit(
            &watched.process,
            Box::new(move || {
                let _ = sender.send(Word::Ended(key));
            }),
        );
        Ok(())
    }
}

impl<E: HcsExports> Drop for Keeper<E> {
    fn drop(&mut self) {
        let sender = self
            .sender
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(sender) = sender.take() {
            // The thread ends when nothing is left to be watched.
            let _ = sender.send(Word::Leave);
        }
    }
}

impl<E: HcsExports> Work<E> {
    fn keep(mut self, words: &Receiver<Word<E>>) {
        let mut next_poll = Instant::now() + self.patience.poll;
        loop {
            match words.recv_timeout(self.next(next_poll)) {
                Ok(word) => self.hear(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next_poll {
                self.poll();
                next_poll = Instant::now() + self.patience.poll;
            }
            self.tell();
            self.end_late();
            let done = self.live.is_empty() && self.telling.is_empty() && self.ending.is_empty();
            if self.leaves && done {
                return;
            }
        }
    }

    fn next(&self, next_poll: Instant) -> Duration {
        if !self.telling.is_empty() {
            return COPYING_STEP;
        }
        let ending = self.ending.iter().map(|ending| ending.deadline).min();
        let next = ending.map_or(next_poll, |ending| ending.min(next_poll));
        next.saturating_duration_since(Instant::now())
    }

    fn hear(&mut self, word: Word<E>) {
        match word {
            Word::Watch(watched) => {
                self.live.insert(key(&watched), watched);
            }
            Word::Ended(key) => self.look(key),
            Word::Leave => self.leaves = true,
            Word::SystemEnded(key) => self.let_go(|watched| self::key(watched) == key),
        }
    }

    /// Looks at everything whose notification may have been lost.
    fn poll(&mut self) {
        let live: Vec<usize> = self.live.keys().copied().collect();
        for key in live {
            self.look(key);
        }
        self.let_go(|watched| {
            let looked = watched.calls.system_properties(&watched.system, "{}");
            looked.is_err_and(|error| error.is_gone())
        });
    }

    /// Closes the systems that have ended.
    fn let_go(&mut self, has_ended: impl Fn(&Arc<Watched<E>>) -> bool) {
        self.ending.retain(|ending| {
            let ended = has_ended(&ending.watched);
            if ended {
                ending.watched.calls.close_system(&ending.watched.system);
            }
            !ended
        });
    }

    fn look(&mut self, key: usize) {
        let Some(watched) = self.live.get(&key) else {
            return;
        };
        if let Some(status) = watched.find_end()
            && let Some(watched) = self.live.remove(&key)
        {
            watched.ends.end();
            self.telling.push(Telling { watched, status });
        }
    }

    /// Tells the ends whose output has been copied.
    fn tell(&mut self) {
        let mut waiting = Vec::new();
        for telling in std::mem::take(&mut self.telling) {
            if telling.watched.ends.is_copying() {
                waiting.push(telling);
                continue;
            }
            let watched = telling.watched;
            watched.ended.tell(telling.status);
            watched.calls.close_process(&watched.process);
            if watched.about.is_first() {
                self.end(watched, self.force_kill);
            } else {
                watched.calls.close_system(&watched.system);
            }
        }
        self.telling = waiting;
    }

    /// Asks the system of an ended container to end, then ends it by force; each with a time of its own.
    fn end(&mut self, watched: Arc<Watched<E>>, by_force: bool) {
        let begun = if by_force {
            watched.calls.terminate_system(&watched.system)
        } else {
            watched.calls.shutdown_system(&watched.system)
        };
        match begun {
            Ok(Ending::Ended | Ending::Gone) => watched.calls.close_system(&watched.system),
            Ok(Ending::Pending) => {
                let (sender, key) = (self.sender.clone(), key(&watched));
                let limit = if by_force {
                    self.patience.terminate
                } else {
                    self.patience.shutdown
                };
                watched.calls.on_system_exit(
                    &watched.system,
                    Box::new(move || {
                        let _ = sender.send(Word::SystemEnded(key));
                    }),
                );
                self.ending.push(EndingSystem {
                    watched,
                    by_force,
                    deadline: Instant::now() + limit,
                });
            }
            Err(_) if !by_force => self.end(watched, true),
            // Whoever deletes the container tries once more, and is told.
            Err(_) => watched.calls.close_system(&watched.system),
        }
    }

    fn end_late(&mut self) {
        let now = Instant::now();
        while let Some(place) = self.ending.iter().position(|ending| ending.deadline <= now) {
            let late = self.ending.swap_remove(place);
            if late.by_force {
                late.watched.calls.close_system(&late.watched.system);
            } else {
                self.end(late.watched, true);
            }
        }
    }
}
