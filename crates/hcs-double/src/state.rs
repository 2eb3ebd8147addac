//! What the service keeps: systems, their processes, who has them open, and who is to be called back.

use std::{collections::HashMap, os::windows::io::OwnedHandle, sync::Arc};

use crate::{console::Console, processes::Job, protocol::Notice};

/// How a client is told of notifications.
pub(crate) type Tell = Arc<dyn Fn(Notice) + Send + Sync>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Created,
    Running,
    Paused,
    Stopped,
}

pub(crate) struct System {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) phase: Phase,
    /// It merges updates, and takes processes without streams alone.
    pub(crate) servicing: bool,
    /// A process in it was to leave updates.
    pub(crate) updates_pending: bool,
    /// Its end was told.
    pub(crate) told: bool,
    pub(crate) job: Arc<Job>,
}

pub(crate) struct Process {
    pub(crate) system: usize,
    pub(crate) pid: u32,
    pub(crate) handle: OwnedHandle,
    pub(crate) console: Option<Console>,
    pub(crate) code: Option<u32>,
}

#[derive(Clone, Copy)]
pub(crate) enum Object {
    System(usize),
    Process(usize),
}

pub(crate) struct Open {
    pub(crate) object: Object,
    pub(crate) client: u32,
    /// The creation of the system was pending, and who has it open was not told yet that it is done.
    pub(crate) creating: bool,
}

pub(crate) struct Callback {
    pub(crate) client: u32,
    pub(crate) handle: usize,
    pub(crate) number: usize,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) systems: HashMap<usize, System>,
    pub(crate) processes: HashMap<usize, Process>,
    pub(crate) handles: HashMap<usize, Open>,
    pub(crate) callbacks: Vec<Callback>,
    pub(crate) clients: HashMap<u32, Tell>,
    pub(crate) next: usize,
}

impl Phase {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Stopped => "Stopped",
        }
    }
}

impl State {
    pub(crate) fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    pub(crate) fn open(&mut self, object: Object, client: u32, creating: bool) -> usize {
        let handle = self.number();
        self.handles.insert(
            handle,
            Open {
                object,
                client,
                creating,
            },
        );
        handle
    }

    pub(crate) fn system(&mut self, handle: usize) -> Option<(usize, &mut System)> {
        match self.handles.get(&handle)?.object {
            Object::System(key) => self.systems.get_mut(&key).map(|system| (key, system)),
            Object::Process(_) => None,
        }
    }

    pub(crate) fn process(&mut self, handle: usize) -> Option<&mut Process> {
        match self.handles.get(&handle)?.object {
            Object::Process(key) => self.processes.get_mut(&key),
            Object::System(_) => None,
        }
    }

    pub(crate) fn close(&mut self, handle: usize) -> bool {
        let Some(open) = self.handles.remove(&handle) else {
            return false;
        };
        self.callbacks.retain(|callback| callback.handle != handle);
        let is_open = |handles: &HashMap<usize, Open>, wanted: Object| {
            handles.values().any(|open| match (open.object, wanted) {
                (Object::System(one), Object::System(other))
                | (Object::Process(one), Object::Process(other)) => one == other,
                _ => false,
            })
        };
        match open.object {
            Object::System(key) => {
                let stopped = self
                    .systems
                    .get(&key)
                    .is_some_and(|system| system.phase == Phase::Stopped);
                if stopped && !is_open(&self.handles, open.object) {
                    self.systems.remove(&key);
                }
            }
            Object::Process(key) => {
                let ended = self
                    .processes
                    .get(&key)
                    .is_some_and(|process| process.code.is_some());
                if ended && !is_open(&self.handles, open.object) {
                    self.processes.remove(&key);
                }
            }
        }
        true
    }

    /// Who is to be told of what happens to an object.
    pub(crate) fn listeners(&self, object: Object) -> Vec<(Tell, usize)> {
        let heard = |callback: &&Callback| {
            let open = self.handles.get(&callback.handle);
            match (open.map(|open| open.object), object) {
                (Some(Object::System(one)), Object::System(other))
                | (Some(Object::Process(one)), Object::Process(other)) => one == other,
                _ => false,
            }
        };
        self.callbacks
            .iter()
            .filter(heard)
            .filter_map(|callback| {
                let tell = self.clients.get(&callback.client)?;
                Some((Arc::clone(tell), callback.number))
            })
            .collect()
    }
}
