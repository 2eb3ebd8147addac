//! The one thread that deals with ends: of processes, of systems, and of the time that a system was given to end.

use std::{
    sync::{
        Arc, Mutex, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Container, Event, EventKind, Exit, Process, Shared, launch::Company};
use crate::calls::{Calls, Ending};

/// Where the callbacks of processes and systems leave word. The thread is started with the first process to be watched.
pub(super) struct Reaper<C: Calls> {
    shared: Weak<Shared<C>>,
    sender: Mutex<Option<Sender<Word<C>>>>,
}

enum Word<C: Calls> {
    /// A process has ended.
    Ended(Arc<Container<C>>, Arc<Process<C>>),
    /// A system has ended.
    SystemEnded(Arc<Container<C>>),
}

/// A container that is about to end.
struct EndingContainer<C: Calls> {
    container: Arc<Container<C>>,
    exit: Exit,
    update_pending: bool,
    by_force: bool,
    deadline: Instant,
}

impl<C: Calls> Reaper<C> {
    pub(super) fn new(shared: Weak<Shared<C>>) -> Self {
        Self {
            shared,
            sender: Mutex::default(),
        }
    }

    fn sender(&self) -> Sender<Word<C>> {
        let mut sender = self
            .sender
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        sender
            .get_or_insert_with(|| {
                let (sender, words) = mpsc::channel();
                let shared = self.shared.clone();
                let own = sender.clone();
                thread::spawn(move || reap(&shared, &words, &own));
                sender
            })
            .clone()
    }
}

impl<C: Calls> Shared<C> {
    /// Has the end of a process dealt with.
    pub(super) fn watch(
        self: &Arc<Self>,
        container: &Arc<Container<C>>,
        process: &Arc<Process<C>>,
    ) {
        let sender = self.reaper.sender();
        let word = (Arc::clone(container), Arc::clone(process));
        self.calls.on_process_exit(
            &process.handle,
            Box::new(move || {
                let _ = sender.send(Word::Ended(word.0, word.1));
            }),
        );
    }
}

fn reap<C: Calls>(shared: &Weak<Shared<C>>, words: &Receiver<Word<C>>, sender: &Sender<Word<C>>) {
    let mut ending: Vec<EndingContainer<C>> = Vec::new();
    loop {
        let word = match ending.iter().map(|container| container.deadline).min() {
            // Looks now and then whether the driver is still there.
            None => words.recv_timeout(Duration::from_secs(1)),
            Some(deadline) => words.recv_timeout(
                deadline
                    .saturating_duration_since(Instant::now())
                    .min(Duration::from_secs(1)),
            ),
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match word {
            Ok(Word::Ended(container, process)) => {
                if Arc::ptr_eq(&container.init, &process) {
                    ending.extend(shared.init_ended(container, sender));
                } else {
                    shared.other_ended(&container, &process);
                }
            }
            Ok(Word::SystemEnded(container)) => {
                let place = ending
                    .iter()
                    .position(|known| Arc::ptr_eq(&known.container, &container));
                if let Some(place) = place {
                    shared.ended(ending.swap_remove(place));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        while let Some(place) = ending.iter().position(|known| known.deadline <= now) {
            let late = ending.swap_remove(place);
            ending.extend(shared.end_late(late, sender));
        }
    }
}

impl<C: Calls> Shared<C> {
    fn other_ended(&self, container: &Arc<Container<C>>, process: &Arc<Process<C>>) {
        let waited = self.calls.wait_process(&container.system, &process.handle);
        let exit = self.exit_of(container, process, waited);
        self.close_process(process);
        container.others().remove(&process.name);
        self.tell(&Event {
            container: container.id.clone(),
            kind: EventKind::ExitProcess,
            process: process.name.clone(),
            pid: process.pid,
            exit: Some(exit),
            update_pending: false,
        });
    }

    /// The first process has ended: asks the system to end as well.
    fn init_ended(
        self: &Arc<Self>,
        container: Arc<Container<C>>,
        sender: &Sender<Word<C>>,
    ) -> Option<EndingContainer<C>> {
        let waited = self
            .calls
            .wait_process(&container.system, &container.init.handle);
        let exit = self.exit_of(&container, &container.init, waited);
        self.close_process(&container.init);
        let update_pending = self.updates_pending(&container);
        let ending = EndingContainer {
            container,
            exit,
            update_pending,
            by_force: self.settings.force_kill,
            deadline: Instant::now() + self.patience.ending,
        };
        self.begin_ending(ending, sender)
    }

    /// Asks the system to end, or ends it by force; what is still to be waited for comes back.
    fn begin_ending(
        self: &Arc<Self>,
        mut ending: EndingContainer<C>,
        sender: &Sender<Word<C>>,
    ) -> Option<EndingContainer<C>> {
        let system = &ending.container.system;
        let begun = if ending.by_force {
            self.calls.terminate_system(system)
        } else {
            self.calls.shutdown_system(system)
        };
        match begun {
            Ok(Ending::Ended | Ending::Gone) => {
                self.ended(ending);
                None
            }
            Ok(Ending::Pending) => {
                let word = Arc::clone(&ending.container);
                let sender = sender.clone();
                self.calls.on_system_exit(
                    &ending.container.system,
                    Box::new(move || {
                        let _ = sender.send(Word::SystemEnded(word));
                    }),
                );
                Some(ending)
            }
            Err(error) if ending.by_force => {
                let words = format!("container {} could not be ended", ending.container.id);
                self.warn(&words, &error);
                self.ended(ending);
                None
            }
            Err(error) => {
                let words = format!("container {} is ended by force", ending.container.id);
                self.warn(&words, &error);
                ending.by_force = true;
                self.begin_ending(ending, sender)
            }
        }
    }

    /// The system has not ended in the time that it was given.
    fn end_late(
        self: &Arc<Self>,
        mut ending: EndingContainer<C>,
        sender: &Sender<Word<C>>,
    ) -> Option<EndingContainer<C>> {
        if ending.by_force {
            self.receiver.warning(&format!(
                "container {} has not ended although it was ended by force",
                ending.container.id
            ));
            self.ended(ending);
            return None;
        }
        self.receiver.warning(&format!(
            "container {} did not shut down in {} s and is ended by force",
            ending.container.id,
            self.patience.ending.as_secs()
        ));
        ending.by_force = true;
        ending.deadline = Instant::now() + self.patience.ending;
        self.begin_ending(ending, sender)
    }

    /// The container has ended: lets go of it, tells, and starts it again where that is asked for.
    fn ended(self: &Arc<Self>, ending: EndingContainer<C>) {
        let EndingContainer {
            container,
            exit,
            update_pending,
            ..
        } = ending;
        self.let_go(&container);
        self.forget(&container);
        let stopped = container.stopped.load(std::sync::atomic::Ordering::Acquire);
        let restart = container.restart.clone().filter(|_| !stopped);
        let delay = restart
            .as_ref()
            .and_then(|manager| manager.delay_after(exit, container.started.elapsed()));
        let mut event = Event {
            container: container.id.clone(),
            kind: EventKind::Exit,
            process: container.init.name.clone(),
            pid: container.init.pid,
            exit: Some(exit),
            update_pending,
        };
        let (Some(manager), Some(delay)) = (restart, delay) else {
            self.tell(&event);
            return;
        };
        event.kind = EventKind::Restart;
        self.restarting()
            .insert(container.id.clone(), Arc::clone(&manager));
        self.tell(&event);
        let shared = Arc::clone(self);
        // A start may take minutes: it has a thread of its own, and other ends are dealt with meanwhile.
        thread::spawn(move || {
            event.kind = EventKind::Exit;
            let due = manager.sleep(delay);
            shared.restarting().remove(&container.id);
            if !due {
                shared.tell(&event);
                return;
            }
            let company = Company {
                attach: container.attach.clone(),
                restart: Some(manager),
            };
            if let Err(error) = shared.create(container.plan.clone(), company) {
                shared.warn(
                    &format!("container {} is not started again", container.id),
                    &error,
                );
                shared.tell(&event);
            }
        });
    }

    fn tell(&self, event: &Event) {
        if let Err(error) = self.receiver.event(event) {
            let words = format!(
                "the receiver refused an event of container {}",
                event.container
            );
            self.warn(&words, &*error);
        }
    }
}
